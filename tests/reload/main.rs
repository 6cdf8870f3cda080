//! Edits of the file, and what they mean for the connections that are open.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod edits;
mod generations;
mod inputs;
mod parts;
mod ruined;
mod saves;
mod schemas;
mod storm;
