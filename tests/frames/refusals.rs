//! What ends a connection from within: a broken rule, a limit, an inspector.

use std::sync::{Arc, Mutex};

use wsgate::stage::refusal::RATE_LIMITED;
use wsgate::stage::{FrameHead, FrameInspector, Opcode, Pace, Refusal, Side};

use super::bench::{Setup, inspector, relay};
use super::bytes::{BINARY, CLOSE, PING, TEXT, close, closing, frame, frames};

#[test]
fn a_frame_that_must_not_pass_ends_the_connection_with_the_codes_of_its_row() {
    let long = |from| frame(from, BINARY, &[0; 1001]);
    let rows = [
        (Side::Client, frame(Side::Upstream, TEXT, b"no mask"), "protocol_error", 1002, 1001),
        (Side::Client, long(Side::Client), "message_too_large", 1009, 1001),
        (Side::Client, frame(Side::Client, PING, b"").repeat(201), "rate_limited", 1008, 1001),
        (Side::Upstream, frame(Side::Client, TEXT, b"a mask"), "upstream_protocol_error", 1011, 1002),
        (Side::Upstream, long(Side::Upstream), "upstream_message_too_large", 1011, 1009),
        (Side::Upstream, frame(Side::Upstream, PING, b"").repeat(201), "upstream_protocol_error", 1011, 1002),
    ];
    for (side, bad, id, client_code, upstream_code) in rows {
        let mut bench = relay();
        let good = frame(side, TEXT, b"before");
        bench.send(side, &[good, bad].concat());
        for (toward, code) in [(Side::Client, client_code), (Side::Upstream, upstream_code)] {
            let received = frames(&bench.receive(toward));
            let (first, payload) = received.last().unwrap();
            assert_eq!((*first, &payload[..2]), (CLOSE, &u16::to_be_bytes(code)[..]), "{id} toward {toward:?}");
            if toward != side {
                assert_eq!(received[0].1, b"before", "what came before it has passed");
                assert!(received.iter().all(|(first, _)| *first != BINARY), "nothing of it has");
            }
            bench.peer(toward).shut_down();
        }
        assert_eq!(bench.poll().ended().1, id);
        assert!(bench.ending.as_ref().unwrap().rule.is_some(), "the log names the rule");
    }
}

#[test]
fn a_message_is_too_large_at_the_fragment_that_makes_it_so() {
    let mut bench = relay();
    let first = frame(Side::Client, 0x02, &[0; 600]);
    bench.send(Side::Client, &first);
    bench.send(Side::Client, &frame(Side::Client, 0x80, &[0; 401])[..8]);
    let received = bench.receive(Side::Upstream);
    assert!(received.starts_with(&first));
    assert_eq!(frames(&received[first.len()..]), [(CLOSE, closing(1001, ""))]);
}

#[test]
fn compressed_messages_pass_where_both_handshakes_agreed_on_them() {
    let message = frame(Side::Client, 0xc1, b"not really deflated");
    let mut bench = Setup { compression: true, ..Setup::default() }.relay();
    assert_eq!(bench.send(Side::Client, &message).receive(Side::Upstream), message);
    let mut bench = relay();
    bench.send(Side::Client, &message);
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(1002, "protocol error"))]);
}

/// Notes the heads it is asked about, and refuses messages from the third on.
struct Third(Arc<Mutex<Vec<(Side, Opcode, u64)>>>);

impl FrameInspector for Third {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let mut seen = self.0.lock().unwrap();
        if seen.len() == 2 {
            return Err(Box::new(Refusal::new(RATE_LIMITED)));
        }
        seen.push((from, head.opcode, head.length));
        Ok(Pace::Go)
    }
}

#[test]
fn an_inspector_is_asked_at_each_head_before_a_byte_of_the_frame_goes_on() {
    let seen = Arc::default();
    let mut bench = Setup { inspectors: vec![Box::new(Third(Arc::clone(&seen)))], ..Setup::default() }.relay();
    let passed = [frame(Side::Client, TEXT, b"one"), frame(Side::Client, PING, b"2")].concat();
    bench.send(Side::Client, &[&passed[..], &frame(Side::Client, TEXT, b"three")].concat());
    let received = bench.receive(Side::Upstream);
    assert!(received.starts_with(&passed));
    assert_eq!(frames(&received[passed.len()..]), [(CLOSE, closing(1001, ""))], "no byte of the third");
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(1008, "too many requests"))]);
    assert_eq!(*seen.lock().unwrap(), [(Side::Client, Opcode::Text, 3), (Side::Client, Opcode::Ping, 1)]);
    assert_eq!(bench.counted(Side::Client), (1, 3));
}

#[test]
fn inspectors_adopted_later_judge_from_the_next_head_on() {
    let mut bench = relay();
    let text = frame(Side::Client, TEXT, b"under way");
    bench.send(Side::Client, &text[..9]);
    let seen = Arc::default();
    assert!(bench.session.inspectors().is_empty());
    bench.adopt(10, vec![inspector(Box::new(Third(Arc::clone(&seen))))]);
    bench.send(Side::Client, &text[9..]).send(Side::Upstream, &close(Side::Upstream, 1000, ""));
    assert_eq!(*seen.lock().unwrap(), [(Side::Upstream, Opcode::Close, 2)]);
}
