//! `wsgate check`: of several files, from standard input, without a machine, and for programs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::support::{SECRET, command};
use super::{FINE, run};

/// A file that rests on much beyond itself.
const RESTING: &str = r#"[listener.public]
address = "gateway.invalid:8765"
[listener.local]
address = "127.0.0.1:${WSGATE_TEST_PORT}"
[firewall.listed]
deny_files = "missing.txt"
[jwt.users]
algorithms = "HS256"
secret     = { env = "WSGATE_TEST_UNSET" }
[headers.told]
set = { X-User = "{claim.sub}" }
[upstream.chat]
servers = "ws://chat.invalid:9001"
[route.chat]
listener = "public"
pipeline = ["firewall.listed", "headers.told", "jwt.users"]
endpoint = "upstream.chat"
[log.all]
file = "nowhere/all.log"
"#;

fn json_of(folder: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = command(folder).args(arguments).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

#[test]
fn the_files_of_a_folder_are_one_and_each_fault_names_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join("listeners.toml"), "[listener.public]\naddress = \"127.0.0.1:0\"\n[log.all]\nfile = \"all.log\"\n").unwrap();
    fs::write(parts.join("routes.toml"), "[route.echo]\nendpoint = \"echo\"\n").unwrap();
    assert_eq!(run(folder.path(), &["check", "parts"]), ("parts: fine, 1 listener, 1 route\n".to_owned(), Some(0)));
    let named = command(folder.path()).arg("check").env("WSGATE_CONFIG", "parts").output().unwrap();
    assert_eq!(String::from_utf8(named.stdout).unwrap(), "parts: fine, 1 listener, 1 route\n");
    fs::write(parts.join("more.toml"), "[route.echo]\nendpoint = \"echo\"\n[route.more]\nendpoint = \"ecko\"\n").unwrap();
    let (told, code) = run(folder.path(), &["check", "--config", "parts"]);
    for said in ["--> parts/more.toml:4:12", "--> parts/routes.toml:1:1", "::: parts/more.toml:1:1", "[route.echo] is there twice"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(code, Some(2));
}

#[test]
fn standard_input_is_a_file_whose_paths_belong_to_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("blocked.txt"), "192.0.2.0/24\nnobody\n").unwrap();
    for named in ["FILE", "--config", "WSGATE_CONFIG"] {
        let mut check = command(folder.path());
        match named {
            "FILE" => check.args(["check", "-"]),
            "--config" => check.args(["check", "--config", "-"]),
            _ => check.arg("check").env("WSGATE_CONFIG", "-"),
        };
        let mut check = check.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let file = format!("{FINE}[firewall.listed]\ndeny_files = \"blocked.txt\"\n");
        check.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("blocked.txt:2: ") && told.contains("--> <stdin>:6:14"), "{named}: {told}");
        assert_eq!(output.status.code(), Some(2), "{named}");
    }
}

#[test]
fn a_file_that_is_named_beats_one_that_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fine.toml"), FINE).unwrap();
    for arguments in [&["check", "fine.toml"][..], &["check", "--config", "fine.toml"]] {
        let output = command(folder.path()).args(arguments).env("WSGATE_CONFIG", "other.toml").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "fine.toml: fine, 1 listener, 1 route\n");
    }
    let output = command(folder.path()).arg("check").env("WSGATE_CONFIG", "other.toml").output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "wsgate: there is no file other.toml, which WSGATE_CONFIG names\n");
}

#[test]
fn offline_nothing_beyond_the_file_is_looked_at_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), RESTING).unwrap();
    let (told, code) = run(folder.path(), &["check", "--offline"]);
    let (unseen, faults) = told.split_once("fault: ").unwrap();
    assert_eq!(
        unseen,
        "not looked at (--offline):\n  gateway.toml:2:11: the name gateway.invalid\n  \
         gateway.toml:4:11: the variable WSGATE_TEST_PORT\n  gateway.toml:6:14: the file ./missing.txt\n  \
         gateway.toml:9:14: the variable WSGATE_TEST_UNSET\n  gateway.toml:19:8: the place of nowhere/all.log\n"
    );
    // The stage whose secret is not known has its place in the pipeline all the same.
    assert!(faults.starts_with("headers.told goes by who the client is"), "{told}");
    assert!(told.contains("hint: name it behind \"jwt.users\"") && told.ends_with("\n1 fault\n"), "{told}");
    assert_eq!(code, Some(2));
    let mended = RESTING.replace("\"headers.told\", \"jwt.users\"", "\"jwt.users\", \"headers.told\"");
    fs::write(folder.path().join("gateway.toml"), mended).unwrap();
    let (told, code) = run(folder.path(), &["check", "--offline", "--strict"]);
    assert!(told.starts_with("gateway.toml: fine, 2 listeners, 1 route\nnot looked at (--offline):\n"), "{told}");
    assert_eq!((told.lines().count(), code), (7, Some(0)), "{told}");
    assert_eq!(run(folder.path(), &["check"]).1, Some(2));
}

#[test]
fn strictly_a_warning_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), format!("{FINE}[firewall.spare]\ndeny = \"192.0.2.0/24\"\n")).unwrap();
    let (told, code) = run(folder.path(), &["check", "--strict"]);
    assert!(told.contains("1 warning\n") && told.ends_with("wsgate: warnings count as faults (--strict)\n"), "{told}");
    assert!(!told.contains("fine") && code == Some(2), "{told}");
    let (checked, code) = json_of(folder.path(), &["check", "--strict", "--json"]);
    assert_eq!((&checked["fine"], &checked["summary"]["warnings"], code), (&json!(false), &json!(1), Some(2)));
}

#[test]
fn for_programs_a_check_is_one_json_object_whatever_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let keys = ["config", "fine", "faults", "summary", "reporting", "not_looked_at"];
    write(FINE);
    let (checked, code) = json_of(folder.path(), &["check", "--json"]);
    let summary = json!({ "faults": 0, "warnings": 0, "listeners": 1, "routes": 1, "tests": 0 });
    let fine = json!({ "config": "gateway.toml", "fine": true, "faults": [], "summary": summary, "reporting": [], "not_looked_at": [] });
    assert_eq!((checked, code), (fine, Some(0)));
    write(
        &FINE
            .replace("endpoint = \"echo\"", &format!("pipeline = [\"jwt.user\"]\nendpoint = \"echo\"\n[jwt.users]\nsecret = \"{SECRET}\"")),
    );
    let output = command(folder.path()).args(["check", "--json"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(SECRET));
    let (checked, code) = json_of(folder.path(), &["check", "--json"]);
    let unknown = json!({
        "severity": "fault", "message": "there is no [jwt.user]", "hint": "did you mean \"jwt.users\"?", "file": "gateway.toml",
        "line": 4, "column": 13, "end": { "line": 4, "column": 23 }, "key": "route.echo.pipeline[0]", "also": [],
    });
    assert_eq!((&checked["faults"][0], code), (&unknown, Some(2)));
    write("[route.echo\n");
    let (broken, code) = json_of(folder.path(), &["check", "--json"]);
    assert_eq!((&broken["faults"][0]["line"], &broken["summary"]["faults"], code), (&json!(1), &json!(1), Some(2)));
    let (missing, code) = json_of(folder.path(), &["check", "--json", "nowhere.toml"]);
    assert_eq!((&missing["faults"][0]["file"], &missing["faults"][0]["line"], code), (&json!("nowhere.toml"), &Value::Null, Some(2)));
    for told in [checked, broken, missing] {
        assert!(keys.iter().all(|key| told.get(key).is_some()) && told.as_object().unwrap().len() == keys.len(), "{told}");
    }
    write(RESTING);
    let (offline, _) = json_of(folder.path(), &["check", "--offline", "--json"]);
    let unset = json!({
        "what": "the variable WSGATE_TEST_UNSET", "file": "gateway.toml", "line": 9, "column": 14,
        "end": { "line": 9, "column": 43 }, "key": "jwt.users.secret[0]",
    });
    assert!(offline["not_looked_at"].as_array().unwrap().contains(&unset), "{offline:#}");
}
