//! Both handshakes end to end: a real client and a real backend, with the gateway's two halves between them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error, Message, handshake::derive_accept_key};
use wsgate::endpoint::upstream::{Facts, Opened, Refused, Settings, Upstream};
use wsgate::wire::answers;
use wsgate::wire::extensions::Compression;
use wsgate::wire::handshake::receive;
use wsgate::wire::head::{Limits, Reader, Unread};
use wsgate::wire::linger::linger;
use wsgate::wire::proxy_protocol::Ends;
use wsgate::wire::upgrade::Upgrade;

const LINGER: Duration = Duration::from_secs(5);

/// Serves one connection as the engine would, without policy.
async fn serve(mut client: TcpStream, upstream: &Upstream) {
    let ip = client.peer_addr().unwrap().ip();
    let head = match Reader::new(Limits::default()).read(&mut client).await {
        Ok(head) => head,
        Err(Unread::Refused(refusal)) => {
            client.write_all(&answers::raw(&refusal)).await.unwrap();
            return linger(client, LINGER).await;
        }
        Err(Unread::Nothing | Unread::Cut) => return,
    };
    let (request, exchange) = receive(client, head).unwrap();
    let opened = match Upgrade::check(&request, Compression::Pass) {
        Ok(upgrade) => {
            let target = request.uri.path_and_query().unwrap().as_str();
            let ends = Ends { source: (ip, 50_000).into(), destination: ([127, 0, 0, 1], 80).into() };
            let facts = Facts { ip, hops: &[], ends, user: None, secure: false, target, offer: &upgrade.offer, extra: &[] };
            upstream.open(&request, &facts, &mut Vec::new()).await.map(|opened| (upgrade, opened))
        }
        Err(refusal) => Err(Refused::Gateway(refusal)),
    };
    drop(request);
    let refused = match opened {
        Ok((upgrade, Opened { mut stream, early, lease: _lease, subprotocol, extensions, headers, .. })) => {
            let extensions = extensions.and_then(|deflate| deflate.header());
            let answer = answers::switching(&upgrade.accept, subprotocol, extensions, headers);
            let (mut client, sent) = exchange.answer(answer).await.unwrap();
            client.write_all(&early).await.unwrap();
            stream.write_all(&sent).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut stream).await;
            return;
        }
        Err(Refused::Gateway(refusal)) => answers::refusal(&refusal),
        Err(Refused::Backend(_, response)) => *response,
    };
    let (client, _) = exchange.answer(refused).await.unwrap();
    linger(client, LINGER).await;
}

/// A gateway before this backend; its address.
async fn gateway(backend: &TcpListener) -> String {
    let server = format!("ws://{}", backend.local_addr().unwrap()).parse().unwrap();
    let upstream = Arc::new(Upstream::new(Settings::new(vec![server]), Arc::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = upstream.clone();
            tokio::spawn(async move { serve(client, &upstream).await });
        }
    });
    address
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Sends bytes and reads all that comes until the other side closes.
async fn answer_to(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_real_client_and_a_real_backend_talk_through_both_handshakes() {
    let backend = listener().await;
    let address = gateway(&backend).await;
    tokio::spawn(async move {
        let (stream, _) = backend.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let (mut socket, response) = tokio_tungstenite::connect_async(format!("ws://{address}/chat?x=1")).await.unwrap();
    assert_eq!(response.status(), 101);
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        assert!(message.unwrap().is_close());
    }
}

#[tokio::test]
async fn what_is_glued_to_either_handshake_arrives_in_order() {
    let backend = listener().await;
    let address = gateway(&backend).await;
    let serve = tokio::spawn(async move {
        let (mut stream, _) = backend.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        request.parse(&bytes).unwrap();
        let key = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("sec-websocket-key")).unwrap().value;
        let accept = derive_accept_key(key);
        let answer =
            format!("HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\nglued ");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(b"later").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received
    });
    let mut client = TcpStream::connect(&address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly ";
    client.write_all(request.as_bytes()).await.unwrap();
    client.write_all(b"and late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.to_lowercase().contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nglued later"), "{answer}");
    assert_eq!(serve.await.unwrap(), b"early and late");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_has_sent_more_than_was_read() {
    let backend = listener().await;
    let address = gateway(&backend).await;
    let flood = "x".repeat(100_000);
    let rows = [
        (format!("GET /{flood}"), "HTTP/1.1 414 URI Too Long\r\n", "(uri_too_long)"),
        (format!("GET / HTTP/1.1\r\nX: {flood}"), "HTTP/1.1 431 Request Header Fields Too Large\r\n", "(head_too_large)"),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n\r\n{flood}"), "HTTP/1.1 426 Upgrade Required\r\n", "(upgrade_required)"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{flood}"), "HTTP/1.1 426 Upgrade Required\r\n", "(upgrade_required)"),
    ];
    for (request, status, id) in rows {
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(status) && answer.contains(id), "{answer}");
    }
}

#[tokio::test]
async fn a_backends_own_refusal_reaches_a_real_client() {
    let backend = listener().await;
    let address = gateway(&backend).await;
    tokio::spawn(async move {
        let (mut stream, _) = backend.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
            .await
            .unwrap();
    });
    match tokio_tungstenite::connect_async(format!("ws://{address}/")).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 403);
            assert_eq!(response.headers()["x-why"], "because");
            assert_eq!(response.body().as_deref(), Some(b"no".as_slice()));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dead_backend_is_a_502_and_no_close() {
    let backend = listener().await;
    let address = gateway(&backend).await;
    drop(backend);
    let answer = answer_to(&address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    match tokio_tungstenite::connect_async(format!("ws://{address}/")).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 502),
        other => panic!("{other:?}"),
    }
}
