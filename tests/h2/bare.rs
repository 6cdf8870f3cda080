//! A client of bare frames, for what no library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::in_time;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    [&[high, middle, low, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK has them without a table: literal, not to be kept, not compressed. Short ones alone.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What a WebSocket is asked for by.
pub(crate) const EXTENDED: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/echo"),
    ("sec-websocket-version", "13"),
];

pub(crate) struct Bare(pub(crate) TcpStream);

impl Bare {
    /// A connection that has begun.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let mut bare = Self(TcpStream::connect(address).await.unwrap());
        bare.say(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        bare
    }

    /// The other side may have heard enough before it has heard it all.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        _ = self.0.write_all(bytes).await;
    }

    /// The next frame of this kind: its stream and payload; none where the connection ends before.
    pub(crate) async fn next(&mut self, wanted: u8) -> Option<(u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            in_time(self.0.read_exact(&mut head)).await.ok()?;
            let [a, b, c, kind, _, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            in_time(self.0.read_exact(&mut payload)).await.ok()?;
            if kind == wanted {
                return Some((u32::from_be_bytes(stream), payload));
            }
        }
    }

    /// The error of the GOAWAY that ends the connection; none where it ends without.
    pub(crate) async fn goes_away(&mut self) -> Option<u32> {
        self.next(GOAWAY).await.map(|(_, payload)| u32::from_be_bytes(payload[4..8].try_into().unwrap()))
    }
}
