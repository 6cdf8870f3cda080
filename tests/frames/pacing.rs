//! Frames that inspectors hold or leave out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wsgate::stage::refusal::FORBIDDEN;
use wsgate::stage::{FrameHead, FrameInspector, Message, Opcode, Pace, Refusal, Side};
use wsgate::wire::terminal::Responder;

use super::bench::{Bench, Setup};
use super::bytes::{BINARY, CLOSE, PING, PONG, TEXT, close, closing, frame, frames};

/// Judges the client's frames as a test says, and counts how often it is asked.
struct Paced<F>(F, Arc<AtomicUsize>);

impl<F: FnMut(&FrameHead) -> Pace + Send> FrameInspector for Paced<F> {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        if from == Side::Upstream {
            return Ok(Pace::Go);
        }
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(self.0(head))
    }
}

fn paced(pace: impl FnMut(&FrameHead) -> Pace + Send + 'static) -> (Setup, Arc<AtomicUsize>) {
    let asked = Arc::default();
    (Setup { inspectors: vec![Box::new(Paced(pace, Arc::clone(&asked)))], ..Setup::default() }, asked)
}

/// Leaves out messages whose first frame has four bytes.
fn leave_out_four(with: Pace) -> Setup {
    paced(move |head| if head.starts_message && head.length == 4 { with.clone() } else { Pace::Go }).0
}

pub(super) struct Echo;

impl Responder for Echo {
    fn greet(&mut self) -> Option<Message<'static>> {
        None
    }

    fn answer<'a>(&mut self, message: Message<'a>) -> Option<Message<'a>> {
        Some(message)
    }
}

/// Messages with and without four bytes first, in one frame and in several, and what is left of them.
fn mixed() -> (Vec<u8>, Vec<u8>) {
    let out = |first, payload: &[u8]| frame(Side::Client, first, payload);
    let parts = [
        (true, out(TEXT, b"stays")),
        (false, out(TEXT, b"goes")),
        (false, out(0x01, b"goes")),
        (true, out(PING, b"between")),
        (false, out(0x00, b"with its rest")),
        (false, out(0x80, &[b'x'; 300])),
        (false, out(BINARY, b"gone")),
        (true, out(0x02, b"stays, ")),
        (true, out(0x80, b"four")),
        (false, out(TEXT, b"gone")),
        (true, out(TEXT, b"the last")),
    ];
    let kept = parts.iter().filter(|(stays, _)| *stays).flat_map(|(_, bytes)| bytes.clone()).collect();
    (parts.into_iter().flat_map(|(_, bytes)| bytes).collect(), kept)
}

#[test]
fn a_message_that_is_left_out_leaves_the_rest_byte_exact_wherever_it_is_cut() {
    let (all, kept) = mixed();
    for size in (1..40).chain([all.len()]) {
        let mut bench = leave_out_four(Pace::Skip(None)).relay();
        for part in all.chunks(size) {
            bench.send(Side::Client, part);
        }
        assert_eq!(bench.receive(Side::Upstream), kept, "in parts of {size}");
        assert_eq!(bench.counted(Side::Client), (3, 24), "what has not passed does not count");
        assert_eq!(bench.receive(Side::Client), b"");
    }
}

#[test]
fn an_endpoint_of_the_gateways_own_never_sees_what_is_left_out() {
    let (all, _) = mixed();
    for size in [1, 7, all.len()] {
        let mut bench = leave_out_four(Pace::Skip(None)).terminal(Echo);
        for part in all.chunks(size) {
            bench.send(Side::Client, part);
        }
        let answers = [(TEXT, &b"stays"[..]), (PONG, b"between"), (BINARY, b"stays, four"), (TEXT, b"the last")];
        assert_eq!(frames(&bench.receive(Side::Client)), answers.map(|(first, payload)| (first, payload.to_vec())));
        assert_eq!(bench.counted(Side::Client), (3, 24));
    }
}

#[test]
fn within_a_message_that_is_left_out_its_backend_stands_between_two() {
    let begun = [frame(Side::Client, 0x01, b"goes"), frame(Side::Client, 0x00, &[0; 100])[..50].to_vec()].concat();
    let mut bench = leave_out_four(Pace::Skip(None)).relay();
    bench.send(Side::Client, &begun);
    assert!(bench.ping(Side::Upstream), "a ping may go out there");
    assert_eq!(frames(&bench.poll().receive(Side::Upstream))[0].0, PING);
    bench.end(FORBIDDEN);
    assert_eq!(frames(&bench.receive(Side::Upstream)), [(CLOSE, closing(1001, ""))], "and so may a Close, at once");
}

#[test]
fn what_the_client_is_told_stands_between_two_messages_of_the_backends() {
    let mut bench = leave_out_four(Pace::SkipAndTell("slower".into(), None)).relay();
    let first = frame(Side::Upstream, 0x01, b"begun");
    bench.send(Side::Upstream, &first);
    for _ in 0..3 {
        bench.send(Side::Client, &frame(Side::Client, TEXT, b"gone"));
    }
    assert_eq!(bench.receive(Side::Client), first);
    let last = frame(Side::Upstream, 0x80, b"ended");
    bench.send(Side::Upstream, &last[..3]).send(Side::Upstream, &last[3..]);
    assert_eq!(bench.receive(Side::Client), [last, frame(Side::Upstream, TEXT, b"slower")].concat(), "once");
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"gone"));
    assert_eq!(bench.receive(Side::Client), frame(Side::Upstream, TEXT, b"slower"));
    assert_eq!(bench.receive(Side::Upstream), b"");

    let mut bench = leave_out_four(Pace::SkipAndTell("slower".into(), None)).terminal(Echo);
    bench.send(Side::Client, &[frame(Side::Client, TEXT, b"stays"), frame(Side::Client, TEXT, b"gone")].concat());
    assert_eq!(frames(&bench.receive(Side::Client)), [(TEXT, b"stays".to_vec()), (TEXT, b"slower".to_vec())]);
}

/// A relay whose client's second message waits for an hour, with what the client sent ahead of it.
fn waiting(room: usize) -> (Bench, Arc<AtomicUsize>, Instant) {
    let due = Instant::now() + Duration::from_hours(1);
    let (setup, asked) = paced(move |head| if head.length == 6 { Pace::HoldUntil(due) } else { Pace::Go });
    let mut bench = Setup { room, ..setup }.relay();
    let first = frame(Side::Client, TEXT, b"one");
    bench.send(Side::Client, &[first.clone(), frame(Side::Client, TEXT, b"second")].concat());
    assert_eq!(bench.receive(Side::Upstream), first);
    (bench, asked, due)
}

#[test]
fn a_held_frame_holds_its_direction_and_no_other() {
    let (mut bench, asked, due) = waiting(1 << 20);
    assert_eq!(bench.session.held_until(), Some(due));
    bench.send(Side::Client, &frame(Side::Client, PING, b"behind it"));
    assert_eq!(bench.receive(Side::Upstream), b"");
    let text = frame(Side::Upstream, TEXT, b"the other way");
    bench.send(Side::Upstream, &text);
    assert_eq!(bench.receive(Side::Client), text);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(bench.activity(Side::Client).blocked, "a pong may lie behind it: nobody is blamed for one");
    assert_eq!(bench.session.deadline(), None);
}

#[test]
fn while_a_frame_is_held_nothing_is_read() {
    let room = 200;
    let (mut bench, ..) = waiting(room);
    let message = frame(Side::Client, BINARY, &[7; 50]);
    let mut sent = 0;
    for _ in 0..100 {
        sent += bench.client.write(&message);
        bench.poll();
    }
    assert!(sent <= room, "{sent} bytes taken");
}

#[test]
fn a_connection_can_end_while_a_frame_is_held() {
    let (mut bench, ..) = waiting(1 << 20);
    bench.end(FORBIDDEN);
    assert_eq!(bench.session.held_until(), None);
    assert_eq!(frames(&bench.receive(Side::Upstream)), [(CLOSE, closing(1001, ""))]);
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(3003, "forbidden"))]);

    let (mut bench, ..) = waiting(1 << 20);
    bench.send(Side::Upstream, &close(Side::Upstream, 1000, "done"));
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(1000, "done"))]);
    bench.pass(super::bench::CLOSE_TIMEOUT);
    assert_eq!(frames(&bench.receive(Side::Upstream)), [(CLOSE, closing(1000, "done"))], "its answer is not waited for for ever");
}

#[test]
fn a_frame_whose_time_has_come_goes_on_as_it_came_and_is_not_judged_twice() {
    let past = Instant::now();
    let (all, _) = mixed();
    for size in [1, 7, all.len()] {
        let (setup, asked) = paced(move |_| Pace::HoldUntil(past));
        let mut bench = setup.relay();
        for part in all.chunks(size) {
            bench.send(Side::Client, part);
        }
        assert_eq!(bench.receive(Side::Upstream), all);
        assert_eq!(asked.load(Ordering::Relaxed), 11);

        let (setup, asked) = paced(move |_| Pace::HoldUntil(past));
        let mut bench = setup.terminal(Echo);
        for part in all.chunks(size) {
            bench.send(Side::Client, part);
        }
        assert_eq!(frames(&bench.receive(Side::Client)).len(), 8);
        assert_eq!(asked.load(Ordering::Relaxed), 11);
    }
}

#[test]
fn a_frame_whose_time_has_come_waits_no_longer_though_nobody_takes_it() {
    let past = Instant::now();
    for terminal in [false, true] {
        let (setup, _) = paced(move |head| if head.length == 6 { Pace::HoldUntil(past) } else { Pace::Go });
        let setup = Setup { room: 400, ..setup };
        let mut bench = if terminal { setup.terminal(Echo) } else { setup.relay() };
        let side = if terminal { Side::Client } else { Side::Upstream };
        // The pipe has room for two; the third fills it, and the frame that is held comes in the same read.
        let long = frame(Side::Client, BINARY, &[7; 180]);
        bench.send(Side::Client, &long).send(Side::Client, &long);
        bench.send(Side::Client, &[long, frame(Side::Client, TEXT, b"second")].concat());
        assert!(bench.activity(Side::Client).blocked);
        assert_eq!(bench.session.held_until(), None, "or its owner would be woken for ever");
        let mut received = Vec::new();
        for _ in 0..4 {
            received.extend(bench.receive(side));
            bench.poll();
        }
        assert_eq!(frames(&received).last().unwrap().1, b"second");
    }
}

#[test]
fn a_ping_that_was_held_counts_once_against_the_limit_on_control_frames() {
    let past = Instant::now();
    let pings = frame(Side::Client, PING, b"").repeat(200);
    for terminal in [false, true] {
        let (setup, _) = paced(move |_| Pace::HoldUntil(past));
        let mut bench = if terminal { setup.terminal(Echo) } else { setup.relay() };
        bench.send(Side::Client, &pings);
        // One poll takes a bounded number of turns, and each held frame is one.
        (0..4).for_each(|_| _ = bench.poll());
        let side = if terminal { Side::Client } else { Side::Upstream };
        assert_eq!(frames(&bench.receive(side)).len(), 200);
        assert!(bench.ending.is_none());
    }
}

#[test]
fn of_several_inspectors_the_longest_wait_counts_and_one_that_leaves_out_ends_the_asking() {
    let (soon, late) = (Instant::now() + Duration::from_hours(1), Instant::now() + Duration::from_hours(2));
    let inspector = |pace: Pace, asked: &Arc<AtomicUsize>| -> Box<dyn FrameInspector> {
        Box::new(Paced(move |_: &FrameHead| pace.clone(), Arc::clone(asked)))
    };
    let asked = Arc::default();
    let inspectors = [soon, late, soon].map(|due| inspector(Pace::HoldUntil(due), &asked)).into();
    let mut bench = Setup { inspectors, ..Setup::default() }.relay();
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"wait"));
    assert_eq!((bench.session.held_until(), asked.load(Ordering::Relaxed)), (Some(late), 3));

    let asked = Arc::default();
    let inspectors = [Pace::HoldUntil(soon), Pace::Skip(None), Pace::Go].map(|pace| inspector(pace, &asked)).into();
    let mut bench = Setup { inspectors, ..Setup::default() }.relay();
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"gone"));
    assert_eq!((bench.session.held_until(), asked.load(Ordering::Relaxed)), (None, 2));
}

#[test]
fn a_frame_that_cannot_be_left_out_goes_on() {
    let (setup, _) = paced(|head| if head.opcode == Opcode::Text { Pace::Go } else { Pace::Skip(None) });
    let mut bench = setup.relay();
    let parts = [
        frame(Side::Client, 0x01, b"begun"),
        frame(Side::Client, PING, b"left out"),
        frame(Side::Client, 0x80, b"ended"),
        close(Side::Client, 1000, ""),
    ];
    bench.send(Side::Client, &parts.concat());
    assert_eq!(bench.receive(Side::Upstream), [&parts[0][..], &parts[2], &parts[3]].concat());
}

#[test]
fn a_side_that_was_held_and_is_read_again_must_answer_pings_again() {
    let (setup, _) = paced(|head| if head.length == 6 { Pace::HoldUntil(Instant::now()) } else { Pace::Go });
    let held = frame(Side::Client, TEXT, b"second");
    let mut bench = setup.relay();
    assert_eq!(bench.send(Side::Client, &held).poll().receive(Side::Upstream), held);
    assert!(!bench.activity(Side::Client).blocked);
}
