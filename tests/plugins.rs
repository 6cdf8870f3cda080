//! The programs in `examples/`, which know the public API alone: run as their users run them, and met by real clients.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

mod support;

/// Its own tests run here: they show how a stage is tested.
#[path = "../examples/custom_stage.rs"]
#[allow(dead_code, reason = "its main is run as a program")]
mod custom_stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::json;
use support::{Gateway, ask, closed, command, command_of, connect, request};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An example as `cargo test` builds it, beside the `wsgate` it builds.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_wsgate")).with_file_name("examples").join(name);
    assert!(program.exists(), "cargo test builds the examples; for one of its tests alone, cargo build --examples does");
    program
}

fn config() -> String {
    fs::read_to_string(package().join("examples/custom_stage.toml")).unwrap()
}

/// What `custom_stage` prints, and its exit code.
fn said(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let Output { status, stdout, stderr } = command_of(&program("custom_stage"), folder).args(arguments).output().unwrap();
    (String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap(), status.code())
}

#[tokio::test]
async fn a_stage_of_a_program_of_ones_own_judges_like_one_that_is_built_in() {
    let config = config().replace("127.0.0.1:8765", "127.0.0.1:0");
    let mut gateway = Gateway::run_by(&program("custom_stage"), tempfile::tempdir().unwrap(), &config);
    for path in ["/", "/programs"] {
        let asked = request(&gateway.url("public", path), &[("x-api-version", "2")]);
        assert_eq!(ask(&mut connect(asked).await.unwrap(), "hello").await, "hello", "{path}");
    }
    let (status, body) = gateway.refusal(gateway.url("public", "/programs")).await;
    assert_eq!((status, &*body), (403, "403 please update (api_too_old)\n"));
    let event = gateway.event("refused");
    let fields = ["outcome", "stage", "rule", "level"].map(|field| &event[field]);
    assert_eq!(json!(fields), json!(["api_too_old", "api_version.app", "1 is below 2", "warn"]));
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(closed(&mut socket).await, (4426, "please load this page again".to_owned()));
    drop(socket);

    gateway.signal("INT");
    assert!(gateway.wait().success());
    assert!(gateway.events().iter().any(|event| event["event"] == "drained"), "Ctrl-C drains it");
}

#[test]
fn the_table_of_a_plugin_is_checked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), config()).unwrap();
    assert_eq!(said(folder.path(), &["check"]), ("gateway.toml: fine, 1 listener, 2 routes\n".to_owned(), Some(0)));
    let page = fs::read_to_string(package().join("docs/extending.md")).unwrap();
    for (right, wrong) in [("minimum = 2", "minimum = 1"), ("minimum = 2", "minimun = 2"), ("api_too_old = ", "api_to_old = ")] {
        fs::write(folder.path().join("gateway.toml"), config().replace(right, wrong)).unwrap();
        let (told, code) = said(folder.path(), &["check"]);
        assert_eq!(code, Some(2), "{told}");
        assert!(page.contains(&told), "docs/extending.md does not say what is told of {wrong}:\n{told}");
    }
}

#[test]
fn the_commands_know_the_kinds_and_outcomes_of_a_plugin_and_wsgate_itself_does_not() {
    let folder = package().join("examples");
    let (errors, _) = said(&folder, &["errors"]);
    assert!(errors.lines().any(|line| line.starts_with("api_too_old ") && line.contains(" 403   4426  warn ")), "{errors}");
    let output = command(&folder).args(["check", "custom_stage.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no kind `api_version`"));
}

#[test]
fn a_program_starts_a_gateway_within_it_talks_to_it_and_drains_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = command_of(&program("embed"), folder.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines();
    let address = lines.next().and_then(|line| line.strip_prefix("listener.inside is at 127.0.0.1:")).unwrap();
    assert!(address.parse::<u16>().is_ok_and(|port| port != 0), "{printed}");
    let rest = ["the gateway received: hello", "1 connection is open", "the client was told 1001 shutting down", "0 connections are left"];
    assert_eq!(lines.collect::<Vec<_>>(), rest);
}

#[test]
fn the_stage_that_the_page_walks_through_is_the_example_s() {
    let page = fs::read_to_string(package().join("docs/extending.md")).unwrap();
    let first = page.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    let example = fs::read_to_string(package().join("examples/custom_stage.rs")).unwrap();
    assert!(example.contains(first), "the page's first program is not in examples/custom_stage.rs");
}
