//! The frame layer and the sessions on it, between peers in memory, polled by hand in a time of
//! their own, and once over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod against_tungstenite;
mod bench;
mod budget;
mod bytes;
mod compressed;
mod endings;
mod forwarding;
mod liveness;
mod over_tcp;
mod pacing;
mod reading;
mod refusals;
mod terminal;
mod verdict;
