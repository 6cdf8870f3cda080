//! Backends that answer an upgrade as none should: the client gets an answer, and never the backend's tricks.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{backend, raw};
use super::{Before, gateway};

const TO: &str = "Upgrade: websocket\r\n";
const CONNECTION: &str = "Connection: Upgrade\r\n";

/// What a backend does in the place of an answer.
enum Answer {
    /// It says this; `{accept}` is the key that would be right. Then it ends.
    Says(String),
    /// It says this, and nothing more for as long as anybody waits.
    Waits(String),
}
use Answer::{Says, Waits};

fn switching(lines: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n")
}

/// What it does, the status that the client gets, and the id of the row; none where it gets the backend's own answer.
type Case = (&'static str, Answer, u16, Option<&'static str>);

const BAD: Option<&str> = Some("upstream_bad_handshake");
const LATE: Option<&str> = Some("upstream_timeout");

/// The lines of a 101 that is right.
fn right() -> String {
    format!("{TO}{CONNECTION}Sec-WebSocket-Accept: {{accept}}\r\n")
}

/// What is no answer.
fn nonsense() -> Vec<Case> {
    let right = right();
    vec![
        ("nothing", Says(String::new()), 502, BAD),
        ("nothing, for ever", Waits(String::new()), 504, LATE),
        ("half a head", Says("HTTP/1.1 101 Switching".to_owned()), 502, BAD),
        ("half a head, for ever", Waits("HTTP/1.1 101 Switching Protocols\r\nUpgrade:".to_owned()), 504, LATE),
        ("a head without an end", Waits(format!("HTTP/1.1 101 Switching Protocols\r\n{right}")), 504, LATE),
        ("garbage", Says("\x00\x01\x02\x03\r\n\r\n".to_owned()), 502, BAD),
        ("a page without a head", Says("<html>hello</html>\r\n\r\n".to_owned()), 502, BAD),
        ("another protocol", Says("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()), 502, BAD),
        ("a status that is none", Says("HTTP/1.1 1010 What\r\n\r\n".to_owned()), 502, BAD),
        ("a status of two digits", Says("HTTP/1.1 99 What\r\n\r\n".to_owned()), 502, BAD),
        ("no status", Says("HTTP/1.1 \r\n\r\n".to_owned()), 502, BAD),
        ("another version of HTTP", Says(format!("HTTP/1.0 101 Switching Protocols\r\n{right}\r\n")), 502, BAD),
        ("a version that is none", Says(format!("HTTP/9.9 101 Switching Protocols\r\n{right}\r\n")), 502, BAD),
    ]
}

/// What is nearly a 101.
fn nearly() -> Vec<Case> {
    let right = right();
    let with = |lines: &str| Says(switching(&format!("{right}{lines}")));
    vec![
        ("no upgrade", Says(switching(&right.replace(TO, ""))), 502, BAD),
        ("another upgrade", Says(switching(&right.replace(TO, "Upgrade: h2c\r\n"))), 502, BAD),
        ("no connection", Says(switching(&right.replace(CONNECTION, ""))), 502, BAD),
        ("a connection that closes", Says(switching(&right.replace(CONNECTION, "Connection: close\r\n"))), 502, BAD),
        ("no accept", Says(switching(&format!("{TO}{CONNECTION}"))), 502, BAD),
        ("a wrong accept", Says(switching(&right.replace("{accept}", "dGhlIHNhbXBsZSBub25jZQ=="))), 502, BAD),
        ("an empty accept", Says(switching(&right.replace("{accept}", ""))), 502, BAD),
        ("two accepts", with("Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 502, BAD),
        ("a subprotocol that nobody offered", with("Sec-WebSocket-Protocol: chat\r\n"), 502, BAD),
        ("an extension that nobody offered", with("Sec-WebSocket-Extensions: permessage-deflate\r\n"), 502, BAD),
        ("an extension that nobody knows", with("Sec-WebSocket-Extensions: x-secret\r\n"), 502, BAD),
        ("a body behind its 101", with("Content-Length: 5\r\n"), 101, None),
        ("chunks behind its 101", with("Transfer-Encoding: chunked\r\n"), 101, None),
        ("a folded line", with("X-A: 1\r\n 2\r\n"), 502, BAD),
        ("a line without a colon", with("X-A\r\n"), 502, BAD),
        ("a space before a colon", with("X-A : 1\r\n"), 502, BAD),
        ("a NUL in a value", with("X-A: 1\x002\r\n"), 502, BAD),
        ("a line that is too long", with(&format!("X-A: {}\r\n", "x".repeat(100_000))), 502, BAD),
        ("more lines than there should be", with(&"X-A: 1\r\n".repeat(1000)), 502, BAD),
        ("lines without an end", Waits(format!("HTTP/1.1 101 Switching Protocols\r\n{}", "X-A: 1\r\n".repeat(20_000))), 502, BAD),
        ("interim answers without an end", Says("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)), 502, BAD),
    ]
}

/// What is no 101, and may be meant so.
fn refusals() -> Vec<Case> {
    vec![
        ("a refusal in its own words", Says("HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort".to_owned()), 418, None),
        // A refusal whose body cannot be read is one all the same, without it.
        ("a refusal that promises more than it says", Says("HTTP/1.1 403 No\r\nContent-Length: 50\r\n\r\nshort".to_owned()), 403, None),
        ("two lengths", Says("HTTP/1.1 403 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort".to_owned()), 403, None),
        (
            "two ways to end",
            Says("HTTP/1.1 403 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
            403,
            None,
        ),
        ("chunks that are none", Says("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nno\r\n".to_owned()), 403, None),
        // Both published ways to smuggle a WebSocket: a proxy that takes any answer for a 101 would tunnel what comes next.
        (
            "a wrong version, told so",
            Says("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n".to_owned()),
            426,
            None,
        ),
        (
            "a 101 to something else",
            Says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n".to_owned()),
            502,
            BAD,
        ),
        ("a health check that answers 200", Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()), 200, None),
    ]
}

fn cases() -> Vec<Case> {
    nonsense().into_iter().chain(nearly()).chain(refusals()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_answers_as_none_should_gives_its_client_an_answer_all_the_same() {
    // Which case it is stands in the query.
    let address = backend::scripted(|mut stream: TcpStream| async move {
        let head = backend::read_head(&mut stream).await;
        let number: usize = head.split_once("case=").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
        let accept = backend::switching(&head);
        let accept = accept.split_once("Sec-WebSocket-Accept: ").unwrap().1.split_once('\r').unwrap().0.to_owned();
        let (Says(answer) | Waits(answer)) = &cases()[number].1;
        _ = stream.write_all(answer.replace("{accept}", &accept).as_bytes()).await;
        if matches!(cases()[number].1, Waits(_)) {
            _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let gateway = gateway(address);
    let before = Before::of(&gateway);
    let mut wrong = Vec::new();
    for (number, (what, _, status, id)) in cases().into_iter().enumerate() {
        let path = format!("/relay?case={number}");
        // Behind it, what a client would like to reach the backend with, if it were a tunnel now.
        let request = raw::upgrade(&path, "") + "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let answer = raw::exchange(gateway.address("public"), request.as_bytes()).await;
        let is_right = answer.starts_with(&format!("HTTP/1.1 {status} ")) && id.is_none_or(|id| answer.contains(&format!("({id})")));
        if !is_right || answer.matches("HTTP/1.1 ").count() != 1 {
            wrong.push(format!("{what}: {answer:?}, not {status} {id:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    before.is_restored(&gateway).await;
}
