//! What the gateway asks of services outside: key sets of identity providers, and decisions.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod asking;
mod decisions;
mod keys;
mod removed;
mod told;
