//! `wsgate explain`, and the tests of a file: what they say is what a connection comes to.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod command;
mod proven;

use std::path::Path;

use serde_json::Value;
use support::command;

/// What `wsgate explain` prints in a folder, and its exit code.
fn explain(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = command(folder).arg("explain").args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// The same for programs.
fn explained(folder: &Path, arguments: &[&str]) -> Value {
    let (printed, code) = explain(folder, &[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{arguments:?}: {printed}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}
