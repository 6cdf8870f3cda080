//! HTTP/2 from clients, over real sockets: WebSocket by extended CONNECT (RFC 8441), ordinary requests beside it, and who abuses it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bare;
#[allow(dead_code, reason = "TLS has tests of its own, which take what is left")]
#[path = "../tls/certificates.rs"]
mod certificates;
mod client;
mod endings;
mod hostile;
mod live;
mod requests;
mod sockets;
mod tls;

use std::net::SocketAddr;

use support::{Gateway, SECRET};

/// A gateway with a route of each depth to this backend, and those that it answers itself.
pub(crate) fn config(backend: SocketAddr, listener: &str) -> String {
    format!(
        r#"
        [listener.public]
        address = "127.0.0.1:0"
        {listener}
        [jwt.users]
        algorithms = ["HS256"]
        secret     = "{SECRET}"
        sources    = ["header", "cookie:token", "first_message"]
        [message.all]
        types = {{ client = ["text", "binary"], upstream = ["text", "binary"] }}
        [rate_limit.many]
        key      = "connection"
        messages = "1000000/s"
        [upstream.backend]
        servers = "ws://{backend}"
        [route.echo]
        path     = "/echo"
        endpoint = "echo"
        [route.secure]
        path     = "/secure"
        pipeline = ["jwt.users"]
        endpoint = "authenticated"
        [route.relay]
        path     = "/relay"
        endpoint = "upstream.backend"
        [route.count]
        path     = "/count"
        pipeline = ["rate_limit.many"]
        endpoint = "upstream.backend"
        [route.read]
        path     = "/read"
        pipeline = ["message.all"]
        endpoint = "upstream.backend"
        [route.app]
        path     = "/app/*"
        endpoint = "upstream.backend"
        http     = true
        [route.health]
        path     = "/health/*"
        endpoint = "health"
        "#
    )
}

pub(crate) fn gateway(backend: SocketAddr) -> Gateway {
    Gateway::run(&config(backend, ""))
}

/// A backend where nobody is.
pub(crate) fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
