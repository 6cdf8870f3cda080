//! Clients of the control socket that ask too much, never read, or come when nothing is left: nobody else has to wait for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use super::support::{self, Gateway, command};
use super::{FRAME, json, typed};

fn config(more: &str) -> String {
    FRAME.replace("[gateway]\n", "[gateway]\ncontrol = \"own.sock\"\n") + "[route.a]\npath = \"/\"\nendpoint = \"echo\"\n" + more
}

/// A client that has asked this.
fn asks(gateway: &Gateway, verb: &str) -> UnixStream {
    let mut stream = UnixStream::connect(path(gateway)).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.write_all(format!("{{\"version\":1,\"verb\":{verb}}}\n").as_bytes()).unwrap();
    stream
}

fn path(gateway: &Gateway) -> PathBuf {
    gateway.folder.path().join("own.sock")
}

fn answer(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks until it is answered otherwise than this: places that clients leave are there a moment later.
fn answered_otherwise(gateway: &Gateway, verb: &str, than: &str) -> UnixStream {
    loop {
        let stream = asks(gateway, verb);
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        if !line.contains(than) {
            return stream;
        }
    }
}

#[test]
fn of_clients_that_say_nothing_there_are_so_many_at_a_time_and_one_more_is_told() {
    let gateway = Gateway::run(&config(""));
    let silent: Vec<UnixStream> = (0..32).map(|_| UnixStream::connect(path(&gateway)).unwrap()).collect();
    let (printed, exit) = typed(&gateway, &["status"]);
    assert_eq!((printed.as_str(), exit), ("wsgate: the gateway is answering 32 commands already\n", Some(1)));
    drop(silent);
    answered_otherwise(&gateway, "\"status\"", "32 commands already");
}

#[test]
fn of_readers_of_events_there_are_half_as_many_and_commands_have_room_beside_them() {
    let gateway = Gateway::run(&config(""));
    let follow = "{\"events\":{\"follow\":true,\"last\":1}}";
    let followers: Vec<UnixStream> = (0..16).map(|_| answered_otherwise(&gateway, follow, "never")).collect();
    assert!(answer(asks(&gateway, follow)).contains("16 others follow the events already"));
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id());
    drop(followers);
    answered_otherwise(&gateway, follow, "16 others");
}

#[test]
fn who_never_reads_a_long_answer_holds_up_neither_commands_nor_the_end() {
    let more: String = (0..1000).map(|route| format!("[route.r{route}]\npath = \"/{route}\"\nendpoint = \"echo\"\n")).collect();
    let mut gateway = Gateway::run(&config(&more));
    let shows: Vec<UnixStream> = (0..4).map(|_| asks(&gateway, "{\"show\":{\"route\":null}}")).collect();
    for mut stream in &shows {
        // It is being answered, and takes no more of it.
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    assert_eq!(json(&gateway, &["status"])["routes"].as_array().unwrap().len(), 1001);
    assert!(typed(&gateway, &["reload"]).0.contains("nothing has changed"));
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    drop(shows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_does_not_read_is_told_how_much_it_has_missed() {
    let gateway = Gateway::run(&config(""));
    let follower = asks(&gateway, "{\"events\":{\"follow\":true,\"last\":1}}");
    let mut lines = BufReader::new(follower).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert_eq!(lines.next().unwrap()["item"]["event"], "started");
    // More than a socket and the ring have room for.
    const REFUSED: usize = 5000;
    let refuse = async |_| {
        assert_eq!(gateway.refusal(gateway.url("public", &format!("/{}", "x".repeat(700)))).await.0, 404);
    };
    for some in (0..REFUSED).collect::<Vec<_>>().chunks(50) {
        futures_util::future::join_all(some.iter().map(refuse)).await;
    }
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "nobody waits for it");
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < REFUSED {
        match &lines.next().unwrap()["item"] {
            item if item["event"] == "missed" => missed += usize::try_from(item["events"].as_u64().unwrap()).unwrap(),
            item => seen += usize::from(item["event"] == "refused"),
        }
    }
    assert!(missed > 0 && seen + missed == REFUSED, "{seen} seen, {missed} missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_descriptor_is_left_the_gateway_can_still_be_asked_and_told() {
    let mut gateway = Gateway::run_as("ulimit -n 64; wsgate run", tempfile::tempdir().unwrap(), &config(""));
    let address = gateway.address("public");
    let (mut sockets, mut open) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        sockets.push(gateway.connect("public", "/").await);
    }
    while !gateway.events().iter().any(|event| event["event"] == "accept_paused") {
        open.push(tokio::net::TcpStream::connect(address).await.unwrap());
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let status = json(&gateway, &["status"]);
        assert!(status["connections"] == 10 && status["handshakes"].as_u64().unwrap() > 10, "{status}");
    }
    assert_eq!(json(&gateway, &["kick", "--all"])["connections"], 10);
    for socket in &mut sockets {
        assert_eq!(support::closed(socket).await.0, 3003);
    }
    assert!(json(&gateway, &["ps"]).as_array().unwrap().iter().all(|one| one["ending"] == true), "they have yet to say goodbye");
}

#[test]
fn a_gateway_that_is_no_gateway_moves_no_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("own.sock")).unwrap();
    let table = "{\"item\":{\"kind\":\"\\u001b[2J\",\"name\":\"\\u009b\",\"from\":\"default\",\"keys\":[]}}";
    let in_force = "{\"done\":{\"config\":\"\\u202e\",\"generation\":1,\"since\":\"\",\"rolled_back\":null,\"refused\":null}}";
    for (arguments, answer, said) in [
        (&["status"][..], "{\"failed\":\"\\u001b[2J\"}", "wsgate: \\u001b[2J\n"),
        (&["events"], "{\"item\":{\"event\":\"\u{1b}[2J\u{202e}\"}}\n{\"done\":null}", "\\u001b[2J\\u202e"),
        (&["kick", "--all"], "{\"faults\":{\"rendered\":\"one\\n\\u001b[2J\",\"faults\":[]}}", "one\n\\u001b[2J\n"),
        (&["show", "--live"], &format!("{table}\n{in_force}"), "\n[\\u001b[2J.\\u009b]"),
    ] {
        let mut asks = command(folder.path());
        asks.args(arguments).args(["--control", "own.sock"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let asks = asks.spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
        stream.write_all(format!("{answer}\n").as_bytes()).unwrap();
        let output = asks.wait_with_output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains(said) && !printed.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{arguments:?}: {printed:?}");
    }
}
