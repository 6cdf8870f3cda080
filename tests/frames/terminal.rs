//! Terminated endpoints and first messages: the gateway reads and answers whole messages itself.

use std::pin::pin;
use std::task::{Context, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wsgate::stage::refusal::{FORBIDDEN, MESSAGE_TOO_LARGE};
use wsgate::stage::{Message, Side};
use wsgate::wire::first_message::{NoMessage, first_message};
use wsgate::wire::leg::Leg;
use wsgate::wire::terminal::{Responder, Silent};
use wsgate::wire::tick::Tick;

use super::bench::{Bench, CLOSE_TIMEOUT, Setup};
use super::bytes::{BINARY, CLOSE, PING, PONG, TEXT, close, closing, frame, frames};

/// Greets, and answers in the same kind.
struct Echo;

impl Responder for Echo {
    fn greet(&mut self) -> Option<Message<'static>> {
        Some("welcome".into())
    }

    fn answer<'a>(&mut self, message: Message<'a>) -> Option<Message<'a>> {
        Some(message)
    }
}

fn echo() -> Bench {
    let mut bench = Setup::default().terminal(Echo);
    bench.poll();
    assert_eq!(bench.receive(Side::Client), frame(Side::Upstream, TEXT, b"welcome"));
    bench
}

#[test]
fn messages_are_answered_in_order_and_counted_both_ways() {
    let mut bench = echo();
    let fragments = [frame(Side::Client, 0x01, b"two "), frame(Side::Client, PING, b"p"), frame(Side::Client, 0x80, b"halves")];
    let bytes = [frame(Side::Client, TEXT, "größe".as_bytes()), fragments.concat(), frame(Side::Client, BINARY, &[0, 255])].concat();
    for part in bytes.chunks(5) {
        bench.send(Side::Client, part);
    }
    let answers = [(TEXT, "größe".as_bytes().to_vec()), (PONG, b"p".to_vec()), (TEXT, b"two halves".to_vec()), (BINARY, vec![0, 255])];
    assert_eq!(frames(&bench.receive(Side::Client)), answers);
    assert_eq!(bench.counted(Side::Client), (3, 19));
    assert_eq!(bench.counted(Side::Upstream), (4, 26));
}

#[test]
fn a_client_that_takes_no_answers_is_not_read() {
    let mut bench = Setup { room: 200, ..Setup::default() }.terminal(Echo);
    let message = frame(Side::Client, BINARY, &[7; 100]);
    let (mut sent, mut last) = (0, usize::MAX);
    while sent != last {
        last = sent;
        sent += bench.client.write(&message);
        bench.poll();
    }
    assert!(bench.activity(Side::Client).stalled.is_some() && bench.activity(Side::Client).blocked);
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.extend(bench.receive(Side::Client));
        bench.poll();
    }
    let whole = sent / message.len();
    assert_eq!(frames(&answers[..9 + whole * 102]).len(), whole + 1);
}

#[test]
fn a_read_of_many_messages_waits_where_the_answers_to_it_exceed_the_queue() {
    /// Answers each message with a thousand times as much.
    struct Loud;
    impl Responder for Loud {
        fn greet(&mut self) -> Option<Message<'static>> {
            None
        }
        fn answer<'a>(&mut self, _: Message<'a>) -> Option<Message<'a>> {
            Some(Message::Binary(vec![1; 10_000].into()))
        }
    }
    let mut bench = Setup { room: 30_000, ..Setup::default() }.terminal(Loud);
    bench.send(Side::Client, &frame(Side::Client, BINARY, b"").repeat(100));
    assert!(bench.counted(Side::Upstream).0 < 10, "not all are answered at once");
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.extend(bench.receive(Side::Client));
        bench.poll();
    }
    assert_eq!(frames(&answers).len(), 100);
}

#[test]
fn a_close_is_answered_with_its_own_code() {
    let mut bench = echo();
    bench.send(Side::Client, &[frame(Side::Client, TEXT, b"last"), close(Side::Client, 4000, "bye")].concat());
    assert_eq!(frames(&bench.receive(Side::Client)), [(TEXT, b"last".to_vec()), (CLOSE, closing(4000, "bye"))]);
    assert!(bench.client.is_shut());
    bench.client.shut_down();
    assert_eq!(bench.poll().ended(), ("client", "closed", 4000, "bye"));
}

#[test]
fn bad_messages_end_it_with_the_codes_of_their_rows() {
    let rows = [
        (frame(Side::Client, TEXT, b"\xff"), "not_utf8", 1007),
        (frame(Side::Client, TEXT, &[b'x'; 1001]), "message_too_large", 1009),
        (frame(Side::Upstream, TEXT, b"no mask"), "protocol_error", 1002),
        (frame(Side::Client, 0xc1, b"compressed"), "protocol_error", 1002),
    ];
    for (bad, id, code) in rows {
        let mut bench = echo();
        bench.send(Side::Client, &bad);
        let received = frames(&bench.receive(Side::Client));
        assert_eq!(received[0].1[..2], u16::to_be_bytes(code), "{id}");
        assert_eq!(bench.pass(CLOSE_TIMEOUT).ended().1, id);
    }
}

#[test]
fn it_ends_pings_and_is_lost_as_a_relay_does() {
    let mut bench = echo();
    assert!(bench.ping(Side::Client) && !bench.ping(Side::Upstream));
    assert_eq!(frames(&bench.poll().receive(Side::Client))[0].0, PING);
    assert!(bench.session.activity(Side::Upstream).is_none());
    bench.end(FORBIDDEN);
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(3003, "forbidden"))]);
    assert_eq!(bench.pass(CLOSE_TIMEOUT).ended(), ("gateway", "forbidden", 3003, "forbidden"));

    let mut bench = echo();
    assert_eq!(bench.vanish(Side::Client).ended(), ("client", "client_lost", 1006, ""));
}

#[test]
fn a_connection_opened_to_be_refused_hears_why() {
    let mut bench = Setup::default().terminal(Silent);
    bench.end(FORBIDDEN);
    assert_eq!(frames(&bench.receive(Side::Client)), [(CLOSE, closing(3003, "forbidden"))]);
}

#[tokio::test]
async fn a_first_message_is_read_alone_and_pings_before_it_are_answered() {
    let (mut client, near) = duplex(1000);
    let early = [frame(Side::Client, PING, b"p"), frame(Side::Client, TEXT, b"token")].concat();
    let mut leg = Leg::new(near, early[..10].to_vec());
    client.write_all(&early[10..]).await.unwrap();
    let behind = frame(Side::Client, TEXT, b"behind it");
    client.write_all(&behind).await.unwrap();
    let message = first_message(&mut leg, 100, None, Tick::new(0)).await.unwrap();
    assert_eq!(message, "token".into());
    let mut pong = [0; 3];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong[..], frame(Side::Upstream, PONG, b"p"));
    // What follows is still there, for a session or another call.
    assert_eq!(first_message(&mut leg, 100, None, Tick::new(0)).await.unwrap(), "behind it".into());
}

#[tokio::test]
async fn a_first_message_that_was_given_up_half_read_can_be_read_on() {
    let (mut client, near) = duplex(1000);
    let mut leg = Leg::new(near, Vec::new());
    let text = frame(Side::Client, TEXT, b"a token");
    client.write_all(&text[..9]).await.unwrap();
    {
        let reading = pin!(first_message(&mut leg, 100, None, Tick::new(0)));
        assert!(reading.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    client.write_all(&text[9..]).await.unwrap();
    assert_eq!(first_message(&mut leg, 100, None, Tick::new(0)).await.unwrap(), "a token".into());
}

#[tokio::test]
async fn without_a_first_message_it_is_known_why() {
    let read = async |bytes: &[u8]| {
        let (mut client, near) = duplex(1000);
        let mut leg = Leg::new(near, Vec::new());
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let no_message = first_message(&mut leg, 5, None, Tick::new(0)).await.unwrap_err();
        drop(leg);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (no_message, answer)
    };
    let (why, _) = read(&frame(Side::Client, TEXT, b"longer")).await;
    assert!(matches!(why, NoMessage::Refused(refusal) if refusal.outcome == MESSAGE_TOO_LARGE));
    let (why, answer) = read(&close(Side::Client, 1000, "no")).await;
    assert!(matches!(why, NoMessage::Ended(ending) if (ending.outcome.id, ending.code) == ("closed", 1000)));
    assert_eq!(answer, close(Side::Upstream, 1000, "no"));
    let (why, _) = read(&frame(Side::Client, TEXT, b"hello")[..7]).await;
    assert!(matches!(why, NoMessage::Ended(ending) if ending.outcome.id == "client_lost"));
}
