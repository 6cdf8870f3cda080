//! What the engine is told of each side, and the gateway's own pings.

use wsgate::stage::refusal::FORBIDDEN;
use wsgate::stage::{Fate, FrameHead, FrameInspector, Message, MessageInspector, Pace, Refusal, Side};
use wsgate::wire::tick::Tick;

use super::bench::{Setup, relay};
use super::bytes::{BINARY, PING, PONG, TEXT, close, frame, frames};
use super::pacing::Echo;

#[test]
fn the_gateways_own_ping_is_answered_to_the_gateway_alone() {
    for side in [Side::Client, Side::Upstream] {
        let mut bench = relay();
        bench.now = 7;
        assert!(bench.ping(side));
        assert_eq!(bench.activity(side).ping, Some(Tick::new(7)));
        let sent = bench.poll().receive(side);
        let [(first, payload)] = &frames(&sent)[..] else { panic!("one frame: {sent:x?}") };
        assert_eq!((*first, sent[1] & 0x80 != 0), (PING, side == Side::Upstream), "masked toward a backend only");

        let (before, after) = (frame(side, TEXT, b"before"), frame(side, TEXT, b"after"));
        let glued = [before.clone(), frame(side, PONG, payload), after.clone()].concat();
        bench.send(side, &glued);
        assert_eq!(bench.receive(side.other()), [before, after].concat(), "the pong is swallowed");
        assert_eq!(bench.activity(side).ping, None);
    }
}

#[test]
fn other_pings_and_pongs_pass_end_to_end() {
    for side in [Side::Client, Side::Upstream] {
        let mut bench = relay();
        let bytes = [frame(side, PING, b"1"), frame(side, PONG, b"wsgate"), frame(side, PONG, b"")].concat();
        bench.send(side, &bytes);
        assert_eq!(bench.receive(side.other()), bytes);
    }
}

#[test]
fn a_ping_goes_out_at_a_frame_boundary_of_a_quiet_leg_only() {
    let text = frame(Side::Upstream, TEXT, b"hello");
    let mut bench = relay();
    bench.send(Side::Upstream, &text[..4]);
    assert!(!bench.ping(Side::Client), "a frame is going out");
    bench.send(Side::Upstream, &text[4..]);
    assert!(bench.ping(Side::Client));
    assert!(!bench.ping(Side::Client), "one waits for its answer");

    let mut bench = Setup { room: 4, ..Setup::default() }.relay();
    bench.upstream.write(&text[..4]);
    bench.poll().upstream.write(&text[4..]);
    bench.poll();
    assert!(!bench.ping(Side::Client), "bytes are waiting");

    let mut bench = relay();
    bench.end(FORBIDDEN);
    assert!(!bench.ping(Side::Client) && !bench.ping(Side::Upstream), "it is ending");
    let mut bench = relay();
    bench.send(Side::Client, &close(Side::Client, 1000, ""));
    assert!(!bench.ping(Side::Upstream), "nothing follows a Close");
}

#[test]
fn any_byte_is_a_sign_of_life_and_data_frames_alone_are_activity() {
    let text = frame(Side::Client, TEXT, b"hello");
    let mut bench = relay();
    assert!(bench.ping(Side::Client));
    bench.now = 3;
    bench.send(Side::Client, &text[..1]);
    let activity = bench.activity(Side::Client);
    assert_eq!((activity.received, activity.data, activity.ping), (Tick::new(3), Tick::new(0), None));
    bench.now = 5;
    bench.send(Side::Client, &text[1..]);
    assert_eq!(bench.activity(Side::Client).data, Tick::new(5));
    bench.now = 9;
    bench.send(Side::Client, &frame(Side::Client, PING, b""));
    let activity = bench.activity(Side::Client);
    assert_eq!((activity.received, activity.data), (Tick::new(9), Tick::new(5)));
    assert_eq!(bench.activity(Side::Upstream).received, Tick::new(0));
}

/// Reads everything and lets it pass.
struct All;

impl MessageInspector for All {
    fn message(&mut self, _: Side, _: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        Ok(Fate::Pass)
    }
}

/// Leaves everything out.
struct Nothing;

impl FrameInspector for Nothing {
    fn begin(&mut self, _: Side, _: &FrameHead) -> Result<Pace, Box<Refusal>> {
        Ok(Pace::Skip(None))
    }
}

#[test]
fn a_message_is_activity_for_as_long_as_it_comes_whatever_becomes_of_it() {
    let setups = || {
        [
            ("goes on", Setup::default()),
            ("is read", Setup { readers: vec![Box::new(All)], ..Setup::default() }),
            ("is left out", Setup { inspectors: vec![Box::new(Nothing)], ..Setup::default() }),
        ]
    };
    let relays = setups().map(|(what, setup)| (what, setup.relay()));
    let terminals = setups().map(|(what, setup)| (what, setup.terminal(Echo)));
    for (what, mut bench) in relays.into_iter().chain(terminals) {
        for (now, byte) in (1..).zip(frame(Side::Client, BINARY, &[7; 20])) {
            bench.now = now;
            bench.send(Side::Client, &[byte]);
            // Before it is whole a head is nothing.
            let data = if now < 6 { 0 } else { now };
            assert_eq!(bench.activity(Side::Client).data, Tick::new(data), "{what}");
        }
    }
}

#[test]
fn a_consumer_that_takes_nothing_is_stalled_and_its_producer_is_not_read() {
    let mut bench = Setup { room: 100, ..Setup::default() }.relay();
    let message = frame(Side::Upstream, BINARY, &[1; 90]);
    bench.send(Side::Upstream, &message);
    assert_eq!(bench.activity(Side::Client).stalled, None);
    bench.now = 4;
    bench.send(Side::Upstream, &message);
    assert_eq!(bench.activity(Side::Client).stalled, Some(Tick::new(4)));
    let upstream = bench.activity(Side::Upstream);
    assert!(upstream.blocked && upstream.stalled.is_none() && !bench.activity(Side::Client).blocked);

    bench.now = 6;
    bench.client.read(50);
    bench.poll();
    assert_eq!(bench.activity(Side::Client).stalled, Some(Tick::new(6)), "a byte is progress");
    bench.client.read(50);
    bench.poll();
    assert_eq!((bench.activity(Side::Client).stalled, bench.activity(Side::Upstream).blocked), (None, false));
}

#[test]
fn a_pong_is_not_awaited_while_its_leg_is_not_read() {
    let mut bench = Setup { room: 100, ..Setup::default() }.relay();
    assert!(bench.ping(Side::Upstream));
    let message = frame(Side::Upstream, BINARY, &[1; 90]);
    bench.send(Side::Upstream, &message).send(Side::Upstream, &message);
    bench.receive(Side::Upstream);
    bench.now = 10;
    // The backend's answer, behind what it has sent.
    assert!(bench.activity(Side::Upstream).ping.is_none(), "its messages have satisfied it");

    let mut bench = Setup { room: 10, ..Setup::default() }.relay();
    bench.upstream.write(&message[..10]);
    bench.poll().upstream.write(&message[10..20]);
    bench.poll();
    assert!(bench.activity(Side::Upstream).blocked);
    assert!(bench.ping(Side::Upstream), "the leg toward it is quiet");
    bench.now = 200;
    bench.receive(Side::Client);
    bench.poll();
    assert_eq!(bench.activity(Side::Upstream).ping, Some(Tick::new(200)), "it is read again from now on");
}

#[test]
fn a_ping_to_one_side_gives_the_other_no_more_time_for_its_pong() {
    for side in [Side::Client, Side::Upstream] {
        let mut bench = relay();
        assert!(bench.ping(side));
        bench.poll().now = 5;
        assert!(bench.ping(side.other()));
        assert!(!bench.activity(side).blocked, "a ping that is queued blocks nobody");
        bench.poll();
        assert_eq!(bench.activity(side).ping, Some(Tick::new(0)), "{side:?}");
    }
}
