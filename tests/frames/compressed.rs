//! Compressed messages that are read: inflated within their limit, judged, and passed on as they came.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use wsgate::stage::{Fate, Message, MessageInspector, Refusal, Side};
use wsgate::wire::deflate::{Deflater, Window};

use super::bench::{Bench, Setup};
use super::bytes::{CLOSE, TEXT, closing, frame, frames};

/// The first byte of a compressed text message in one frame.
const PACKED: u8 = 0xc1;

type Read = Arc<Mutex<Vec<String>>>;

/// Writes down the text that passes, and leaves out what begins with a `d`.
struct Reader(Read);

impl MessageInspector for Reader {
    fn message(&mut self, _: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        let Message::Text(text) = message else { panic!("only text is sent here") };
        self.0.lock().unwrap().push(text.clone().into_owned());
        Ok(if text.starts_with('d') { Fate::Drop(None) } else { Fate::Pass })
    }
}

fn reads(max_message: u64) -> (Bench, Read) {
    let read = Read::default();
    let setup = Setup { max_message, compression: true, readers: vec![Box::new(Reader(read.clone()))], ..Setup::default() };
    (setup.relay(), read)
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(Deflater::new(Window::new(15, false)).deflate(text, &mut out), "it gets no smaller");
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_compressed_is_read_inflated_and_passes_as_it_came(
        text in "[a-c]{200,900}",
        size in 1..200_usize,
        cut in 0..100_usize,
        from in prop_oneof![Just(Side::Client), Just(Side::Upstream)],
    ) {
        prop_assume!(!text.starts_with('d'));
        let (mut bench, read) = reads(1000);
        let payload = packed(text.as_bytes());
        let (first, last) = payload.split_at(cut.min(payload.len()));
        let all = [frame(from, 0x41, first), frame(from, 0x80, last), frame(from, PACKED, &payload), frame(from, TEXT, b"plain")].concat();
        let mut received = Vec::new();
        for part in all.chunks(size) {
            received.extend(bench.send(from, part).receive(from.other()));
        }
        prop_assert_eq!(received, all);
        prop_assert_eq!(&*read.lock().unwrap(), &[text.clone(), text, "plain".to_owned()]);
        prop_assert_eq!(bench.counted(from), (3, 2 * payload.len() as u64 + 5), "as on the wire");
    }
}

#[test]
fn one_that_is_left_out_leaves_the_next_readable() {
    let (mut bench, read) = reads(1000);
    let (drop, pass) = (format!("drop {}", "this ".repeat(50)), format!("pass {}", "this ".repeat(50)));
    let kept = frame(Side::Client, PACKED, &packed(pass.as_bytes()));
    bench.send(Side::Client, &[frame(Side::Client, PACKED, &packed(drop.as_bytes())), kept.clone()].concat());
    assert_eq!(bench.receive(Side::Upstream), kept);
    assert_eq!(*read.lock().unwrap(), [drop, pass]);
}

#[test]
fn what_cannot_be_inflated_ends_the_connection_by_its_row() {
    let bomb = packed(&vec![b'0'; 1 << 22]);
    let bad_text = packed(&[&[b'x'; 200][..], b"\xff"].concat());
    for (from, payload, id, rule, code) in [
        (Side::Client, &bomb, "message_too_large", "message over max_message", 1009),
        (Side::Upstream, &bomb, "upstream_message_too_large", "message over max_message", 1011),
        (Side::Client, &bad_text, "not_utf8", "text is not UTF-8", 1007),
        (Side::Client, &b"\xff\xff\xff".to_vec(), "protocol_error", "compressed data is corrupt", 1002),
        (Side::Upstream, &b"\xff\xff\xff".to_vec(), "upstream_protocol_error", "compressed data is corrupt", 1011),
    ] {
        // The bomb of 4 MiB takes 4 KiB on the wire, which is within the limit.
        let (mut bench, _) = reads(100_000);
        bench.send(from, &frame(from, PACKED, payload));
        let told = frames(&bench.receive(Side::Client));
        assert!(matches!(&*told, [(CLOSE, close)] if close.starts_with(&u16::to_be_bytes(code))), "{id}: {told:?}");
        bench.client.shut_down();
        bench.upstream.shut_down();
        bench.poll();
        let ending = bench.ending.as_ref().unwrap();
        assert_eq!((ending.outcome.id, ending.rule.as_deref()), (id, Some(rule)));
    }
}

#[test]
fn a_compressed_frame_where_none_was_agreed_on_is_refused_at_its_head() {
    let mut bench = Setup { readers: vec![Box::new(Reader(Read::default()))], ..Setup::default() }.relay();
    bench.send(Side::Client, &frame(Side::Client, PACKED, b"x"));
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(1002, "protocol error"))]);
}
