//! Messages that somebody reads: none goes on before all of it is judged, and what passes goes on as it came.

use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use wsgate::stage::refusal::FORBIDDEN;
use wsgate::stage::{Fate, Message, MessageInspector, Refusal, Side};

use super::bench::{Bench, CLOSE_TIMEOUT, Setup, reader, relay};
use super::bytes::{BINARY, CLOSE, PING, PONG, TEXT, close, closing, frame, frames, traffic};
use super::verdict::parts;

const CLIENT: Side = Side::Client;
const UPSTREAM: Side = Side::Upstream;

type Read = Arc<Mutex<Vec<(Side, Message<'static>)>>>;

/// Reads one side's messages, or both, writes them down, and does with each what its first letter says.
struct Reader {
    of: Option<Side>,
    read: Read,
}

impl MessageInspector for Reader {
    fn reads(&self, from: Side) -> bool {
        self.of.is_none_or(|side| side == from)
    }

    fn message(&mut self, from: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        self.read.lock().unwrap().push((from, message.clone().into_owned()));
        Ok(match message.as_bytes() {
            [b'd', ..] => Fate::Drop(None),
            [b'a', ..] => Fate::Reply("answered".into(), None),
            [b'o', ..] => Fate::Replace(Message::Binary(b"other".as_slice().into())),
            [b'f', ..] => return Err(Box::new(Refusal::new(FORBIDDEN))),
            _ => Fate::Pass,
        })
    }
}

fn reads(of: impl Into<Option<Side>>) -> (Setup, Read) {
    let (of, read) = (of.into(), Read::default());
    (Setup { readers: vec![Box::new(Reader { of, read: read.clone() })], ..Setup::default() }, read)
}

fn said(read: &Read) -> Vec<String> {
    read.lock().unwrap().iter().map(|(_, message)| String::from_utf8_lossy(message.as_bytes()).into_owned()).collect()
}

/// The frames of `bytes`, those of messages and those that may stand between their fragments.
fn apart(bytes: &[u8]) -> [Vec<(u8, Vec<u8>)>; 2] {
    let (control, data) = frames(bytes).into_iter().partition(|(first, _)| first & 0x08 != 0);
    [data, control]
}

/// Whole messages as their frames make them.
fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (first, payload) in apart(bytes)[0].clone() {
        match all.last_mut().filter(|_| first & 0x0f == 0) {
            Some(open) => open.extend(payload),
            None => all.push(payload),
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whoever reads sees every message, and each frame goes on as it came; only control frames may overtake the fragments
    /// around them.
    #[test]
    fn what_is_read_and_passes_goes_on_frame_for_frame(
        up in traffic(CLIENT),
        down in traffic(UPSTREAM),
        cuts in vec(1..150_usize, 1..8),
        room in prop_oneof![Just(1 << 20), 1..200_usize],
        tells in any::<bool>(),
        of in prop_oneof![Just(None), Just(Some(CLIENT)), Just(Some(UPSTREAM))],
    ) {
        // What does as its first letter says would not pass.
        let harmless = |all: Vec<Vec<u8>>| all.into_iter().filter(|message| !matches!(message.first(), Some(b'd' | b'a' | b'o' | b'f')));
        for (from, all) in [(CLIENT, up.concat()), (UPSTREAM, down.concat())] {
            prop_assume!(messages(&all).len() == harmless(messages(&all)).count());
            let (setup, read) = reads(of);
            let mut bench = Setup { room, tells, ..setup }.relay();
            let mut received = Vec::new();
            for part in parts(&all, &cuts) {
                let mut rest = part;
                while !rest.is_empty() {
                    let sent = bench.peer(from).write(rest);
                    rest = &rest[sent..];
                    bench.poll();
                    received.extend(bench.receive(from.other()));
                    bench.poll();
                }
            }
            for _ in 0..20_000 {
                received.extend(bench.poll().receive(from.other()));
                if received.len() == all.len() {
                    break;
                }
            }
            prop_assert_eq!(apart(&received), apart(&all));
            let is_read = of.is_none_or(|side| side == from);
            let seen: Vec<_> = read.lock().unwrap().iter().map(|(_, message)| message.as_bytes().to_vec()).collect();
            prop_assert_eq!(seen, if is_read { messages(&all) } else { Vec::new() });
            let bytes: usize = messages(&all).iter().map(Vec::len).sum();
            prop_assert_eq!(bench.counted(from), (messages(&all).len() as u64, bytes as u64));
        }
    }
}

/// What a client sends in these tests: messages of each fate, whole and in parts, and a ping between parts.
fn mixed() -> Vec<u8> {
    [
        frame(CLIENT, TEXT, b"pass one"),
        frame(CLIENT, TEXT, b"drop"),
        frame(CLIENT, 0x01, b"other"),
        frame(CLIENT, PING, b"between"),
        frame(CLIENT, 0x80, b" than this"),
        frame(CLIENT, TEXT, b"answer me"),
        frame(CLIENT, 0x02, b"pass "),
        frame(CLIENT, 0x80, b"two"),
        frame(CLIENT, BINARY, b"other"),
    ]
    .concat()
}

#[test]
fn each_message_meets_its_fate_wherever_it_is_cut() {
    let all = mixed();
    for size in (1..40).chain([all.len()]) {
        let (setup, _) = reads(CLIENT);
        let mut bench = setup.relay();
        for part in all.chunks(size) {
            bench.send(CLIENT, part);
        }
        let [data, control] = apart(&bench.receive(UPSTREAM));
        let expected = [(TEXT, &b"pass one"[..]), (BINARY, b"other"), (0x02, b"pass "), (0x80, b"two"), (BINARY, b"other")];
        assert_eq!(data, expected.map(|(first, payload)| (first, payload.to_vec())), "in parts of {size}");
        assert_eq!(control, [(PING, b"between".to_vec())]);
        assert_eq!(frames(&bench.receive(CLIENT)), [(TEXT, b"answered".to_vec())]);
        assert_eq!(bench.counted(CLIENT), (4, 26), "what has not passed does not count");
    }
}

#[test]
fn what_passes_keeps_its_mask_and_what_is_put_in_its_place_has_one() {
    let (setup, _) = reads(CLIENT);
    let mut bench = setup.relay();
    let text = frame(CLIENT, TEXT, b"pass");
    assert_eq!(bench.send(CLIENT, &text).receive(UPSTREAM), text);
    let replaced = bench.send(CLIENT, &frame(CLIENT, TEXT, b"other")).receive(UPSTREAM);
    assert_eq!((replaced[0], replaced[1]), (BINARY, 0x85), "binary, masked, five bytes");
    let (setup, _) = reads(UPSTREAM);
    let mut bench = setup.relay();
    bench.send(UPSTREAM, &[frame(UPSTREAM, TEXT, b"other"), frame(UPSTREAM, TEXT, b"answer me")].concat());
    assert_eq!(bench.receive(CLIENT), frame(UPSTREAM, BINARY, b"other"));
    let reply = bench.receive(UPSTREAM);
    assert_eq!((frames(&reply), reply[1] & 0x80), (vec![(TEXT, b"answered".to_vec())], 0x80));
}

#[test]
fn nothing_of_a_message_goes_on_before_it_is_whole_and_pings_do_not_wait_for_it() {
    for from in [CLIENT, UPSTREAM] {
        let mut bench = Setup { max_message: 400_000, ..reads(None).0 }.relay();
        let text = frame(from, BINARY, &[b'x'; 300_000]);
        assert_eq!(bench.send(from, &text[..299_000]).receive(from.other()), b"");
        assert!(bench.session.ping(from.other(), wsgate::wire::tick::Tick::new(0)), "the leg is at a boundary");
        bench.poll();
        assert_eq!(frames(&bench.receive(from.other()))[0].0, PING);
        assert_eq!(bench.send(from, &text[299_000..]).receive(from.other()), text);
    }
}

#[test]
fn a_message_that_must_not_pass_ends_the_connection_and_no_byte_of_it_passes() {
    let text = [frame(CLIENT, TEXT, b"pass"), frame(CLIENT, 0x01, b"for"), frame(CLIENT, 0x80, b"bid me")].concat();
    for size in [1, 7, text.len()] {
        let (setup, _) = reads(CLIENT);
        let mut bench = setup.relay();
        for part in text.chunks(size) {
            bench.send(CLIENT, part);
        }
        assert_eq!(frames(&bench.receive(UPSTREAM)), [(TEXT, b"pass".to_vec()), (CLOSE, closing(1001, ""))]);
        assert_eq!(frames(&bench.receive(CLIENT)), [(CLOSE, closing(3003, "forbidden"))]);
    }
}

#[test]
fn what_a_message_is_answered_with_is_not_lost_to_the_close_that_came_behind_it() {
    for (from, other) in [(CLIENT, UPSTREAM), (UPSTREAM, CLIENT)] {
        let mut bench = reads(from).0.relay();
        let close = frame(from, CLOSE, &1000_u16.to_be_bytes());
        assert_eq!(bench.send(from, &[frame(from, TEXT, b"ask"), close.clone()].concat()).receive(other), close, "{from:?}");
        assert_eq!(frames(&bench.receive(from)), [(TEXT, b"answered".to_vec())], "{from:?}");
        bench.send(other, &frame(other, CLOSE, &1000_u16.to_be_bytes()));
        assert!(matches!(&*frames(&bench.receive(from)), [(CLOSE, _)]), "{from:?}");
    }
}

#[test]
fn text_that_is_read_must_be_utf8_from_the_first_byte_on_that_shows_it() {
    let bad = frame(CLIENT, TEXT, b"ok \xed\xa0 and so on");
    let (setup, _) = reads(CLIENT);
    let mut bench = setup.relay();
    bench.send(CLIENT, &bad[..11]);
    assert_eq!(frames(&bench.receive(CLIENT)), [(CLOSE, closing(1007, "text is not UTF-8"))]);
    assert_eq!(relay().send(CLIENT, &bad).receive(UPSTREAM), bad, "nobody reads it, nobody looks");
}

#[test]
fn whoever_sends_text_that_is_read_and_is_not_utf8_is_told_1007() {
    for (from, id, others) in [(CLIENT, "not_utf8", 1001), (UPSTREAM, "upstream_not_utf8", 1011)] {
        let (setup, read) = reads(None);
        let mut bench = setup.relay();
        bench.send(from, &frame(from, TEXT, b"\xed\xa0\x80"));
        for (toward, code) in [(from, 1007), (from.other(), others)] {
            let told = frames(&bench.receive(toward));
            assert!(matches!(&*told, [(CLOSE, close)] if close.starts_with(&u16::to_be_bytes(code))), "{id}: {told:?}");
            bench.peer(toward).shut_down();
        }
        assert_eq!(bench.poll().ended().1, id);
        assert_eq!(said(&read), <[&str; 0]>::default());
    }
}

#[test]
fn a_close_within_a_message_goes_on_and_the_message_does_not() {
    let (setup, read) = reads(CLIENT);
    let mut bench = setup.relay();
    bench.send(CLIENT, &[frame(CLIENT, 0x01, b"half a mess"), close(CLIENT, 1000, "bye")].concat());
    assert_eq!(frames(&bench.receive(UPSTREAM)), [(CLOSE, closing(1000, "bye"))]);
    bench.send(UPSTREAM, &close(UPSTREAM, 1000, "bye"));
    bench.upstream.shut_down();
    bench.client.shut_down();
    assert_eq!(bench.poll().ended(), ("client", "closed", 1000, "bye"));
    assert_eq!(said(&read), <[&str; 0]>::default());
}

#[test]
fn a_reply_waits_until_the_message_toward_its_receiver_has_ended() {
    let (setup, _) = reads(CLIENT);
    let mut bench = setup.relay();
    let (first, last) = (frame(UPSTREAM, 0x01, b"a long "), frame(UPSTREAM, 0x80, b"story"));
    bench.send(UPSTREAM, &first).send(CLIENT, &frame(CLIENT, TEXT, b"answer me"));
    assert_eq!(bench.receive(CLIENT), first);
    assert_eq!(bench.send(UPSTREAM, &last).receive(CLIENT), [last, frame(UPSTREAM, TEXT, b"answered")].concat());
}

#[test]
fn who_does_not_read_its_replies_is_not_read_beyond_the_send_queue() {
    let (setup, read) = reads(CLIENT);
    let mut bench = Setup { room: 4096, ..setup }.relay();
    let asked = frame(CLIENT, TEXT, b"a").repeat(30_000);
    let mut sent = 0;
    for _ in 0..1000 {
        sent += bench.client.write(&asked[sent..]);
        bench.poll();
    }
    // 64 KiB of ten bytes each, what a pipe holds of them, and what was read with the last of them.
    let count = read.lock().unwrap().len();
    assert!((6_554..9_000).contains(&count), "{count} answered");
    assert!(bench.activity(CLIENT).blocked && sent < asked.len());
    for _ in 0..1000 {
        sent += bench.client.write(&asked[sent..]);
        bench.receive(CLIENT);
        bench.poll();
    }
    assert_eq!((read.lock().unwrap().len(), sent), (30_000, asked.len()), "it is read on once it reads");
    assert!(!bench.activity(CLIENT).blocked);
}

#[test]
fn a_replaced_message_may_be_larger_than_what_is_collected_at_a_time() {
    struct Longer;
    impl MessageInspector for Longer {
        fn message(&mut self, _: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
            Ok(Fate::Replace(Message::Binary(message.as_bytes().repeat(100_000).into())))
        }
    }
    let mut bench = Setup { readers: vec![Box::new(Longer)], room: 1 << 16, ..Setup::default() }.relay();
    let all: Vec<u8> = (0..20_u8).flat_map(|number| frame(CLIENT, BINARY, &[number])).collect();
    bench.send(CLIENT, &all);
    let mut received = Vec::new();
    for _ in 0..200 {
        received.extend(bench.poll().receive(UPSTREAM));
    }
    let expected: Vec<_> = (0..20_u8).map(|number| (BINARY, vec![number; 100_000])).collect();
    assert!(frames(&received) == expected);
}

/// A message half of which has gone on when an edit wants messages read, and what has gone on.
fn caught_in_the_middle() -> (Bench, Read, Vec<u8>) {
    let mut bench = relay();
    let first = frame(CLIENT, 0x01, b"first ");
    assert_eq!(bench.send(CLIENT, &first).receive(UPSTREAM), first);
    let read = Read::default();
    bench.adopt(1000, vec![reader(Box::new(Reader { of: Some(CLIENT), read: read.clone() }))]);
    (bench, read, first)
}

#[test]
fn a_message_that_has_begun_goes_on_unread_and_the_next_is_read() {
    let (mut bench, read, _) = caught_in_the_middle();
    let rest = frame(CLIENT, 0x80, b"half");
    bench.send(CLIENT, &[rest.clone(), frame(CLIENT, TEXT, b"drop this")].concat());
    assert_eq!(bench.receive(UPSTREAM), rest);
    assert_eq!(said(&read), ["drop this"]);
    bench.pass(10 * CLOSE_TIMEOUT).poll();
    assert!(bench.ending.is_none() && bench.receive(CLIENT).is_empty());
}

#[test]
fn a_message_that_does_not_end_cannot_escape_being_read_for_ever() {
    let (mut bench, _, _) = caught_in_the_middle();
    bench.pass(CLOSE_TIMEOUT - 1).send(CLIENT, &frame(CLIENT, 0x00, b"and on"));
    assert!(bench.receive(CLIENT).is_empty());
    bench.pass(1);
    assert_eq!(frames(&bench.receive(CLIENT)), [(CLOSE, closing(1012, "please reconnect"))]);
}

#[test]
fn who_reads_no_more_lets_go_what_was_kept_back() {
    let (setup, read) = reads(CLIENT);
    let mut bench = setup.relay();
    let text = [frame(CLIENT, 0x01, b"drop "), frame(CLIENT, 0x80, b"nothing")].concat();
    bench.send(CLIENT, &text[..12]).adopt(1000, Vec::new()).send(CLIENT, &text[12..]);
    assert_eq!(bench.receive(UPSTREAM), text);
    assert_eq!(said(&read), <[&str; 0]>::default());
    let next = frame(CLIENT, TEXT, b"drop");
    assert_eq!(bench.send(CLIENT, &next[..7]).receive(UPSTREAM), next[..7], "it goes on as it comes");
}

#[test]
fn what_one_reader_puts_in_its_place_is_what_the_next_one_reads() {
    let (first, second) = (Read::default(), Read::default());
    let readers: Vec<Box<dyn MessageInspector>> =
        [&first, &second].map(|read| Box::new(Reader { of: None, read: Arc::clone(read) }) as Box<dyn MessageInspector>).into();
    let mut bench = Setup { readers, ..Setup::default() }.relay();
    bench.send(CLIENT, &frame(CLIENT, TEXT, b"only this"));
    assert_eq!((said(&first), said(&second)), (vec!["only this".to_owned()], vec!["other".to_owned()]));
    assert_eq!(frames(&bench.receive(UPSTREAM)), [(BINARY, b"other".to_vec())]);
    bench.send(CLIENT, &frame(CLIENT, PONG, b"")).send(CLIENT, &frame(CLIENT, TEXT, b"drop"));
    assert_eq!(said(&second).len(), 1, "what one leaves out the others are not shown");
}
