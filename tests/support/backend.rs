//! Backends for a gateway to front: an honest echo, and servers that do exactly what a test tells them.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;

/// What a backend saw of a request: the head as it came.
pub type Head = String;

/// An echo server; gives its address and the heads of the requests it gets.
pub async fn echo() -> (SocketAddr, mpsc::Receiver<http::Request<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut seen = None;
                #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
                let note = |request: &Request, mut response: Response| {
                    seen = Some(request.clone());
                    if let Some(offer) = request.headers().get("sec-websocket-protocol") {
                        let first = offer.to_str().unwrap().split(',').next().unwrap().trim().to_owned();
                        response.headers_mut().insert("sec-websocket-protocol", first.parse().unwrap());
                    }
                    Ok(response)
                };
                let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, note).await else { return };
                _ = sender.try_send(seen.unwrap());
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, requests)
}

/// A server whose every connection runs `script` on the bare socket.
pub async fn scripted<F>(script: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    address
}

/// A server that answers nothing; says that it was asked, and then that the gateway has hung up.
pub async fn silent() -> (SocketAddr, mpsc::Receiver<()>) {
    let (sender, told) = mpsc::channel(16);
    let address = scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            read_head(&mut stream).await;
            sender.send(()).await.unwrap();
            _ = stream.read_to_end(&mut Vec::new()).await;
            sender.send(()).await.unwrap();
        }
    });
    (address.await, told)
}

/// A server that upgrades properly, writes `glued` right behind its 101, then runs `script` on the upgraded socket.
pub async fn upgraded<F>(glued: &'static [u8], script: impl Fn(TcpStream) -> F + Clone + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    scripted(move |mut stream| {
        let script = script.clone();
        async move {
            let head = read_head(&mut stream).await;
            let mut answer = switching(&head).into_bytes();
            answer.extend_from_slice(glued);
            stream.write_all(&answer).await.unwrap();
            script(stream).await;
        }
    })
    .await
}

/// A server that upgrades properly, says this, and tells all it was sent once the gateway has ended the TCP connection. It answers
/// nothing.
pub async fn witness(says: Vec<u8>) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let (sender, seen) = mpsc::channel(16);
    let address = upgraded(b"", move |mut stream| {
        let (says, sender) = (says.clone(), sender.clone());
        async move {
            // The gateway may have seen enough before it has seen it all.
            _ = stream.write_all(&says).await;
            let mut all = Vec::new();
            _ = stream.read_to_end(&mut all).await;
            _ = sender.send(all).await;
        }
    });
    (address.await, seen)
}

/// The same, with a WebSocket in the script's hands.
pub async fn speaking<F>(script: impl Fn(WebSocketStream<TcpStream>) -> F + Clone + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    upgraded(b"", move |stream| {
        let script = script.clone();
        async move { script(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await }
    })
    .await
}

/// Reads a request head.
pub async fn read_head(stream: &mut TcpStream) -> Head {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A header of a head, by its name in any case.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()))
}

/// The 101 that belongs to a request head.
pub fn switching(head: &str) -> String {
    let accept = derive_accept_key(header(head, "sec-websocket-key").unwrap_or_default().as_bytes());
    format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
}

/// An address nobody listens at: it stays bound for as long as the tests run, so that nobody else is given it.
pub async fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}
