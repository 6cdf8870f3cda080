//! A gateway whose config came from standard input: the text cannot be read again, and all else goes on as with a file.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::support::{self, Gateway};
use super::{FRAME, typed};

const LINE: &str = "wsgate run --config - < gateway.toml";

fn config() -> String {
    format!("{FRAME}[firewall.f]\ndeny_files = \"deny.txt\"\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"\n")
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deny.txt"), "192.0.2.1\n").unwrap();
    folder
}

/// A command to the gateway on standard input.
fn ask(gateway: &Gateway, arguments: &[&str]) -> (String, Option<i32>) {
    typed(gateway, &[arguments, &["--config", "-"]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_it_and_a_list_that_it_names_is_in_force_as_it_changes() {
    let mut gateway = Gateway::run_as(LINE, folder(), &config());
    let mut socket = gateway.connect("public", "/").await;
    assert!(ask(&gateway, &["status"]).0.starts_with("<stdin>: ready, generation 1 since "));
    for what in ["reload", "plan"] {
        let (printed, exit) = ask(&gateway, &[what]);
        assert!(printed.contains("nothing ") && exit == Some(0), "{what}: {printed}");
    }
    let (printed, exit) = ask(&gateway, &["rollback"]);
    assert!(printed.contains("there is no text to go back to") && exit == Some(1), "{printed}");
    // As logrotate does every night: nothing is refused by it.
    gateway.event("reload_refused");
    gateway.signal("HUP");
    assert_eq!(gateway.reloaded()["event"], "reload_unchanged");
    assert!(!ask(&gateway, &["status"]).0.contains("REFUSED"));

    fs::write(gateway.folder.path().join("deny.txt"), "192.0.2.2\n").unwrap();
    gateway.signal("HUP");
    assert_eq!(gateway.reloaded()["changed"], "firewall.f, route.a");
    assert_eq!(support::ask(&mut socket, "still").await, "still");
    let (printed, _) = ask(&gateway, &["deny", "127.0.0.1"]);
    assert!(printed.ends_with("deny.txt: added: 127.0.0.1\n1 connection closed\n"), "{printed}");
    assert_eq!(support::closed(&mut socket).await.0, 3003);
}

#[test]
fn a_second_one_in_the_same_folder_runs_without_a_socket_and_says_so() {
    let first = Gateway::run_as(LINE, folder(), &config());
    let line = format!("cd '{}'; {LINE}", first.folder.path().display());
    let mut second = Gateway::run_as(&format!("export XDG_RUNTIME_DIR='{}'; {line}", first.folder.path().display()), folder(), &config());
    let warning = second.events().iter().find(|event| event["event"] == "warning").unwrap();
    let said = warning["text"].as_str().unwrap();
    assert!(said.contains(&format!("another gateway (process {}) has the control socket", first.id())), "{said}");
    assert!(said.ends_with("the gateway runs without a control socket"), "{said}");
    let asked = ask(&first, &["status", "--json"]).0;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&asked).unwrap()["pid"], json!(first.id()));
}
