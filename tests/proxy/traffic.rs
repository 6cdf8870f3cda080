//! What passes between a client and its backend once both are connected.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, Stream, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use super::proxied;
use super::support::{self, Gateway, Socket, backend, raw};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_glued_to_either_handshake_arrives() {
    let (sender, mut seen) = mpsc::channel(1);
    let address = backend::upgraded(b"\x81\x05early", move |mut stream| {
        let sender = sender.clone();
        async move { sender.send(raw::next_frame(&mut stream).await).await.unwrap() }
    });
    let gateway = Gateway::run(&proxied(&[address.await], "", ""));
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    let glued = [raw::upgrade("/chat", "").as_bytes(), &raw::frame(0x81, b"eager")].concat();
    client.write_all(&glued).await.unwrap();
    assert!(support::in_time(backend::read_head(&mut client)).await.starts_with("HTTP/1.1 101 "));
    assert_eq!(raw::next_frame(&mut client).await, (0x81, b"early".to_vec()));
    assert_eq!(support::in_time(seen.recv()).await.unwrap(), (0x81, b"eager".to_vec()));
}

/// Messages of the lengths at which the form of a head changes, of one that no read buffer holds, and one over 1 MiB.
fn messages(salt: u8) -> Vec<Message> {
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000, (1 << 20) + 1, 3];
    let payload = |length: usize| (0..length).map(|at| (at % 251) as u8 ^ salt).collect::<Vec<u8>>();
    lengths.iter().map(|length| Message::binary(payload(*length))).chain([Message::text("é".repeat(1000))]).collect()
}

type Sending = SplitSink<WebSocketStream<TcpStream>, Message>;
type Receiving = SplitStream<WebSocketStream<TcpStream>>;

async fn expect(receiving: &mut (impl Stream<Item = tungstenite::Result<Message>> + Unpin), messages: Vec<Message>) {
    for expected in messages {
        let received = support::in_time(receiving.next()).await.unwrap().unwrap();
        assert!(received == expected, "{} bytes came where {} were sent", received.len(), expected.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_size_pass_both_ways_at_once() {
    let address = backend::speaking(|socket| async move {
        let (mut sending, mut receiving): (Sending, Receiving) = socket.split();
        let send = async {
            for message in messages(7) {
                sending.send(message).await.unwrap();
            }
        };
        tokio::join!(send, expect(&mut receiving, messages(0)));
        sending.send(Message::text("all has come")).await.unwrap();
        while receiving.next().await.is_some_and(|message| message.is_ok()) {}
    });
    let mut gateway = Gateway::run(&proxied(&[address.await], "max_message = { client = \"2MiB\" }", ""));
    let (mut sending, mut receiving) = gateway.connect("public", "/chat").await.split();
    let send = async {
        for message in messages(0) {
            sending.send(message).await.unwrap();
        }
    };
    tokio::join!(send, expect(&mut receiving, messages(7)));
    expect(&mut receiving, vec![Message::text("all has come")]).await;
    sending.close().await.unwrap();
    while receiving.next().await.is_some_and(|message| message.is_ok()) {}
    drop((sending, receiving));
    let event = gateway.event("close");
    let bytes: usize = messages(0).iter().map(Message::len).sum();
    assert_eq!((&event["client_messages"], &event["client_bytes"]), (&json!(11), &json!(bytes)), "{event}");
    assert_eq!((&event["upstream_messages"], &event["upstream_bytes"]), (&json!(12), &json!(bytes + 12)), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_pass_end_to_end_and_are_answered_from_there() {
    let (sender, mut seen) = mpsc::channel(4);
    let address = backend::speaking(move |mut socket| {
        let sender = sender.clone();
        async move {
            socket.send(Message::Ping("from the backend".into())).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                sender.send(message).await.unwrap();
            }
        }
    });
    let gateway = Gateway::run(&proxied(&[address.await], "", ""));
    let mut socket: Socket = gateway.connect("public", "/chat").await;
    socket.send(Message::Ping("from the client".into())).await.unwrap();
    let mut received = Vec::new();
    for _ in 0..2 {
        received.push(support::in_time(socket.next()).await.unwrap().unwrap());
    }
    assert!(received.contains(&Message::Ping("from the backend".into())), "{received:?}");
    assert!(received.contains(&Message::Pong("from the client".into())), "{received:?}");
    let seen = [support::in_time(seen.recv()).await.unwrap(), support::in_time(seen.recv()).await.unwrap()];
    assert!(seen.contains(&Message::Ping("from the client".into())), "{seen:?}");
    assert!(seen.contains(&Message::Pong("from the backend".into())), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_and_what_stands_between_them_pass_as_they_came() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let gateway = Gateway::run(&proxied(&[address], "", ""));
    let mut client = raw::upgraded(gateway.address("public"), "/chat").await;
    let frames = [(0x01, b"one ".to_vec()), (0x89, b"ping".to_vec()), (0x00, Vec::new()), (0x80, b"two".to_vec()), (0x82, vec![0xff])];
    // One byte at a time, so that the gateway meets every cut.
    client.set_nodelay(true).unwrap();
    for byte in frames.iter().flat_map(|(first, payload)| raw::frame(*first, payload)) {
        client.write_all(&[byte]).await.unwrap();
    }
    drop(client);
    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
    assert_eq!(passed[..5], frames);
}
