//! Any bytes as a chunked body: none panics, what is read does not depend on where it was cut, and what we frame anew reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsgate::wire::http::decoder::{Decoder, Part};
use wsgate::wire::http::framing::Framing;

/// The body and how much of the bytes is its, where it is whole; nothing where it is malformed.
fn read(bytes: &[u8], step: usize) -> Option<(Vec<u8>, Option<usize>)> {
    let (mut decoder, mut body) = (Decoder::new(Framing::Chunked), Vec::new());
    let (mut at, mut end) = (0, step.min(bytes.len()));
    loop {
        match decoder.next(&bytes[at..end]).ok()? {
            Part::Data { skip, length } => {
                assert!(length > 0);
                body.extend_from_slice(&bytes[at + skip..at + skip + length]);
                at += skip + length;
            }
            Part::End { skip, .. } => return Some((body, Some(at + skip))),
            Part::More { skip } => {
                at += skip;
                if end == bytes.len() {
                    return Some((body, None));
                }
                end = (end + step).min(bytes.len());
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let [first, bytes @ ..] = input else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, usize::from(*first).max(1)));
    let Some((body, Some(length))) = whole else { return };
    assert!(length <= bytes.len());
    let framed = if body.is_empty() { Vec::new() } else { [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat() };
    assert_eq!(read(&[&framed, &b"0\r\n\r\n"[..]].concat(), 7).and_then(|(body, end)| end.map(|_| body)), Some(body));
});
