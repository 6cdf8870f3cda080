//! Commands that reach a running gateway over its control socket: what they do, what they print, and how they fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod edits;
mod events;
mod found;
mod kick;
mod lists;
mod rollback;
mod show;
mod socket;
mod status;
mod stdin;
mod strain;

use serde_json::Value;

use support::{Gateway, command};

/// What every file begins with: no edit is in force before somebody says so, and what it closes is closed at once.
const FRAME: &str =
    "[gateway]\nreload = { watch = false, spread = \"1ms\", rate = \"10000/s\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n";

/// Types a command in the gateway's folder; gives what it prints to either stream, and its exit code.
fn typed(gateway: &Gateway, arguments: &[&str]) -> (String, Option<i32>) {
    let output = command(gateway.folder.path()).args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// The same with `--json`, of a command that succeeds, or only tells that something would change.
fn json(gateway: &Gateway, arguments: &[&str]) -> Value {
    let (printed, exit) = typed(gateway, &[arguments, &["--json"]].concat());
    assert!(matches!(exit, Some(0 | 3)), "{arguments:?}: {printed}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Writes the gateway's file anew; nobody is told.
fn save(gateway: &Gateway, config: &str) {
    std::fs::write(gateway.folder.path().join("gateway.toml"), support::logged(config)).unwrap();
}
