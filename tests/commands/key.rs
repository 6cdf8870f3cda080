//! `wsgate key`: keys, and the lines that stand for them.

use std::io::Write;
use std::process::{Output, Stdio};

use super::support::command;

/// What comes of these arguments, with this on standard input.
fn key(arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.arg("key").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    // What is refused before it is read is not there to be written to.
    _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    running.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_new_key_is_printed_once_with_the_line_that_stands_for_it() {
    let more = ["--name", "ci \"bot\"", "--scope", "a", "--scope", "b", "--expires", "2099-01-31T18:00:00Z", "--note", "ticket 7"];
    for (algorithm, hash) in [(&[][..], "sha256 = \""), (&["--argon2"], "argon2 = \"$argon2id$v=19$m=19456,t=2,p=1$")] {
        let printed = key(&[&["new"], &more[..], algorithm].concat(), "");
        let (key, line) = text(&printed.stdout).trim_end().split_once('\n').unwrap();
        assert!(key.starts_with("wsg_") && key.len() == 71 && !line.contains(&key[13..]), "{key}\n{line}");
        assert!(line.starts_with("{ name = ") && line.contains(hash) && line.ends_with(" },"), "{line}");
        assert!(line.contains(r#"scopes = ["a", "b"], expires = 2099-01-31T18:00:00Z, note = "ticket 7""#), "{line}");
        assert!(printed.stderr.is_empty());
    }
    let twice = [key(&["new", "--name", "a"], "").stdout, key(&["new", "--name", "a"], "").stdout];
    assert_ne!(twice[0], twice[1]);
}

#[test]
fn a_key_that_there_is_gets_the_line_that_it_always_gets() {
    let line = "{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }";
    for input in ["for-local-trials-only-ci", "for-local-trials-only-ci\n", "for-local-trials-only-ci\r\n"] {
        assert_eq!(text(&key(&["hash", "--name", "ci"], input).stdout), format!("{line},\n"));
    }
    let json: serde_json::Value =
        serde_json::from_slice(&key(&["hash", "--name", "ci", "--json"], "for-local-trials-only-ci").stdout).unwrap();
    assert_eq!(json, serde_json::json!({ "key": null, "line": line }));
    for (arguments, input, id) in [(&["--argon2"][..], "wsg_old_hunter2", "old"), (&["--argon2", "--id", "x-1"], "hunter2", "x-1")] {
        let printed = key(&[&["hash", "--name", "ci"], arguments].concat(), input);
        assert!(text(&printed.stdout).contains(&format!("id = \"{id}\", argon2 = \"$argon2id$")), "{printed:?}");
    }
}

#[test]
fn a_line_that_does_what_nobody_wants_is_printed_and_warned_of() {
    let over = ["--expires", "2020-01-31T18:00:00Z"];
    for (what, more, input, said) in [
        ("new", &over[..], "", "2020-01-31T18:00:00Z is over"),
        ("hash", &over[..], "hunter2-hunter2-hunter2", "2020-01-31T18:00:00Z is over"),
        ("hash", &[], "hunter2", "--argon2"),
        ("hash", &["--json"], "0f1e2d3c4b5a69788796a5b4", "--argon2"),
        ("hash", &["--argon2", "--id", "x"], "hunter2", ""),
        ("hash", &[], "hunter2-hunter2-hunter2", ""),
    ] {
        let done = key(&[&[what, "--name", "ci"], more].concat(), input);
        let told = text(&done.stderr);
        assert!(done.status.success() && !done.stdout.is_empty(), "{what} {more:?}: {done:?}");
        assert!(told.contains(said) && told.lines().count() == usize::from(!said.is_empty()), "{what} {more:?}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_no_key_or_makes_no_line_is_told_and_not_repeated() {
    for (arguments, input, code, said) in [
        (&["hash", "--name", "a"][..], "", 1, "there is no key on standard input"),
        (&["hash", "--name", "a"], "hunter2\nhunter2\n", 1, "not one key alone on its line"),
        (&["hash", "--name", "a"], " hunter2", 1, "not one key alone on its line"),
        (&["hash", "--name", "a", "--argon2"], "hunter2", 1, "the key has no id"),
        (&["hash", "--name", " "], "hunter2", 1, "a key without a name is nobody's"),
        (&["new", "--name", "a\nb"], "", 1, "one line each"),
        (&["new"], "", 2, "--name"),
        (&["new", "--name", "a", "--scope", "a b"], "", 2, "this is not one scope"),
        (&["new", "--name", "a", "--expires", "tomorrow"], "", 2, "is not a moment"),
        (&["hash", "--name", "a", "--id", "x"], "hunter2", 2, "--argon2"),
    ] {
        let done = key(arguments, input);
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(said) && !told.contains("hunter2") && done.stdout.is_empty(), "{arguments:?}: {told}");
    }
}
