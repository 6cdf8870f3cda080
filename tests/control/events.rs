//! `wsgate events`: what happened, and what happens.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::support::{Gateway, command};
use super::{FRAME, typed};

fn gateway() -> Gateway {
    Gateway::run(&format!(
        "{}[route.a]\nendpoint = \"echo\"\n[route.b]\npath = \"/b\"\nendpoint = \"echo\"\n",
        FRAME.replace("[gateway]", "[gateway]\nmax_connections = 100")
    ))
}

fn names(printed: &str) -> Vec<String> {
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].as_str().unwrap().to_owned();
    printed.lines().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_events_are_printed_as_a_log_has_them() {
    let mut gateway = gateway();
    let _socket = gateway.connect("public", "/").await;
    // The 101 is there before the line, and another worker may be faster with both.
    gateway.event("open");
    let _other = gateway.connect("public", "/b").await;
    let logged = gateway.event("open");
    let (printed, exit) = typed(&gateway, &["events"]);
    assert_eq!((names(&printed), exit), (vec!["started".to_owned(), "open".to_owned(), "open".to_owned()], Some(0)));
    let (printed, _) = typed(&gateway, &["events", "-n", "1"]);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), logged);
    assert!(printed.starts_with("{\"time\":"), "key for key: {printed}");
    let (printed, _) = typed(&gateway, &["events", "--route", "a"]);
    assert!(names(&printed) == ["open"] && printed.contains("\"route\":\"a\""), "{printed}");
    typed(&gateway, &["kick", "--route", "b"]);
    gateway.event("close");
    assert_eq!(names(&typed(&gateway, &["events", "--level", "warn"]).0), ["close"]);
    assert_eq!(typed(&gateway, &["events", "--level", "debug"]).1, Some(2));
    // Nobody waits for what cannot come.
    let told = "wsgate: there is no route.c, and no event tells of one\n";
    assert_eq!(typed(&gateway, &["events", "-f", "--route", "c"]), (told.to_owned(), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_a_kick_when_it_happens() {
    let mut gateway = gateway();
    let _socket = gateway.connect("public", "/").await;
    gateway.event("open");
    let mut follower = command(gateway.folder.path());
    let mut follower = follower.args(["events", "-f", "-n", "1", "--route", "a"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    // With that it follows: what comes after it comes here.
    assert_eq!(names(&lines.next().unwrap().unwrap()), ["open"]);
    typed(&gateway, &["kick", "--all"]);
    let seen: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&seen["event"], &seen["outcome"]), (&Value::from("close"), &Value::from("kicked")));
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert!(typed(&gateway, &["status"]).1 == Some(0), "nobody minds that it has gone");
}
