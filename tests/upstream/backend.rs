//! Mock backends: they read a request's head, answer with whatever bytes the test gives, and then do as told.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsgate::endpoint::upstream::Server;

/// What a mock backend does once it has written its answer.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// Closes the connection.
    Close,
    /// Keeps it open and says no more.
    Hold,
    /// Resets it.
    Reset,
}

/// A backend that reads a request's head, answers and then does as told.
pub(crate) struct Backend {
    pub(crate) server: Server,
    pub(crate) heads: mpsc::Receiver<String>,
}

impl Backend {
    /// `answer` makes the bytes of the answer from the accept key.
    pub(crate) async fn start(then: Then, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = server(listener.local_addr().unwrap());
        let (seen, heads) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = read_head(&mut stream).await;
                let key =
                    head.lines().find_map(|line| line.to_lowercase().starts_with("sec-websocket-key: ").then(|| line[19..].to_owned()));
                let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
                seen.send(head).await.unwrap();
                // The gateway may have seen enough before it has seen it all.
                let _ = stream.write_all(&answer(&accept)).await;
                match then {
                    Then::Close => drop(stream),
                    Then::Hold => held.push(stream),
                    Then::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
                }
            }
        });
        Self { server, heads }
    }

    /// One that switches as it should and adds these lines and bytes.
    pub(crate) async fn good(lines: &'static str, glued: &'static [u8]) -> Self {
        Self::start(Then::Hold, move |accept| [switching(accept, lines).as_bytes(), glued].concat()).await
    }
}

pub(crate) fn switching(accept: &str, lines: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

pub(crate) fn server(address: SocketAddr) -> Server {
    format!("ws://{address}").parse().unwrap()
}

/// A server where nobody listens.
pub(crate) async fn nobody() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    server(listener.local_addr().unwrap())
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}
