//! Events on their way into logs, from `emit` to the file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod files;
mod lines;
mod support;
mod writers;
