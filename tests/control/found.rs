//! How commands find a gateway: whatever becomes of its file, and wherever an edit puts its socket.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::support::{self, Gateway};
use super::{FRAME, json, save, typed};

fn config(control: &str) -> String {
    let control = if control.is_empty() { String::new() } else { format!("control = \"{control}\"\n") };
    FRAME.replace("[gateway]\n", &format!("[gateway]\n{control}")) + "[route.a]\nendpoint = \"echo\"\n"
}

/// What stands in the gateway's folder and its runtime folder that leads to a gateway.
fn ways(gateway: &Gateway) -> Vec<String> {
    let folders = [gateway.folder.path().to_owned(), gateway.folder.path().join("wsgate")];
    let paths: Vec<PathBuf> =
        folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().map(|entry| entry.unwrap().path()).collect();
    let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".sock") || name.ends_with(".link")).collect();
    names.sort();
    names
}

/// Whether they are these, of which those in the runtime folder have names with numbers.
fn are(gateway: &Gateway, expected: &[&str]) {
    let found = ways(gateway);
    let is = |(found, expected): (&String, &&str)| found == expected || found.starts_with("gateway-") && found.ends_with(expected);
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(is), "{found:?}, not {expected:?}");
}

#[test]
fn whatever_becomes_of_the_file_the_gateway_that_runs_on_it_is_found() {
    let gateway = Gateway::run(&config("own.sock"));
    let file = gateway.folder.path().join("gateway.toml");
    let whole = support::logged(&config("own.sock"));
    let texts = [
        ("empty", String::new()),
        ("half of it", whole[..whole.len() / 2].to_owned()),
        ("not even its first table", "[gateway\ncontrol = \"own.sock\"\n".to_owned()),
        ("another socket, not in force", config("other.sock")),
        ("no socket, not in force", config("off")),
        ("no socket of its own, not in force", config("")),
    ];
    for (what, text) in texts {
        fs::write(&file, text).unwrap();
        assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "{what}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "deleted");
    symlink("gateway.toml", &file).unwrap();
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "a link to itself");
}

#[test]
fn a_socket_is_where_the_edit_in_force_says_and_nowhere_else() {
    let mut gateway = Gateway::run(&config("own.sock"));
    are(&gateway, &[".link", "own.sock"]);
    for (control, expected) in [
        ("next.sock", &[".link", "next.sock"][..]),
        ("", &[".sock"]),
        ("own.sock", &[".link", "own.sock"]),
        ("wsgate/../own.sock", &[".link", "own.sock"]),
    ] {
        save(&gateway, &config(control));
        assert_eq!(json(&gateway, &["reload"])["changed"], serde_json::json!(["gateway"]), "{control}");
        assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "{control}");
        are(&gateway, expected);
    }
    save(&gateway, &config("off"));
    json(&gateway, &["reload"]);
    let told = "wsgate: no gateway that runs on gateway.toml takes commands: it says control = \"off\"\n";
    assert_eq!(typed(&gateway, &["status"]), (told.to_owned(), Some(1)));
    are(&gateway, &[]);
    save(&gateway, &config("again.sock"));
    gateway.signal("HUP");
    gateway.event_where("reloaded", |event| event["generation"] == 7);
    assert_eq!(json(&gateway, &["status"])["generation"], 7);
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    are(&gateway, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_refused_leaves_the_socket_where_it_is() {
    let limit = |config: String| config.replace("watch", "max_closed = \"10%\", watch");
    let gateway = Gateway::run(&limit(config("own.sock")));
    let mut socket = gateway.connect("public", "/").await;
    let closing = limit(config("other.sock")).replace("[route.a]", "[route.a]\npath = \"/elsewhere\"");
    for (edit, said) in [
        (limit(config("nowhere/to/be.sock")), "cannot listen for commands: ./nowhere/to/be.sock: No such file or directory"),
        (limit(config("gateway.toml")), "something stands there that is no socket"),
        (closing, "it would close 1 of 1 connections"),
    ] {
        save(&gateway, &edit);
        let (printed, exit) = typed(&gateway, &["reload"]);
        assert!(printed.contains(said) && exit == Some(1), "{printed}");
        are(&gateway, &[".link", "own.sock"]);
        let refused = json(&gateway, &["status"])["refused"]["faults"].as_str().unwrap().to_owned();
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(support::ask(&mut socket, "still").await, "still");
}

#[test]
fn a_socket_that_somebody_has_taken_away_is_made_again() {
    for control in ["own.sock", ""] {
        let mut gateway = Gateway::run(&config(control));
        let of = |extension: &str| ways(&gateway).into_iter().find(|name| name.ends_with(extension)).unwrap();
        let path =
            if control.is_empty() { gateway.folder.path().join("wsgate").join(of(".sock")) } else { gateway.folder.path().join(control) };
        fs::remove_file(&path).unwrap();
        _ = fs::remove_dir(gateway.folder.path().join("wsgate"));
        gateway.signal("HUP");
        let warning = gateway.event("warning")["text"].as_str().unwrap().to_owned();
        assert!(warning.ends_with(".sock was gone, and is there again"), "{warning}");
        assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "{control}");
        assert!(path.exists());
    }
}

#[test]
fn a_second_gateway_that_cannot_start_leaves_the_first_to_be_found() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let at = |control: &str| config(control).replace("127.0.0.1:0", &free);
    let gateway = Gateway::run(&at("own.sock"));
    save(&gateway, &at("second.sock"));
    let (printed, exit) = typed(&gateway, &["run"]);
    assert!(printed.contains("cannot listen on") && exit == Some(1), "{printed}");
    are(&gateway, &[".link", "own.sock"]);
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id());
}

#[test]
fn what_a_gateway_that_was_killed_has_left_leads_nowhere_and_is_in_nobody_s_way() {
    let mut killed = Gateway::run(&config("own.sock"));
    killed.signal("KILL");
    assert!(!killed.wait().success());
    are(&killed, &[".link", "own.sock"]);
    let (printed, exit) = typed(&killed, &["status"]);
    assert!(printed.starts_with("wsgate: no gateway runs on gateway.toml: nobody listens at ") && exit == Some(1), "{printed}");
    let folder = std::mem::replace(&mut killed.folder, tempfile::tempdir().unwrap());
    let gateway = Gateway::run_in(folder, &config("own.sock"));
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id());
    assert!(UnixStream::connect(gateway.folder.path().join("own.sock")).is_ok());
}
