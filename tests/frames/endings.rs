//! How connections end: who is told what, in which order, and when patience is over.

use wsgate::stage::refusal::{FORBIDDEN, LIFETIME, TOKEN_EXPIRED};
use wsgate::stage::{Message, Refusal, Side};
use wsgate::wire::leg::Leg;
use wsgate::wire::relay::Relay;
use wsgate::wire::session::{Session, Settings};
use wsgate::wire::tick::Tick;

use super::bench::{Bench, CLOSE_TIMEOUT, Nowhere, Setup, facts, limits, relay, unbounded};
use super::bytes::{BINARY, CLOSE, TEXT, close, closing, frame, frames};

const SIDES: [Side; 2] = [Side::Client, Side::Upstream];

/// Asserts that a peer has received exactly a Close with this code and reason, and nothing before it.
fn assert_closed(bench: &mut Bench, side: Side, code: u16, reason: &str) {
    let received = bench.receive(side);
    assert_eq!(frames(&received), [(CLOSE, closing(code, reason))], "toward {side:?}");
}

/// Both peers close their sockets.
fn shut_down(bench: &mut Bench) {
    bench.client.shut_down();
    bench.upstream.shut_down();
    bench.poll();
}

#[test]
fn a_close_and_its_answer_pass_byte_exact() {
    for side in SIDES {
        for payload in [&b""[..], b"\x03\xe8", b"\x03\xf6bad gateway", b"\x0f\xa0bye"] {
            let mut bench = relay();
            let close = frame(side, CLOSE, payload);
            assert_eq!(bench.send(side, &close).receive(side.other()), close);
            assert_eq!(bench.receive(side), b"");
            let answer = frame(side.other(), CLOSE, payload);
            assert_eq!(bench.send(side.other(), &answer).receive(side), answer);

            assert!(bench.client.is_shut(), "the client's TCP is closed first");
            assert!(!bench.upstream.is_shut(), "the backend, a server, closes its own");
            shut_down(&mut bench);
            let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            let reason = String::from_utf8(payload.get(2..).unwrap_or_default().to_vec()).unwrap();
            let by = if side == Side::Client { "client" } else { "upstream" };
            assert_eq!(bench.ended(), (by, "closed", code, reason.as_str()));
        }
    }
}

#[test]
fn messages_under_way_still_pass_until_the_answer() {
    let mut bench = relay();
    bench.send(Side::Client, &close(Side::Client, 1000, "")).receive(Side::Upstream);
    let message = frame(Side::Upstream, TEXT, b"last words");
    assert_eq!(bench.send(Side::Upstream, &message).receive(Side::Client), message);
}

#[test]
fn data_behind_a_close_is_discarded() {
    for side in SIDES {
        let mut bench = relay();
        let close = close(side, 1000, "");
        bench.send(side, &[close.clone(), frame(side, TEXT, b"and another thing")].concat());
        bench.send(side, b"not even a frame");
        assert_eq!(bench.receive(side.other()), close);
    }
}

#[test]
fn a_backend_that_keeps_its_socket_open_is_waited_for_no_longer_than_the_close_timeout() {
    let mut bench = relay();
    bench.send(Side::Client, &close(Side::Client, 1000, "")).send(Side::Upstream, &close(Side::Upstream, 1000, ""));
    bench.client.shut_down();
    assert!(bench.poll().ending.is_none());
    assert!(bench.pass(CLOSE_TIMEOUT - 1).ending.is_none());
    assert_eq!(bench.pass(1).ended(), ("client", "closed", 1000, ""));
}

#[test]
fn a_close_that_is_not_answered_in_time_is_echoed() {
    for side in SIDES {
        let mut bench = relay();
        bench.send(side, &close(side, 4001, "enough")).receive(side.other());
        assert_eq!(bench.session.deadline(), Some(Tick::new(CLOSE_TIMEOUT)));
        bench.pass(CLOSE_TIMEOUT - 1);
        assert_eq!(bench.receive(side), b"");
        bench.pass(1);
        assert_closed(&mut bench, side, 4001, "enough");
        bench.peer(side).shut_down();
        bench.pass(10);
        assert_eq!(bench.ended().1, "closed");
    }
}

#[test]
fn a_close_without_a_code_is_echoed_without_one() {
    let mut bench = relay();
    bench.send(Side::Client, &frame(Side::Client, CLOSE, b"")).vanish(Side::Upstream);
    assert_eq!(bench.receive(Side::Client), frame(Side::Upstream, CLOSE, b""));
    bench.client.shut_down();
    assert_eq!(bench.poll().ended(), ("client", "closed", 1005, ""));
}

#[test]
fn a_peer_that_vanishes_or_breaks_the_protocol_instead_of_answering_has_its_answer_given() {
    for side in SIDES {
        for vanishes in [true, false] {
            let mut bench = relay();
            bench.send(side, &close(side, 1000, "bye")).receive(side.other());
            if vanishes {
                bench.vanish(side.other())
            } else {
                bench.send(side.other(), b"\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0")
            };
            assert_closed(&mut bench, side, 1000, "bye");
        }
    }
}

#[test]
fn a_lost_client_is_reported_to_the_backend_as_1001() {
    let mut bench = relay();
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"hello")[..3]);
    bench.vanish(Side::Client);
    assert_closed(&mut bench, Side::Upstream, 1001, "");
    bench.upstream.shut_down();
    assert_eq!(bench.poll().ended(), ("client", "client_lost", 1006, ""));
}

#[test]
fn a_client_that_ends_its_sending_without_a_close_is_lost() {
    let mut bench = relay();
    bench.client.shut_down();
    bench.poll();
    assert_closed(&mut bench, Side::Upstream, 1001, "");
}

#[test]
fn a_backend_lost_between_frames_is_reported_to_the_client_as_1011() {
    let mut bench = relay();
    let part = frame(Side::Upstream, 0x01, b"first half");
    bench.send(Side::Upstream, &part).vanish(Side::Upstream);
    let received = bench.receive(Side::Client);
    assert_eq!(received, [part, close(Side::Upstream, 1011, "backend lost")].concat());
    bench.client.shut_down();
    assert_eq!(bench.poll().ended(), ("upstream", "upstream_lost", 1011, "backend lost"));
}

#[test]
fn a_peer_lost_within_a_frame_leaves_the_other_with_the_end_of_its_tcp() {
    for side in SIDES {
        let mut bench = relay();
        let text = frame(side, TEXT, b"hello");
        bench.send(side, &text[..8 - 2]).send(side, &text[6..10.min(text.len() - 1)]);
        bench.vanish(side);
        let other = side.other();
        assert!(text.starts_with(&bench.receive(other)));
        assert!(bench.peer(other).is_shut());
        bench.peer(other).shut_down();
        assert!(bench.poll().ended().1.ends_with("_lost"));
    }
}

#[test]
fn a_policy_ending_tells_both_and_waits_until_they_are_gone() {
    let mut bench = relay();
    bench.end(FORBIDDEN);
    assert_closed(&mut bench, Side::Client, 3003, "forbidden");
    assert_closed(&mut bench, Side::Upstream, 1001, "");
    assert!(bench.client.is_shut() && bench.upstream.is_shut());
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"too late"));
    assert_eq!(bench.receive(Side::Upstream), b"");
    assert!(bench.ending.is_none(), "unread input would destroy the Close");
    shut_down(&mut bench);
    assert_eq!(bench.ended(), ("gateway", "forbidden", 3003, "forbidden"));
}

#[test]
fn peers_that_stay_are_given_up_at_the_close_timeout() {
    let mut bench = relay();
    bench.end(LIFETIME);
    assert_eq!(bench.session.deadline(), Some(Tick::new(CLOSE_TIMEOUT)));
    assert!(bench.pass(CLOSE_TIMEOUT - 1).ending.is_none());
    assert_eq!(bench.pass(1).ended(), ("gateway", "lifetime", 1001, "connection lifetime reached"));
}

#[test]
fn a_frame_that_is_going_out_may_finish_and_nothing_behind_it_goes_on() {
    for side in SIDES {
        let mut bench = relay();
        let text = frame(side, TEXT, b"a longer message");
        bench.send(side, &text[..12]).end(FORBIDDEN);
        bench.send(side, &[&text[12..], &frame(side, TEXT, b"too late")].concat());
        let received = frames(&bench.receive(side.other()));
        let code = if side == Side::Client { closing(1001, "") } else { closing(3003, "forbidden") };
        assert_eq!(received, [(TEXT, b"a longer message".to_vec()), (CLOSE, code)]);
    }
}

#[test]
fn a_frame_that_does_not_finish_in_time_costs_its_receiver_the_close() {
    for (outcome, grace) in [(FORBIDDEN, 10), (TOKEN_EXPIRED, 5)] {
        for side in SIDES {
            let mut bench = relay();
            let text = frame(side, TEXT, b"a longer message");
            bench.send(side, &text[..12]).end(outcome);
            assert_eq!(bench.session.deadline(), Some(Tick::new(grace)));
            bench.pass(grace - 1).send(side, &text[12..14]);
            assert!(!bench.peer(side.other()).is_over);
            bench.pass(1).send(side, &text[14..]);
            assert_eq!(bench.receive(side.other()), text[..14]);
            assert!(bench.peer(side.other()).is_shut());
            assert_eq!(frames(&bench.receive(side)).len(), 1, "the other has its Close");
        }
    }
}

#[test]
fn a_frame_goes_on_to_its_end_however_much_waits_to_be_said_to_its_sender() {
    let mut bench = relay();
    let text = frame(Side::Client, TEXT, b"a longer message");
    // A message toward the client is open: what it is told waits.
    bench.send(Side::Upstream, &frame(Side::Upstream, 0x01, b"begun"));
    bench.send(Side::Client, &text[..12]);
    bench.session.say(&Message::Binary(vec![7; 1 << 16].into()), Tick::new(0));
    bench.end(FORBIDDEN).send(Side::Client, &text[12..]);
    let received = bench.receive(Side::Upstream);
    assert_eq!(frames(&received), [(TEXT, b"a longer message".to_vec()), (CLOSE, closing(1001, ""))]);
}

#[test]
fn a_client_too_slow_for_its_close_is_given_up_after_the_grace() {
    let mut bench = Setup { room: 20, ..Setup::default() }.relay();
    bench.send(Side::Upstream, &frame(Side::Upstream, TEXT, &[b'x'; 16])).send(Side::Upstream, &frame(Side::Upstream, TEXT, &[b'x'; 16]));
    bench.end(FORBIDDEN).receive(Side::Upstream);
    bench.upstream.shut_down();
    bench.pass(9);
    assert!(bench.poll().ending.is_none());
    assert_eq!(bench.pass(1).ended().1, "forbidden");
}

#[test]
fn the_clients_bytes_that_wait_for_the_backend_stop_with_the_frame_going_out() {
    let mut bench = Setup { room: 20, ..Setup::default() }.relay();
    let text = frame(Side::Client, TEXT, b"0123456789");
    // The pipe to the backend takes the first frame and a part of the second; what is left of it, and some of a third, wait.
    for part in text.repeat(3)[..40].chunks(20) {
        bench.send(Side::Client, part);
    }
    assert!(bench.activity(Side::Client).blocked);
    bench.end(FORBIDDEN);
    let mut received = Vec::new();
    for _ in 0..5 {
        received.extend(bench.receive(Side::Upstream));
        bench.poll();
    }
    let received = frames(&received);
    assert_eq!(received.last(), Some(&(CLOSE, closing(1001, ""))));
    assert_eq!(received.len(), 3, "two messages and a Close: {received:?}");
}

#[test]
fn a_notice_goes_ahead_of_the_close_where_no_message_is_open() {
    let mut refusal = Refusal::new(FORBIDDEN);
    refusal.telling.notify = Some(std::sync::Arc::new("you are out".parse().unwrap()));
    for (first, notices) in [(0x81, 1), (0x01, 0)] {
        let mut bench = relay();
        bench.send(Side::Upstream, &frame(Side::Upstream, first, b"hi")).receive(Side::Client);
        bench.session.end(Box::new(refusal.clone()), Tick::new(0));
        let received = bench.poll().receive(Side::Client);
        let received = frames(&received);
        let notice = [(TEXT, b"you are out".to_vec()), (CLOSE, closing(3003, "forbidden"))];
        assert_eq!(received, notice[1 - notices..]);
        assert_closed(&mut bench, Side::Upstream, 1001, "");
    }
}

#[test]
fn a_reason_is_cut_to_what_a_close_can_carry() {
    let mut bench = relay();
    let mut refusal = Refusal::new(FORBIDDEN);
    refusal.reason = "é".repeat(100).into();
    bench.session.end(Box::new(refusal), Tick::new(0));
    bench.poll();
    assert_closed(&mut bench, Side::Client, 3003, &"é".repeat(61));
}

#[test]
fn a_second_ending_changes_nothing() {
    let mut bench = relay();
    bench.end(FORBIDDEN).end(LIFETIME);
    assert_closed(&mut bench, Side::Client, 3003, "forbidden");
    shut_down(&mut bench);
    assert_eq!(bench.ended().1, "forbidden");
}

#[test]
fn a_close_that_a_backend_left_behind_is_found_though_it_takes_no_more() {
    let mut bench = relay();
    let close = close(Side::Upstream, 4002, "full");
    bench.upstream.write(&close);
    bench.client.write(&frame(Side::Client, BINARY, b"to nobody"));
    bench.vanish(Side::Upstream);
    assert_eq!(bench.receive(Side::Client), close);
    bench.client.shut_down();
    bench.poll();
    assert_eq!(bench.ended(), ("upstream", "closed", 4002, "full"));
}

#[test]
fn a_socket_that_takes_no_more_and_has_nothing_to_give_is_lost() {
    let mut bench = Setup::default().relay_to_nowhere();
    bench.send(Side::Client, &frame(Side::Client, TEXT, b"anybody there"));
    assert_closed(&mut bench, Side::Client, 1011, "backend lost");
    bench.client.shut_down();
    assert_eq!(bench.poll().ended().1, "upstream_lost");
}

#[test]
fn a_client_whose_socket_takes_no_more_and_has_nothing_to_give_is_lost_too() {
    let mut bench = Setup::default().relay_from_nowhere();
    bench.send(Side::Upstream, &frame(Side::Upstream, TEXT, b"anybody there"));
    assert_closed(&mut bench, Side::Upstream, 1001, "");
    bench.upstream.shut_down();
    assert_eq!(bench.poll().ended().1, "client_lost");
}

#[test]
fn two_peers_that_take_nothing_any_more_are_both_given_up() {
    let settings = Settings { client: facts(), limits: limits(1000), compression: false, inspectors: Vec::new(), budget: unbounded() };
    let (client, upstream) = (Nowhere(frame(Side::Client, BINARY, b"x")), Nowhere(frame(Side::Upstream, BINARY, b"x")));
    let mut relay = Relay::new(Leg::new(client, Vec::new()), Leg::new(upstream, Vec::new()), settings, Tick::new(0));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(relay.poll(&mut context, Tick::new(0), &|_| {}).is_ready());
}
