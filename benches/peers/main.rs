//! The two ends of `benches/peers/run`, a load generator and an echo backend on one thread, and a byte relay to measure proxies by.
//! Everything is a raw frame on a non-blocking socket: what the ends cost must not hide what is between them.

#![allow(missing_docs, unreachable_pub, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "a generator numbers no four billion connections, and no such messages")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

mod backend;
mod client;
mod frame;
mod inbox;
mod job;
mod link;
mod load;
mod message;
mod places;
mod relay;

use std::net::SocketAddr;

fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    match arguments[..] {
        ["load", backend, tokens] => load::run(address(backend), tokens),
        ["relay", listen, backend] => relay::run(address(listen), address(backend)),
        _ => println!("benches/peers/run measures with this; docs/performance.md says how"),
    }
}
