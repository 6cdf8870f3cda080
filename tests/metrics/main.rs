//! Metrics as Prometheus meets them: a page over HTTP, and on it what clients and backends did.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod busy;
mod churn;
mod http_page;
mod life;
mod page;
mod queries;
mod reload;
mod series;

use std::net::SocketAddr;

use page::Page;
use support::{Gateway, raw};

/// The page of a gateway's `[metrics.local]`, as Prometheus asks for it.
async fn scrape(gateway: &Gateway) -> Page {
    scrape_at(gateway.address("metrics.local")).await
}

async fn scrape_at(address: SocketAddr) -> Page {
    let (head, body) = get(address, "GET /metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    Page::parse(&body)
}

/// Asks for something over a connection of its own; gives the head and the body of the answer.
async fn get(address: SocketAddr, what: &str, headers: &str) -> (String, String) {
    let answer =
        raw::exchange(address, format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {answer:?}"));
    (head.to_owned(), body.to_owned())
}
