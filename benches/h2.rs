//! What HTTP/2 costs: memory for an idle WebSocket and for the connection that carries it, and CPU of the gateway for a message, beside
//! the same over HTTP/1.1. `cargo bench --bench h2`; Linux, loopback only.
//!
//! The gateway is a process of its own with one thread, so that its memory is what is resident of it, and its CPU the kernel's count. A
//! message of 125 bytes is echoed, over one socket at a time; what the client does is not counted.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

#[path = "../tests/h2/client.rs"]
#[allow(dead_code, reason = "it takes what it needs of the tests'")]
mod client;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;

use tokio_tungstenite::WebSocketStream;

use client::Client;
use support::{Gateway, Io, ask};

const CONFIG: &str = "[gateway]\nthreads = 1\n[listener.public]\naddress = \"127.0.0.1:0\"\n[route.echo]\nendpoint = \"echo\"\n";
/// WebSockets that do nothing.
const IDLE: usize = 2_000;
/// Those of them that share a connection of HTTP/2.
const SHARE: usize = 100;
/// Connections of HTTP/2 without a stream.
const EMPTY: usize = 500;
/// Messages of one measurement.
const MESSAGES: usize = 20_000;
/// Ticks of the kernel's count in a second.
const TICKS: usize = 100;

/// What is resident of the process, in bytes.
fn resident(gateway: &Gateway) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// The time that it has run, in microseconds.
fn run(gateway: &Gateway) -> usize {
    let stat = fs::read_to_string(format!("/proc/{}/stat", gateway.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<usize>().unwrap()).sum::<usize>() * (1_000_000 / TICKS)
}

/// What a message takes of the gateway, in microseconds.
async fn message<S: Io>(gateway: &Gateway, socket: &mut WebSocketStream<S>) -> f64 {
    let text = "x".repeat(125);
    let before = run(gateway);
    for _ in 0..MESSAGES {
        ask(socket, &text).await;
    }
    (run(gateway) - before) as f64 / MESSAGES as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();

    let gateway = Gateway::run(CONFIG);
    let (before, mut plain) = (resident(&gateway), Vec::new());
    for _ in 0..IDLE {
        plain.push(gateway.connect("public", "/").await);
        ask(plain.last_mut().unwrap(), "hello").await;
    }
    println!("HTTP/1.1, a WebSocket: {} bytes", (resident(&gateway) - before) / IDLE);
    println!("HTTP/1.1, a message: {:.1} us", message(&gateway, &mut plain[0]).await);

    let gateway = Gateway::run(CONFIG);
    let (before, mut clients) = (resident(&gateway), Vec::new());
    for _ in 0..EMPTY {
        clients.push(Client::to(gateway.address("public")).await);
    }
    let empty = resident(&gateway);
    println!("HTTP/2, a connection: {} bytes", (empty - before) / EMPTY);
    let mut streams = Vec::new();
    for client in clients.iter_mut().take(IDLE / SHARE) {
        for _ in 0..SHARE {
            streams.push(client.socket("/", &[]).await);
            ask(streams.last_mut().unwrap(), "hello").await;
        }
    }
    println!("HTTP/2, a WebSocket in it: {} bytes", (resident(&gateway) - empty) / IDLE);
    println!("HTTP/2, a message: {:.1} us", message(&gateway, &mut streams[0]).await);
}
