//! Any bytes as compressed messages, one after the other over one window: none inflates to more than it may, and none panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsgate::wire::deflate::{Deflater, Inflater, Window};

const LIMIT: u64 = 10_000;

fuzz_target!(|input: &[u8]| {
    let [first, bytes @ ..] = input else { return };
    let window = Window::new(first & 0x0f, first & 0x10 != 0);
    let (mut inflater, mut deflater) = (Inflater::new(window), Deflater::new(window));
    let mut again = Inflater::new(window);
    for payload in bytes.chunks(usize::from(first >> 5) * 100 + 20) {
        let mut text = Vec::new();
        if inflater.inflate(payload, LIMIT, &mut text).is_err() {
            assert!(text.is_empty());
            return;
        }
        assert!(text.len() as u64 <= LIMIT && text.capacity() as u64 <= LIMIT + 4096);
        // What it inflates to comes back from our own compression of it.
        let (mut packed, mut same) = (Vec::new(), Vec::new());
        if deflater.deflate(&text, &mut packed) {
            assert!(packed.len() < text.len());
            again.inflate(&packed, LIMIT, &mut same).expect("what we compress inflates");
            assert_eq!(text, same);
        }
    }
});
