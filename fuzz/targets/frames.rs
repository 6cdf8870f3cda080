//! Any bytes from either side, cut anywhere: the frame layer's verdict is tungstenite's.

#![no_main]

#[path = "../../tests/frames/verdict.rs"]
mod verdict;

use libfuzzer_sys::fuzz_target;
use wsgate::stage::Side;

fuzz_target!(|input: &[u8]| {
    let [which, bytes @ ..] = input else { return };
    let side = if which & 1 == 0 { Side::Client } else { Side::Upstream };
    let cuts = [usize::from(which >> 1) + 1, usize::from(which >> 5) + 1];
    if let Err(difference) = verdict::compare(side, bytes, &cuts) {
        panic!("{difference}");
    }
});
