//! Frames as bytes, written and read without the code under test.

use proptest::collection::vec;
use proptest::prelude::*;
use wsgate::stage::Side;

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// The key that all masked frames of these tests have.
const KEY: [u8; 4] = [0x11, 0xfe, 0x00, 0x7a];

/// One frame: its first byte as it is, the length in its shortest form, the payload masked where a client sends it.
pub(crate) fn frame(from: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if from == Side::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(mask | length as u8),
        length @ ..65536 => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if from == Side::Client {
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// A Close frame's payload.
pub(crate) fn closing(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A Close frame.
pub(crate) fn close(from: Side, code: u16, reason: &str) -> Vec<u8> {
    frame(from, CLOSE, &closing(code, reason))
}

/// The whole frames in `bytes`: first bytes and unmasked payloads. Panics on anything else.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match second & 0x7f {
            126 => (u16::from_be_bytes(rest[..2].try_into().unwrap()).into(), &rest[2..]),
            127 => (usize::try_from(u64::from_be_bytes(rest[..8].try_into().unwrap())).unwrap(), &rest[8..]),
            length => (length.into(), rest),
        };
        let (key, rest) = if second & 0x80 == 0 { ([0; 4], rest) } else { (rest[..4].try_into().unwrap(), &rest[4..]) };
        let payload = rest[..length].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push((*first, payload));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "a cut frame: {bytes:x?}");
    frames
}

/// Whole messages, some in fragments with control frames between them.
pub(crate) fn traffic(from: Side) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let payload = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 120..140), 1 => vec(any::<u8>(), 300..900)];
    let text = prop_oneof![".{0,30}", ".{100,130}"].prop_map(String::into_bytes);
    let control =
        (prop_oneof![Just(PING), Just(PONG)], vec(any::<u8>(), 0..126)).prop_map(move |(first, payload)| frame(from, first, &payload));
    let message = prop_oneof![(Just(1), text), (Just(2), payload)];
    let whole = (message, vec(0..200_usize, 0..4), vec(control, 0..3)).prop_map(move |((opcode, payload), cuts, controls)| {
        let mut frames = Vec::new();
        let (mut rest, mut opcode) = (&payload[..], opcode);
        for cut in cuts {
            let (part, behind) = rest.split_at(cut.min(rest.len()));
            frames.push(frame(from, opcode, part));
            frames.extend(controls.iter().take(1).cloned());
            (rest, opcode) = (behind, 0);
        }
        frames.push(frame(from, 0x80 | opcode, rest));
        frames.extend(controls.into_iter().skip(1));
        frames
    });
    vec(whole, 0..6).prop_map(|messages| messages.concat())
}
