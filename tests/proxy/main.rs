//! The proxied route through real backends, as its clients and its backends see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod balance;
mod failing;
mod handshake;
mod health;
mod leaving;
mod sources;
mod stages;
mod sticky;
mod traffic;

use std::net::SocketAddr;

use support::SECRET;

/// A listener, and one route to an upstream of these servers; `route` and `upstream` are further keys of theirs.
fn proxied(servers: &[SocketAddr], route: &str, upstream: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"ws://{server}\"")).collect();
    format!(
        "[gateway]\nthreads = 1\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [upstream.chat]\nservers = [{}]\n{upstream}\n[route.chat]\npath = \"/chat/*\"\nendpoint = \"upstream.chat\"\n{route}\n",
        servers.join(", ")
    )
}

/// A stage for the tokens of these tests; `keys` are further ones of its table.
fn guard(keys: &str) -> String {
    format!("[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n{keys}\n")
}
