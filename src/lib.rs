//! wsgate: a WebSocket gateway driven by one file, `gateway.toml`.
//!
//! The crate is built in layers. A module imports only what stands to its right:
//!
//! ```text
//! cli ─▶ engine ─▶ gateway ─▶ endpoint ─▶ wire ─▶ stage ─▶ config
//!           │
//!           └────▶ observe   (typed events; only engine emits)
//! ```
//!
//! - [`config`]: text to shape. Knows TOML, no stage and no socket.
//! - [`stage`]: what judges a connection, and the one table of outcomes.
//! - [`wire`]: bytes. WebSocket over a stream; knows no config.
//! - [`endpoint`]: what answers behind a route: echo, authenticated, a proxied upstream.
//! - [`gateway`]: shape to snapshot. Compiles a config into one immutable value.
//! - [`observe`]: facts, as typed events, where they are written and how they are counted.
//! - [`engine`]: time. Accepts, conducts each connection through its pipeline, ends it.
//! - [`cli`]: what was typed. All of the `wsgate` command, for a program with stages of its own as well.

pub mod cli;
pub mod config;
pub mod endpoint;
pub mod engine;
pub mod gateway;
pub mod observe;
pub mod stage;
pub mod wire;

/// The programs of the page on stages of one's own, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/extending.md")]
mod extending {}
