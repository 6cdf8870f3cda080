//! How connections end after the 101: what the client sees, what the backend sees, and the one `close` line of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod closes;
mod lost;
mod stopping;
mod table;
mod time;

use std::net::SocketAddr;

use serde_json::{Value, json};
use support::{Gateway, raw};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A listener with a route `/0`, `/1`, … to each of these endpoints, all with these keys.
fn routes(endpoints: impl IntoIterator<Item = String>, keys: &str) -> String {
    let mut config = format!("[listener.public]\naddress = \"127.0.0.1:0\"\n[gateway.route]\n{keys}\n");
    for (index, endpoint) in endpoints.into_iter().enumerate() {
        config += &format!("[route.r{index}]\npath = \"/{index}\"\nendpoint = \"{endpoint}\"\n");
    }
    config
}

/// The endpoint that a backend is.
fn url(address: SocketAddr) -> String {
    format!("ws://{address}")
}

/// What a gateway with one such route tells both ends of a connection on which each says this and no more.
async fn told(gateway: &Gateway, path: &str, says: &[u8]) -> Vec<u8> {
    let mut client = raw::upgraded(gateway.address("public"), path).await;
    // The gateway may have seen enough before it has seen it all.
    _ = client.write_all(says).await;
    raw::rest(&mut client).await
}

/// What a backend was sent on its next connection, up to the end of it.
async fn witnessed(seen: &mut mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    support::in_time(seen.recv()).await.unwrap()
}

/// Who ended it, by which row, code and rule.
fn ending(event: &Value) -> [&Value; 4] {
    ["by", "outcome", "code", "rule"].map(|field| &event[field])
}

/// Messages and bytes from the client, messages and bytes from the other side.
fn counts(event: &Value) -> Value {
    json!(["client_messages", "client_bytes", "upstream_messages", "upstream_bytes"].map(|field| &event[field]))
}

/// A whole Close frame, as [`raw::frames`] gives it.
fn close(code: u16, reason: &str) -> (u8, Vec<u8>) {
    (CLOSE, raw::closing(code, reason))
}
