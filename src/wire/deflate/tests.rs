//! The examples of RFC 7692, limits, and what an independent implementation (miniz_oxide) makes of the same bytes.

use flate2::{Decompress, FlushDecompress};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use proptest::prelude::*;

use super::deflater::SMALLEST_ALONE;
use super::inflater::CHUNK;
use super::*;

/// An empty final block, which ends a stream.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

fn inflate(payload: &[u8], limit: u64) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    Inflater::default().inflate(payload, limit, &mut out).map(|()| out)
}

/// What miniz_oxide reads up to the end of a stream, and how many bytes it took for it.
fn read(stream: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = vec![0; 1 << 20];
    let (status, taken, given) = decompress(&mut DecompressorOxide::new(), stream, &mut out, 0, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    out.truncate(given);
    (status == TINFLStatus::Done).then_some((out, taken))
}

/// miniz_oxide, as a peer that compresses.
struct Peer(Box<CompressorOxide>);

impl Peer {
    fn new(level: i32) -> Self {
        Self(Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(level, 0, 0))))
    }

    fn send(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = vec![0; message.len() * 2 + 1024];
        let (status, taken, given) = compress(&mut self.0, message, &mut out, TDEFLFlush::Sync);
        assert_eq!((status, taken), (TDEFLStatus::Okay, message.len()));
        out.truncate(given);
        assert!(out.ends_with(&TAIL));
        out.truncate(given - TAIL.len());
        out
    }
}

#[test]
fn what_the_rfc_shows_is_read() {
    let rows: &[(&str, &[u8], &str)] = &[
        ("7.2.3.1: one block", b"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"),
        ("7.2.3.3: a block without compression", b"\x00\x05\x00\xfa\xffHello\x00", "Hello"),
        ("7.2.3.4: a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        ("a final block that nothing follows", b"\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello"),
        ("a final block that an empty final one follows", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x01", "Hello"),
        ("7.2.3.5: two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"),
        ("7.2.3.6: an empty message", b"\x00", ""),
        ("an empty message whose block is final", b"\x01", ""),
        ("a final block that the tail completes", b"\x00\x05\x00\xfa\xffHello\x01", "Hello"),
        ("nothing at all", b"", ""),
    ];
    for (what, payload, text) in rows {
        assert_eq!(inflate(payload, 5).as_deref(), Ok(text.as_bytes()), "{what}");
    }
}

#[test]
fn what_is_no_compressed_message_is_corrupt() {
    let rows: &[(&str, &[u8])] = &[
        ("a reserved block", b"\x06"),
        ("a length that does not match its complement", b"\x00\x05\x00\xfa\xfeHello\x00"),
        ("text behind a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"),
        ("an empty block with its tail behind a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00\xff\xff\x00"),
        ("a block of another kind behind a final one", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x02"),
        ("garbage behind a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00garbage"),
        ("a tail that was not left out", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"),
        ("a block without compression, cut short", b"\x00\x0e\x00\xf1\xffHello"),
        ("a reference to before the beginning", b"\xf2\x00\x11\x00\x00"),
    ];
    for (what, payload) in rows {
        assert_eq!(inflate(payload, 100), Err(InflateError::Corrupt), "{what}");
    }
}

#[test]
fn a_message_cut_short_anywhere_is_corrupt() {
    let text = r#"{"id":4711,"user":"alice","tags":["a","b","a"],"at":"2026-11-30T12:00:00Z"}"#.repeat(3);
    let payload = Peer::new(6).send(text.as_bytes());
    assert_eq!(inflate(&payload, 1000).as_deref(), Ok(text.as_bytes()));
    for end in 1..payload.len() {
        assert_eq!(inflate(&payload[..end], 1000), Err(InflateError::Corrupt), "cut at {end} of {}", payload.len());
    }
}

#[test]
fn a_message_refers_back_to_those_before_it_where_the_window_is_kept() {
    // RFC 7692 §7.2.3.2.
    let messages: [&[u8]; 2] = [b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"];
    let mut kept = Inflater::new(Window::new(15, true));
    for message in messages {
        let mut out = Vec::new();
        assert_eq!(kept.inflate(message, 5, &mut out), Ok(()));
        assert_eq!(out, b"Hello");
    }
    let mut alone = Inflater::new(Window::new(15, false));
    let verdicts = messages.map(|message| alone.inflate(message, 5, &mut Vec::new()));
    assert_eq!(verdicts, [Ok(()), Err(InflateError::Corrupt)]);
}

#[test]
fn a_kept_window_outlives_a_final_block() {
    let mut kept = Inflater::new(Window::new(15, true));
    for message in [&b"\xf3\x48\xcd\xc9\xc9\x07\x00"[..], b"\xf2\x00\x11\x00\x00"] {
        let mut out = Vec::new();
        assert_eq!(kept.inflate(message, 5, &mut out), Ok(()));
        assert_eq!(out, b"Hello");
    }
}

#[test]
fn a_message_may_inflate_to_its_limit_and_no_further() {
    for (payload, length) in [(&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], 5), (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 5), (b"\x00", 0)] {
        for limit in [length, length + 1, u64::MAX] {
            assert!(inflate(payload, limit).is_ok(), "limit {limit}");
        }
        for limit in 0..length {
            assert_eq!(inflate(payload, limit), Err(InflateError::TooLarge), "limit {limit}");
        }
    }
}

#[test]
fn a_bomb_costs_its_limit_and_no_more_memory() {
    let bomb = Peer::new(9).send(&vec![0; 16 << 20]);
    assert!(bomb.len() * 1000 < 16 << 20, "{}", bomb.len());
    for limit in [0, 1, 1000, CHUNK, 65_536, 1_000_000] {
        let mut out = b"before".to_vec();
        assert_eq!(Inflater::default().inflate(&bomb, limit as u64, &mut out), Err(InflateError::TooLarge));
        assert_eq!(out, b"before");
        assert!(out.capacity() <= b"before".len() + limit + CHUNK, "limit {limit}: {}", out.capacity());
    }
}

#[test]
fn what_gets_no_smaller_goes_as_it_is_and_leaves_no_trace() {
    let noise: Vec<u8> = (0..1000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let text = b"the same again, the same again, ".repeat(8);
    for is_kept in [false, true] {
        let window = Window::new(15, is_kept);
        let (mut deflater, mut inflater) = (Deflater::new(window), Inflater::new(window));
        for message in [&text[..], &noise, b"tiny", b"", &text, &text] {
            let mut payload = b"before".to_vec();
            let is_deflated = deflater.deflate(message, &mut payload);
            assert_eq!(is_deflated, message == text);
            assert!(payload.starts_with(b"before"));
            if is_deflated {
                let mut read = Vec::new();
                assert_eq!(inflater.inflate(&payload[6..], 1 << 20, &mut read), Ok(()));
                assert_eq!(read, message);
            } else {
                assert_eq!(payload.len(), 6);
            }
        }
    }
}

#[test]
fn however_much_got_no_smaller_the_next_that_does_is_deflated() {
    let noise: Vec<u8> = (0..256u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for is_kept in [false, true] {
        let mut deflater = Deflater::new(Window::new(15, is_kept));
        for length in (SMALLEST_ALONE..=noise.len()).step_by(7) {
            assert!(!deflater.deflate(&noise[..length], &mut Vec::new()), "{length}");
        }
        assert!(deflater.deflate(&[b'a'; 1000], &mut Vec::new()));
    }
}

#[test]
fn a_window_of_8_bits_is_read_and_not_written() {
    let window = Window::new(8, false);
    assert!(!Deflater::new(window).deflate(&[b'a'; 1000], &mut Vec::new()));
    assert_eq!(Inflater::new(window).inflate(&Peer::new(6).send(&[b'a'; 1000]), 1000, &mut Vec::new()), Ok(()));
}

/// Messages as they are: words that come again, with something in between that does not.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::sample::select(vec!["{\"id\":", "\"user\":\"", "alice", "bob", "\",", "true", "}", "null,", "price"]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (any::<u8>(), 0..700usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(word, 0..120).prop_map(|words| words.concat())
}

fn window() -> impl Strategy<Value = Window> {
    (8..=15u8, any::<bool>()).prop_map(|(bits, is_kept)| Window::new(bits, is_kept))
}

/// What a reader with this window and no larger one makes of a stream: it is given room for one byte at a time, so that nothing but
/// its window can be referred to.
fn read_within(window: Window, stream: &[u8]) -> Option<Vec<u8>> {
    let mut state = Decompress::new_with_window_bits(false, window.bits);
    let (mut out, mut byte) = (Vec::new(), [0]);
    loop {
        let (taken, given) = (usize::try_from(state.total_in()).unwrap(), state.total_out());
        state.decompress(&stream[taken..], &mut byte, FlushDecompress::None).ok()?;
        if state.total_out() == given {
            return Some(out);
        }
        out.push(byte[0]);
    }
}

proptest! {
    #[test]
    fn what_is_deflated_is_smaller_and_inflates_to_what_it_was(window in window(), messages in prop::collection::vec(message(), 1..8)) {
        let (mut deflater, mut inflater) = (Deflater::new(window), Inflater::new(window));
        let (mut stream, mut text) = (Vec::new(), Vec::new());
        for message in &messages {
            let mut payload = Vec::new();
            if !deflater.deflate(message, &mut payload) {
                continue;
            }
            prop_assert!(payload.len() < message.len());
            let mut read_back = Vec::new();
            prop_assert_eq!(inflater.inflate(&payload, message.len() as u64, &mut read_back), Ok(()));
            prop_assert_eq!(&read_back, message);
            if !window.is_kept() {
                stream.clear();
                text.clear();
            }
            stream.extend_from_slice(&[&payload[..], &TAIL].concat());
            text.extend_from_slice(message);
            prop_assert_eq!(read_within(window, &stream), Some(text.clone()));
            let whole = [&stream[..], &END].concat();
            prop_assert_eq!(read(&whole), Some((text.clone(), whole.len())));
        }
    }

    #[test]
    fn what_another_implementation_deflates_is_inflated(
        level in 0..=10i32,
        is_kept in any::<bool>(),
        messages in prop::collection::vec(message(), 1..8),
    ) {
        let (mut peer, mut inflater) = (Peer::new(level), Inflater::new(Window::new(15, is_kept)));
        for message in &messages {
            if !is_kept {
                peer = Peer::new(level);
            }
            let (mut out, payload) = (Vec::new(), peer.send(message));
            prop_assert_eq!(inflater.inflate(&payload, message.len() as u64, &mut out), Ok(()));
            prop_assert_eq!(&out, message);
        }
    }

    #[test]
    fn any_bytes_inflate_within_the_limit_to_what_another_implementation_reads(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            (message(), any::<prop::sample::Index>(), 1..=255u8).prop_map(|(message, at, flip)| {
                let mut payload = Peer::new(6).send(&message);
                let at = at.index(payload.len());
                payload[at] ^= flip;
                payload
            }),
        ],
        limit in prop_oneof![0..200u64, Just(1 << 20)],
    ) {
        let mut out = Vec::new();
        let verdict = Inflater::default().inflate(&payload, limit, &mut out);
        prop_assert!(out.len() as u64 <= limit);
        prop_assert!(out.capacity() as u64 <= limit + CHUNK as u64);
        if verdict.is_ok() && !payload.is_empty() {
            let (text, taken) = read(&[&payload[..], &TAIL, &END].concat()).unwrap();
            prop_assert_eq!(out, text);
            prop_assert!(taken >= payload.len() - 1);
        }
    }

    #[test]
    fn any_bytes_leave_a_kept_window_within_its_limit(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut inflater = Inflater::new(Window::new(9, true));
        for payload in payloads {
            let mut out = Vec::new();
            let _ = inflater.inflate(&payload, 100, &mut out);
            prop_assert!(out.len() <= 100);
        }
    }
}
