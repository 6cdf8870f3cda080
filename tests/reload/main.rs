//! Edits of the file, and what they mean for the connections that are open.

#[path = "../support/mod.rs"]
mod support;

mod edits;
mod parts;
