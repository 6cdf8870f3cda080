//! The command line as somebody meets it who has read nothing: what it prints, and its exit codes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod connect;
mod key;
mod proxy;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use support::{Gateway, SECRET, command};

/// What a command prints to either stream, and its exit code.
fn run(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = command(folder).args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code())
}

const FINE: &str = "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.echo]\nendpoint = \"echo\"\n";

/// What is typed, the exit code, and what is printed among other things: in a folder of the files that the test below writes.
const ROWS: &[(&[&str], i32, &str)] = &[
    (&["--help"], 0, "Usage: wsgate"),
    (&["--version"], 0, "wsgate 0."),
    (&["errors"], 0, "token_expired"),
    (&["errors", "--json"], 0, "\"id\": \"token_expired\""),
    (&["completions", "bash"], 0, "complete -F _wsgate"),
    (&["completions", "zsh"], 0, "#compdef wsgate"),
    (&["completions", "fish"], 0, "complete -c wsgate"),
    (&["completions", "elvish"], 0, "edit:completion"),
    (&["completions", "powershell"], 0, "Register-ArgumentCompleter"),
    (&["completions", "csh"], 2, "possible values: bash, elvish, fish, powershell, zsh"),
    (&["chek"], 2, "similar subcommands exist: 'schema', 'check'"),
    (&["--port", "80"], 2, "unexpected argument '--port'"),
    (&[], 2, "there is no file gateway.toml; name another with --config FILE"),
    (&["check"], 2, "there is no file gateway.toml; name another: wsgate check FILE"),
    (&["check", "nowhere.toml"], 2, "wsgate: there is no file nowhere.toml\n"),
    (&["run", "--config", "nowhere.toml"], 2, "wsgate: there is no file nowhere.toml\n"),
    (&["check", "folder"], 2, "the folder has no file that ends in .toml"),
    (&["check", "-"], 2, "there is no listener"),
    (&["check", "latin1.toml"], 2, "line 1 has a byte that is not"),
    (&["check", "empty.toml"], 2, "there is no listener"),
    (&["check", "faulty.toml"], 2, "did you mean `address`?"),
    (&["--config", "faulty.toml"], 2, "did you mean `address`?"),
    (&["run", "--config", "faulty.toml"], 2, "did you mean `address`?"),
    (&["check", "warned.toml"], 0, "1 warning"),
    (&["check", "--strict", "warned.toml"], 2, "warnings count as faults"),
    (&["check", "--offline", "keyed.toml"], 0, "the variable NOBODY_SETS_THIS"),
    (&["check", "keyed.toml"], 2, "NOBODY_SETS_THIS is not set"),
    (&["check", "fine.toml"], 0, "fine.toml: fine, 1 listener, 1 route"),
    (&["check", "--config", "fine.toml"], 0, "fine.toml: fine"),
    (&["check", "fine.toml", "--config", "fine.toml"], 2, "cannot be used with"),
    (&["run", "--config", "taken.toml"], 1, "(listener.public): Address already in use"),
    (&["check", "unlogged.toml"], 2, "nowhere does not exist"),
    (&["run", "--config", "unlogged.toml"], 2, "nowhere does not exist"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--config", "fine.toml"], 1, "it has no jwt stage"),
    (&["token", "--stage", "jwt.user", "--sub", "a", "--config", "secret.toml"], 1, "it has jwt.users"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--config", "secret.toml"], 0, "eyJ"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--config", "keyed.toml"], 2, "NOBODY_SETS_THIS is not set"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--ttl", "soon", "--config", "secret.toml"], 2, "is not a length of time"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--ttl", "0s", "--config", "secret.toml"], 2, "write a token's as \"10m\""),
    (&["token", "--stage", "firewall.local", "--sub", "a", "--config", "secret.toml"], 1, "firewall.local is no jwt stage"),
    (&["token", "--stage", "jwt.users", "--sub", "a", "--claim", "b", "--config", "secret.toml"], 2, "write it as NAME=VALUE"),
    (&["connect", "127.0.0.1:80"], 2, "write ws://127.0.0.1:80"),
    (&["connect", "https://example.com/"], 2, "write wss://example.com/"),
    (&["connect", "ws://127.0.0.1:1/"], 1, "cannot connect to ws://127.0.0.1:1/: Connection refused"),
    (&["connect", "ws://127.0.0.1:1/", "--header", "broken"], 2, "write it as \"NAME: VALUE\""),
    (&["connect", "ws://127.0.0.1:1/", "--token", "-"], 1, "there is no token in the input"),
    (&["proxy", "8080", "ws://127.0.0.1:1"], 2, "write :8080"),
    (&["proxy", ":80800", "ws://127.0.0.1:1"], 2, "ports are 0 to 65535"),
    (&["proxy", ":8080", "http://127.0.0.1:1"], 2, "write \"ws://127.0.0.1:1\""),
    (&["proxy", ":8080"], 2, "Usage: wsgate proxy"),
    (&["proxy", "nowhere.invalid:80", "ws://127.0.0.1:1"], 1, "wsgate: cannot resolve nowhere.invalid"),
];

#[test]
fn what_cannot_be_done_is_told_and_told_apart_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    write("fine.toml", FINE);
    write("empty.toml", "");
    write("warned.toml", &format!("{FINE}[firewall.spare]\ndeny = \"192.0.2.0/24\"\n"));
    write("faulty.toml", &FINE.replace("address", "adress"));
    write("latin1.toml", "");
    fs::write(folder.path().join("latin1.toml"), b"# caf\xe9\n").unwrap();
    write(
        "secret.toml",
        &format!("{FINE}[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n"),
    );
    write("keyed.toml", &format!("{FINE}[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\" }}\n"));
    write("unlogged.toml", &format!("{FINE}[log.all]\nfile = \"nowhere/all.log\"\n"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    write("taken.toml", &FINE.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    for (arguments, code, said) in ROWS {
        let (printed, exit) = run(folder.path(), arguments);
        assert_eq!(exit, Some(*code), "{arguments:?}: {printed}");
        assert!(printed.contains(said), "{arguments:?}: {printed}");
        assert!(!printed.contains("panicked") && !printed.contains(SECRET), "{arguments:?}: {printed}");
    }
}

#[test]
fn check_lists_what_only_reports() {
    let folder = tempfile::tempdir().unwrap();
    let firewall = "[firewall.trial]\nmode = \"report\"\ndeny = [\"192.0.2.0/24\", { cidr = \"10.0.0.0/8\", mode = \"report\" }]\n";
    let file = FINE.replace("endpoint", "pipeline = [\"firewall.trial\"]\nendpoint") + firewall;
    fs::write(folder.path().join("gateway.toml"), file).unwrap();
    let (printed, exit) = run(folder.path(), &["check"]);
    assert_eq!((printed.lines().last(), exit), (Some("in report mode, refusing nobody: firewall.trial, firewall.trial.deny[1]"), Some(0)));
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.toml"), FINE).unwrap();
    let output = command(folder.path()).arg("check").env("WSGATE_CONFIG", "other.toml").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "other.toml: fine, 1 listener, 1 route\n");
}

#[test]
fn a_variable_that_names_nothing_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), FINE).unwrap();
    let output = command(folder.path()).arg("check").env("WSGATE_CONFIG", "").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "gateway.toml: fine, 1 listener, 1 route\n");
    fs::remove_file(folder.path().join("gateway.toml")).unwrap();
    let output = command(folder.path()).env("WSGATE_CONFIG", "").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no file gateway.toml"));
}

#[test]
fn a_running_gateway_logs_its_warnings_with_their_places_and_counts_listeners() {
    let file = FINE.replace("\"127.0.0.1:0\"", "[\"127.0.0.1:0\", \"127.0.0.1:0\"]");
    let mut gateway = Gateway::run(&format!("{file}[firewall.spare]\ndeny = \"192.0.2.0/24\"\n[gateway]\nmax_connections = 100\n"));
    let events = gateway.events();
    let started: Vec<_> = events.iter().filter(|event| event["event"] == "started").collect();
    assert!(matches!(&started[..], [event] if event["listeners"] == 1), "{started:?}");
    let warnings: Vec<_> = events.iter().filter(|event| event["event"] == "warning").filter_map(|event| event["text"].as_str()).collect();
    assert!(matches!(&warnings[..], [warning] if warning.contains("gateway.toml:5:11: ")), "{warnings:?}");
    // Not a terminal: every line is an event.
    assert!(events.iter().all(|event| event.is_object()), "{events:?}");
}

#[test]
fn a_gateway_that_may_not_have_the_descriptors_its_file_asks_for_says_what_to_raise() {
    let folder = tempfile::tempdir().unwrap();
    for (keys, told) in [
        ("max_connections = 100", None),
        (
            "max_connections = 200",
            Some("max_connections lets in 200 clients, who may take 300 descriptors, and this process may have 256: "),
        ),
    ] {
        fs::write(folder.path().join("gateway.toml"), format!("{FINE}[gateway]\n{keys}\n")).unwrap();
        let limited = ["-c", "ulimit -n 256 && exec \"$0\"", env!("CARGO_BIN_EXE_wsgate")];
        let mut child = support::command_of(Path::new("sh"), folder.path()).args(limited).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let before: Vec<String> = lines.by_ref().take_while(|line| !line.contains(" started ")).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let warning = before.iter().find(|line| line.contains(" warning "));
        assert_eq!((warning.is_some(), warning.is_none_or(|line| line.contains(told.unwrap()))), (told.is_some(), true), "{before:?}");
    }
}

#[test]
fn a_gateway_runs_from_a_folder_and_its_relative_paths_belong_there() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join("gateway.toml"), FINE).unwrap();
    fs::write(parts.join("logs.toml"), "[log.file]\nfile = \"all.log\"\n[log.console]\nconsole = \"stderr\"\n").unwrap();
    let mut child = command(folder.path()).args(["--config", "parts"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let started = lines.into_iter().find(|line| line.contains(" started ")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(started.ends_with("config=parts listeners=1"), "{started}");
    assert!(parts.join("all.log").exists());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(folder.path()).arg("errors").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
