//! Ordinary HTTP beside WebSocket, over real sockets: what reaches a backend, what comes back, and what must never.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod connections;
mod framing;
mod limits;
mod peers;
mod stages;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use support::{Gateway, in_time};

/// A gateway whose only route passes ordinary requests to this backend; `route` and `more` are further lines.
pub(crate) fn config(backend: SocketAddr, route: &str, more: &str) -> String {
    let http = if route.contains("http =") { "" } else { "http = true\n" };
    format!("[listener.public]\naddress = \"127.0.0.1:0\"\n[route.app]\nendpoint = \"ws://{backend}\"\n{http}{route}\n{more}\n")
}

pub(crate) fn gateway(backend: SocketAddr) -> Gateway {
    Gateway::run(&config(backend, "", ""))
}

/// A peer of bare bytes, on either side.
pub(crate) struct Talk {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Talk {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self
    }

    /// Reads up to these bytes, and gives all with them.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let found = in_time(self.find(end)).await;
        found.unwrap_or_else(|| panic!("it ended before {end:?}: {:?}", String::from_utf8_lossy(&self.read)))
    }

    async fn find(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                let found: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return Some(String::from_utf8_lossy(&found).into_owned());
            }
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads so many bytes.
    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        let all = async {
            while self.read.len() < length {
                assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "it ended before {length} bytes");
            }
        };
        in_time(all).await;
        self.read.drain(..length).collect()
    }

    /// Everything that still comes until the other side ends, in whichever way.
    pub(crate) async fn rest(&mut self) -> String {
        let all = async { while matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {} };
        in_time(all).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Whether the other side ends the connection before it says anything.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.rest().await.is_empty()
    }
}

/// A backend whose every connection runs a script, and which counts them.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) async fn of<F>(script: impl Fn(Talk) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let address = support::backend::scripted(move |stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            script(Talk::over(stream))
        });
        Self { address: address.await, connections }
    }

    /// One that answers each request with `200`, its head and its body as it came, and tells them all.
    pub(crate) async fn mirror() -> (Self, mpsc::UnboundedReceiver<String>) {
        #[expect(clippy::disallowed_methods, reason = "a test reads all that is sent")]
        let (sender, seen) = mpsc::unbounded_channel();
        let backend = Self::of(move |mut talk| {
            let sender = sender.clone();
            async move {
                while let Some(head) = talk.find("\r\n\r\n").await {
                    let mut asked = head.clone();
                    if let Some(length) = support::backend::header(&head, "content-length") {
                        asked += &String::from_utf8(talk.exactly(length.parse().unwrap()).await).unwrap();
                    } else if support::backend::header(&head, "transfer-encoding").is_some() {
                        asked += &talk.until("0\r\n").await;
                        while !asked.ends_with("\r\n\r\n") {
                            asked += &talk.until("\r\n").await;
                        }
                    }
                    _ = sender.send(asked.clone());
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{asked}", asked.len());
                    _ = talk.stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        (backend.await, seen)
    }

    /// How many connections it has been given.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
