//! Whatever the cuts and the pressure, each peer's bytes reach the other as they were.

use proptest::collection::vec;
use proptest::prelude::*;
use wsgate::stage::Side;

use super::bench::{Bench, Setup, relay};
use super::bytes::{BINARY, PING, TEXT, frame, frames, traffic};

/// One direction's bytes: those still to be sent, and those received.
struct Way {
    from: Side,
    bytes: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
}

impl Way {
    fn new(from: Side, frames: &[Vec<u8>]) -> Self {
        Self { from, bytes: frames.concat(), sent: 0, received: Vec::new() }
    }

    fn send(&mut self, bench: &mut Bench, most: usize) {
        let end = self.bytes.len().min(self.sent.saturating_add(most));
        self.sent += bench.peer(self.from).write(&self.bytes[self.sent..end]);
    }

    fn receive(&mut self, bench: &mut Bench, most: usize) {
        let bytes = bench.peer(self.from.other()).read(most);
        self.received.extend(bytes);
    }
}

/// Sends and receives as `moves` say, then whatever is left. Each move: who, whether it sends, how many bytes.
fn exchange(bench: &mut Bench, ways: &mut [Way; 2], moves: &[(bool, bool, usize)]) {
    for &(who, sends, most) in moves {
        let way = &mut ways[usize::from(who)];
        if sends {
            way.send(bench, most);
        } else {
            way.receive(bench, most);
        }
        bench.poll();
    }
    for _ in 0..20_000 {
        for way in &mut *ways {
            way.send(bench, usize::MAX);
            bench.poll();
            way.receive(bench, usize::MAX);
            bench.poll();
        }
        if ways.iter().all(|way| way.received.len() == way.bytes.len()) {
            return;
        }
    }
}

/// How many messages, and how many bytes in data frames.
fn tally(traffic: &[Vec<u8>]) -> (u64, u64) {
    let data = traffic.iter().flat_map(|bytes| frames(bytes)).filter(|(first, _)| first & 0x08 == 0).collect::<Vec<_>>();
    let messages = data.iter().filter(|(first, _)| first & 0x0f != 0).count();
    (messages as u64, data.iter().map(|(_, payload)| payload.len() as u64).sum())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_ways_are_byte_exact_under_any_cuts_and_pressure(
        up in traffic(Side::Client),
        down in traffic(Side::Upstream),
        room in 1..300_usize,
        tells in any::<bool>(),
        early in any::<[u8; 2]>(),
        moves in vec((any::<bool>(), any::<bool>(), 1..120_usize), 0..200),
    ) {
        let mut ways = [Way::new(Side::Client, &up), Way::new(Side::Upstream, &down)];
        let mut setup = Setup { room, tells, ..Setup::default() };
        for ((way, early), bytes) in ways.iter_mut().zip(early).zip(&mut setup.early) {
            way.sent = usize::from(early).min(way.bytes.len());
            *bytes = way.bytes[..way.sent].to_vec();
        }
        let mut bench = setup.relay();
        exchange(&mut bench, &mut ways, &moves);
        for way in &ways {
            prop_assert_eq!(&way.received, &way.bytes, "from {:?}", way.from);
        }
        prop_assert!(bench.ending.is_none());
        prop_assert_eq!(bench.counted(Side::Client), tally(&up));
        prop_assert_eq!(bench.counted(Side::Upstream), tally(&down));
    }
}

#[test]
fn messages_larger_than_the_read_buffer_pass() {
    let mut bench = Setup { max_message: u64::MAX, room: 10_000, ..Setup::default() }.relay();
    let large = frame(Side::Client, BINARY, &vec![7; 300_000]);
    let mut ways =
        [Way::new(Side::Client, &[large.clone(), large]), Way::new(Side::Upstream, &[frame(Side::Upstream, BINARY, &vec![9; 200_000])])];
    exchange(&mut bench, &mut ways, &[]);
    assert!(ways.iter().all(|way| way.received == way.bytes));
}

#[test]
fn early_bytes_longer_than_the_read_buffer_pass() {
    // Of seven bytes each, so that the end of the buffer falls into a head.
    let early = frame(Side::Client, TEXT, b"x").repeat(30_000);
    let mut bench = Setup { early: [early.clone(), Vec::new()], ..Setup::default() }.relay();
    bench.poll();
    assert_eq!(bench.receive(Side::Upstream), early);
}

#[test]
fn no_byte_of_a_cut_head_or_control_frame_goes_on() {
    let ping = frame(Side::Client, PING, b"are you there");
    for cut in 1..ping.len() {
        let mut bench = relay();
        bench.send(Side::Client, &ping[..cut]);
        assert_eq!(bench.receive(Side::Upstream), b"", "{cut} bytes of a ping");
        bench.send(Side::Client, &ping[cut..]);
        assert_eq!(bench.receive(Side::Upstream), ping);
    }
    let text = frame(Side::Client, TEXT, b"hello");
    let mut bench = relay();
    assert_eq!(bench.send(Side::Client, &text[..5]).receive(Side::Upstream), b"");
    assert_eq!(bench.send(Side::Client, &text[5..8]).receive(Side::Upstream), text[..8]);
    assert_eq!(bench.send(Side::Client, &text[8..]).receive(Side::Upstream), text[8..]);
}

#[test]
fn a_direction_that_never_rests_does_not_starve_the_other() {
    let mut bench = Setup { room: 64, ..Setup::default() }.relay();
    let (up, down) = (frame(Side::Client, TEXT, b"up"), frame(Side::Upstream, BINARY, &[0; 50]));
    let mut answered = 0;
    for _ in 0..100 {
        bench.upstream.write(&down);
        bench.client.write(&up);
        bench.poll();
        bench.receive(Side::Client);
        answered += bench.receive(Side::Upstream).len();
    }
    assert_eq!(answered, 100 * up.len());
}
