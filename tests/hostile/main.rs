//! Hostile peers, case by case: what each is told, that nothing of it reaches anybody, and that the gateway is as it was before.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use support::{Gateway, raw};

mod backends;
mod breaks;
mod frames;
mod heads;

/// A gateway with a route of each depth: `/echo` answers itself, `/relay` passes on what `/read` reads.
fn gateway(backend: SocketAddr) -> Gateway {
    Gateway::run(&format!(
        r#"
        [listener.public]
        address           = "127.0.0.1:0"
        handshake_timeout = "1s"
        [metrics.local]
        address = "127.0.0.1:0"
        [message.all]
        types = {{ client = ["text", "binary"], upstream = ["text", "binary"] }}
        [upstream.backend]
        servers           = "ws://{backend}"
        handshake_timeout = "1s"
        [gateway.route]
        max_message   = {{ client = "1KiB", upstream = "1KiB" }}
        close_timeout = "1s"
        [route.echo]
        path     = "/echo"
        endpoint = "echo"
        [route.relay]
        path     = "/relay"
        endpoint = "upstream.backend"
        [route.http]
        path     = "/http"
        endpoint = "upstream.backend"
        http     = true
        [route.read]
        path     = "/read"
        pipeline = ["message.all"]
        endpoint = "upstream.backend"
        "#
    ))
}

/// What the gateway held before anybody came, to be compared with what it holds in the end.
struct Before {
    descriptors: usize,
}

impl Before {
    fn of(gateway: &Gateway) -> Self {
        Self { descriptors: gateway.descriptors() }
    }

    /// Nobody is inside any more, and nothing is held for anybody.
    async fn is_restored(&self, gateway: &Gateway) {
        gateway.settles_at(self.descriptors).await;
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let page = raw::exchange(gateway.address("metrics.local"), request).await;
        for gauge in ["wsgate_connections{", "wsgate_slots_taken{", "wsgate_upstream_connections{", "wsgate_buffered_bytes "] {
            let held: Vec<&str> = page.lines().filter(|line| line.starts_with(gauge) && !line.ends_with(" 0")).collect();
            assert!(page.contains(gauge) && held.is_empty(), "{held:?}");
        }
        assert!(page.contains("\nwsgate_internal_errors_total 0\n"), "{page}");
    }
}

/// Somebody who does nothing wrong is served as ever.
async fn an_ordinary_client_is_served(gateway: &Gateway, path: &str) {
    let mut socket = gateway.connect("public", path).await;
    assert_eq!(support::ask(&mut socket, "hello").await, "hello");
    socket.close(None).await.unwrap();
    support::closed(&mut socket).await;
}
