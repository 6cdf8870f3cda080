//! What connections hold together is bounded, and all of it is given back.

use std::sync::Arc;

use wsgate::stage::{Fate, Message, MessageInspector, Refusal, Side};
use wsgate::wire::budget::Budget;

use super::bench::{Bench, Setup};
use super::bytes::{BINARY, CLOSE, TEXT, closing, frame, frames};
use super::pacing::Echo;

const CLIENT: Side = Side::Client;
const UPSTREAM: Side = Side::Upstream;

/// Reads everything and lets it pass.
struct All;

impl MessageInspector for All {
    fn message(&mut self, _: Side, _: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        Ok(Fate::Pass)
    }
}

fn reading(budget: &Arc<Budget>) -> Setup {
    Setup { readers: vec![Box::new(All)], budget: budget.clone(), max_message: 100_000, ..Setup::default() }
}

/// All but the last byte of a message, and that byte.
fn nearly(from: Side, length: usize) -> (Vec<u8>, Vec<u8>) {
    let mut all = frame(from, BINARY, &vec![7; length]);
    let last = all.split_off(all.len() - 1);
    (all, last)
}

#[test]
fn who_needs_more_than_is_left_is_closed_and_the_others_go_on() {
    for from in [CLIENT, UPSTREAM] {
        let budget = Arc::new(Budget::new(Some(200_000)));
        let (begun, last) = nearly(from, 50_000);
        let mut first = reading(&budget).relay();
        first.send(from, &begun);
        assert!((100_000..200_000).contains(&budget.held()), "the message and its frame: {}", budget.held());
        let mut second = reading(&budget).relay();
        second.send(from, &begun);
        assert_eq!(frames(&second.receive(CLIENT)), [(CLOSE, closing(1013, "try again later"))]);
        assert_eq!(frames(&second.receive(UPSTREAM)), [(CLOSE, closing(1001, ""))]);
        for side in [CLIENT, UPSTREAM] {
            second.peer(side).shut_down();
        }
        let ended = second.poll().ended();
        assert_eq!((ended.1, budget.held() < 200_000), ("overloaded", true));
        assert_eq!(first.send(from, &last).receive(from.other()).len(), begun.len() + 1, "who came first goes on");
        assert_eq!(budget.held(), 0, "{from:?}");
    }
}

#[test]
fn an_endpoint_of_the_gateway_s_own_holds_no_more_either() {
    let budget = Arc::new(Budget::new(Some(10_000)));
    let setup = || Setup { budget: budget.clone(), max_message: 100_000, ..Setup::default() };
    let mut bench = setup().terminal(Echo);
    bench.send(CLIENT, &nearly(CLIENT, 50_000).0);
    assert_eq!(frames(&bench.receive(CLIENT)), [(CLOSE, closing(1013, "try again later"))]);
    let mut small = setup().terminal(Echo);
    assert_eq!(frames(&small.send(CLIENT, &frame(CLIENT, TEXT, b"small")).receive(CLIENT)), [(TEXT, b"small".to_vec())]);
    drop(bench);
    assert_eq!(budget.held(), 0);
}

#[test]
fn what_a_peer_does_not_take_counts_until_it_does() {
    let budget = Arc::new(Budget::new(None));
    let mut bench = Setup { room: 100, budget: budget.clone(), max_message: 100_000, ..Setup::default() }.relay();
    let messages = [frame(CLIENT, BINARY, &[7; 90]), frame(CLIENT, BINARY, &[8; 90])];
    bench.send(CLIENT, &messages[0]).send(CLIENT, &messages[1]);
    assert!(budget.held() > 0, "the second has room for its beginning only");
    let mut received = bench.receive(UPSTREAM);
    received.extend(bench.poll().receive(UPSTREAM));
    assert_eq!(received, messages.concat());
    assert_eq!(budget.held(), 0);
}

#[test]
fn what_stages_have_said_and_waits_for_its_turn_counts_until_it_is_sent() {
    /// Answers everything itself.
    struct Answers;
    impl MessageInspector for Answers {
        fn reads(&self, from: Side) -> bool {
            from == CLIENT
        }
        fn message(&mut self, _: Side, _: &Message<'_>) -> Result<Fate, Box<Refusal>> {
            Ok(Fate::Reply(Message::Binary(vec![7; 5000].into()), None))
        }
    }
    let (begun, ended) = (frame(UPSTREAM, 0x01, b"a long "), frame(UPSTREAM, 0x80, b"story"));
    let asked = frame(CLIENT, TEXT, b"?");
    let budget = Arc::new(Budget::new(Some(30_000)));
    let setup = || Setup { readers: vec![Box::new(Answers)], budget: budget.clone(), ..Setup::default() };
    let mut bench = setup().relay();
    bench.send(UPSTREAM, &begun).send(CLIENT, &asked);
    assert!((5000..20_000).contains(&budget.held()), "{}", budget.held());
    let mut other = setup().relay();
    other.send(UPSTREAM, &begun).send(CLIENT, &asked.repeat(6));
    assert_eq!(frames(&other.receive(CLIENT)[begun.len()..]), [(CLOSE, closing(1013, "try again later"))]);
    drop(other);
    bench.send(UPSTREAM, &ended);
    assert_eq!(frames(&bench.receive(CLIENT)[begun.len() + ended.len()..]), [(BINARY, vec![7; 5000])]);
    assert_eq!(budget.held(), 0);
}

#[test]
fn who_is_gone_holds_nothing() {
    let budget = Arc::new(Budget::new(None));
    let mut bench: Bench = reading(&budget).relay();
    bench.send(CLIENT, &nearly(CLIENT, 5000).0);
    assert!(budget.held() > 5000);
    drop(bench);
    assert_eq!(budget.held(), 0);
}
