//! The relay between real WebSocket peers over real sockets: what wakes it, and whether they agree with it.

use std::future::poll_fn;
use std::os::fd::AsFd;

use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use wsgate::stage::Ending;
use wsgate::wire::leg::Leg;
use wsgate::wire::relay::Relay;
use wsgate::wire::session::{Session, Settings};
use wsgate::wire::tick::Tick;

use super::bench::{facts, limits, unbounded};

type Socket = WebSocketStream<TcpStream>;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A client, a backend, and the relay between them, running until it ends.
async fn connected() -> (Socket, Socket, impl Future<Output = Ending>) {
    let ((client, near_client), (near_upstream, upstream)) = (pair().await, pair().await);
    let settings = Settings { client: facts(), limits: limits(u64::MAX), compression: false, inspectors: Vec::new(), budget: unbounded() };
    let mut relay = Relay::new(Leg::new(near_client, Vec::new()), Leg::new(near_upstream, Vec::new()), settings, Tick::new(0));
    let relayed = async move { poll_fn(|cx| relay.poll(cx, Tick::new(0), &|_| {})).await };
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let upstream = WebSocketStream::from_raw_socket(upstream, Role::Server, None).await;
    (client, upstream, relayed)
}

/// Sends messages of many sizes and receives as many, at once; gives what was received.
async fn converse(socket: &mut Socket, fill: u8) -> Vec<Message> {
    let (mut sink, stream) = socket.split();
    let sizes = (0..40_usize).map(|step| step.pow(4) / 7);
    let send = async {
        for size in sizes.clone() {
            sink.send(Message::Binary(vec![fill; size].into())).await.unwrap();
        }
    };
    let (received, ()) = tokio::join!(stream.take(sizes.len()).map(Result::unwrap).collect(), send);
    received
}

#[tokio::test]
async fn pressure_both_ways_at_once_does_not_deadlock() {
    let (mut client, mut upstream, relayed) = connected().await;
    let exchange = async {
        let (down, up) = tokio::join!(converse(&mut client, 1), converse(&mut upstream, 2));
        for (received, fill) in [(down, 2), (up, 1)] {
            let sizes = received.iter().map(Message::len).collect::<Vec<_>>();
            assert_eq!(sizes, (0..40_usize).map(|step| step.pow(4) / 7).collect::<Vec<_>>());
            assert!(received.iter().all(|message| matches!(message, Message::Binary(bytes) if bytes.iter().all(|byte| *byte == fill))));
        }
        client.close(None).await.unwrap();
        let closed = upstream.next().await;
        assert!(matches!(closed, Some(Ok(Message::Close(None)))), "{closed:?}");
        assert!(upstream.next().await.is_none());
        assert!(matches!(client.next().await, Some(Ok(Message::Close(None)))));
        assert!(client.next().await.is_none());
        drop((client, upstream));
    };
    let (ending, ()) = tokio::join!(relayed, exchange);
    assert_eq!((ending.by.as_str(), ending.outcome.id, ending.code), ("client", "closed", 1005));
}

#[tokio::test]
async fn a_relay_that_lasts_has_the_kernel_ask_after_its_backend() {
    let ((_client, near_client), (near_upstream, _upstream)) = (pair().await, pair().await);
    let socket = near_upstream.as_fd().try_clone_to_owned().unwrap();
    let settings = Settings { client: facts(), limits: limits(1000), compression: false, inspectors: Vec::new(), budget: unbounded() };
    let relay = Relay::new(Leg::new(near_client, Vec::new()), Leg::new(near_upstream, Vec::new()), settings, Tick::new(0));
    assert!(!SockRef::from(&socket).keepalive().unwrap());
    relay.lasts();
    assert!(SockRef::from(&socket).keepalive().unwrap());
}

#[tokio::test]
async fn a_backends_close_and_the_clients_answer_end_the_connection_cleanly() {
    let (mut client, mut upstream, relayed) = connected().await;
    let exchange = async {
        client.send(Message::Ping(Bytes::from_static(b"hello"))).await.unwrap();
        assert_eq!(upstream.next().await.unwrap().unwrap(), Message::Ping(Bytes::from_static(b"hello")));
        upstream.flush().await.unwrap();
        let close = CloseFrame { code: 4003.into(), reason: "moved".into() };
        upstream.close(Some(close.clone())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"hello")));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Close(Some(close.clone())));
        // Its next read sends the answer, and lasts until the gateway has closed the client's TCP.
        let (end, answer) = tokio::join!(client.next(), upstream.next());
        assert!(end.is_none());
        assert_eq!(answer.unwrap().unwrap(), Message::Close(Some(close)));
        drop((client, upstream));
    };
    let (ending, ()) = tokio::join!(relayed, exchange);
    assert_eq!((ending.by.as_str(), ending.outcome.id, ending.code, &*ending.reason), ("upstream", "closed", 4003, "moved"));
}

#[tokio::test]
async fn a_client_that_resets_its_connection_is_lost() {
    let (client, mut upstream, relayed) = connected().await;
    let exchange = async {
        upstream.send(Message::text("never read")).await.unwrap();
        client.get_ref().readable().await.unwrap();
        // Closing with unread input resets the connection.
        drop(client);
        let closed = upstream.next().await;
        assert!(matches!(&closed, Some(Ok(Message::Close(Some(close)))) if u16::from(close.code) == 1001), "{closed:?}");
        assert!(matches!(upstream.next().await, None | Some(Err(Error::ConnectionClosed))));
        drop(upstream);
    };
    let (ending, ()) = tokio::join!(relayed, exchange);
    assert_eq!((ending.by.as_str(), ending.outcome.id, ending.code), ("client", "client_lost", 1006));
}
