//! Requests that are wrong, or mean something else to somebody else: each has one answer, and no backend sees any of them.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::{backend, in_time, raw};
use super::{Before, an_ordinary_client_is_served, gateway};

/// The header lines of an upgrade, without `Host`.
const UPGRADE: &str =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request that is right but for its first line.
fn line(line: &[u8]) -> Vec<u8> {
    [line, b"\r\nHost: localhost\r\n", UPGRADE.as_bytes(), b"\r\n"].concat()
}

/// One that is right but for these lines more.
fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET /relay HTTP/1.1\r\nHost: localhost\r\n", UPGRADE.as_bytes(), lines, b"\r\n"].concat()
}

/// One that is right but for its `Host`.
fn host(line: &str) -> Vec<u8> {
    format!("GET /relay HTTP/1.1\r\n{line}{UPGRADE}\r\n").into_bytes()
}

/// One that has these lines in the place of those that upgrade.
fn instead(lines: &str) -> Vec<u8> {
    format!("GET /relay HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

/// An upgrade with one of its lines replaced.
fn but(line: &str, other: &str) -> Vec<u8> {
    assert!(UPGRADE.contains(line), "{line}");
    instead(&UPGRADE.replace(line, other))
}

/// An ordinary request to a route that takes them.
fn ordinary(line: &str, rest: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{rest}").into_bytes()
}

/// An ordinary request whose body is framed so, with another request behind what is perhaps its end.
fn framed(lines: &str, body: &str) -> Vec<u8> {
    ordinary("POST /http", &format!("{lines}\r\n\r\n{body}{SMUGGLED}"))
}

const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const CONNECTION: &str = "Connection: Upgrade\r\n";
const TO: &str = "Upgrade: websocket\r\n";
/// What somebody wants to get past the gateway, in the body of something else.
const SMUGGLED: &str = "GET /relay HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What it is, what is sent, the status it is answered with, and the id of the row.
type Case = (&'static str, Vec<u8>, u16, &'static str);

/// The request line.
fn request_lines() -> Vec<Case> {
    vec![
        ("two spaces in the request line", line(b"GET  /relay HTTP/1.1"), 400, "bad_handshake"),
        ("a tab in the request line", line(b"GET\t/relay HTTP/1.1"), 400, "bad_handshake"),
        ("something behind the version", line(b"GET /relay HTTP/1.1 more"), 400, "bad_handshake"),
        ("a space before the method", line(b" GET /relay HTTP/1.1"), 400, "bad_handshake"),
        ("no version", line(b"GET /relay"), 400, "bad_handshake"),
        ("another version of HTTP", line(b"GET /relay HTTP/3.0"), 400, "bad_handshake"),
        ("a version of two digits", line(b"GET /relay HTTP/1.10"), 400, "bad_handshake"),
        ("a version in lower case", line(b"GET /relay http/1.1"), 400, "bad_handshake"),
        ("the version before upgrades", line(b"GET /relay HTTP/1.0"), 400, "bad_handshake"),
        ("a method in lower case", line(b"get /relay HTTP/1.1"), 426, "upgrade_required"),
        ("a method that is no token", line(b"G(T /relay HTTP/1.1"), 400, "bad_handshake"),
        ("an upgrade by POST", line(b"POST /relay HTTP/1.1"), 426, "upgrade_required"),
        ("a tunnel", line(b"CONNECT localhost:80 HTTP/1.1"), 426, "upgrade_required"),
        ("a question about the server", line(b"OPTIONS * HTTP/1.1"), 426, "upgrade_required"),
        ("a whole URL", line(b"GET http://localhost/relay HTTP/1.1"), 400, "bad_handshake"),
        ("no path", line(b"GET relay HTTP/1.1"), 400, "bad_handshake"),
        ("a NUL in the path", line(b"GET /re\0lay HTTP/1.1"), 400, "bad_handshake"),
        ("a DEL in the path", line(b"GET /re\x7flay HTTP/1.1"), 400, "bad_handshake"),
        ("a fragment", line(b"GET /relay#part HTTP/1.1"), 400, "bad_handshake"),
        ("a hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400, "bad_handshake"),
        ("noise", b"\xff\xfe\xfd\r\n\r\n".to_vec(), 400, "bad_handshake"),
        ("a request line that is too long", line(format!("GET /{} HTTP/1.1", "x".repeat(20_000)).as_bytes()), 414, "uri_too_long"),
    ]
}

/// The path.
fn paths() -> Vec<Case> {
    vec![
        ("a way up", line(b"GET /echo/../relay HTTP/1.1"), 400, "bad_handshake"),
        ("a way up in disguise", line(b"GET /echo/%2e%2e/relay HTTP/1.1"), 400, "bad_handshake"),
        ("half of it in disguise", line(b"GET /echo/.%2E/relay HTTP/1.1"), 400, "bad_handshake"),
        ("a step that is none", line(b"GET /./relay HTTP/1.1"), 400, "bad_handshake"),
        ("two slashes", line(b"GET //relay HTTP/1.1"), 400, "bad_handshake"),
        ("a slash in disguise", line(b"GET /relay%2fx HTTP/1.1"), 400, "bad_handshake"),
        ("a backslash", line(b"GET /relay\\x HTTP/1.1"), 400, "bad_handshake"),
        ("a backslash in disguise", line(b"GET /relay%5cx HTTP/1.1"), 400, "bad_handshake"),
        ("a parameter of the path", line(b"GET /relay;x=1 HTTP/1.1"), 400, "bad_handshake"),
        ("a NUL in disguise", line(b"GET /relay%00 HTTP/1.1"), 400, "bad_handshake"),
        ("an escape that is cut", line(b"GET /relay%2 HTTP/1.1"), 400, "bad_handshake"),
        ("an escape that is none", line(b"GET /relay%zz HTTP/1.1"), 400, "bad_handshake"),
        ("a dot in too many bytes", line(b"GET /%c0%ae%c0%ae/relay HTTP/1.1"), 400, "bad_handshake"),
        ("an escape of an escape", line(b"GET /%252e%252e/relay HTTP/1.1"), 404, "no_route"),
    ]
}

/// Lines of the head.
fn lines() -> Vec<Case> {
    vec![
        ("line feeds alone", b"GET /relay HTTP/1.1\nHost: localhost\n\n".to_vec(), 400, "bad_handshake"),
        ("one line feed alone", with(b"X-A: 1\nX-B: 2\r\n"), 400, "bad_handshake"),
        ("a carriage return alone", with(b"X-A: 1\rX-B: 2\r\n"), 400, "bad_handshake"),
        ("a folded line", with(b"X-A: 1\r\n 2\r\n"), 400, "bad_handshake"),
        ("a space before a colon", with(b"X-A : 1\r\n"), 400, "bad_handshake"),
        ("a line without a colon", with(b"X-A\r\n"), 400, "bad_handshake"),
        ("a line without a name", with(b": 1\r\n"), 400, "bad_handshake"),
        ("a name that is no token", with(b"X A: 1\r\n"), 400, "bad_handshake"),
        ("a NUL in a value", with(b"X-A: 1\x002\r\n"), 400, "bad_handshake"),
        ("a control in a value", with(b"X-A: 1\x012\r\n"), 400, "bad_handshake"),
        ("ten thousand lines", with("X-A: 1\r\n".repeat(10_000).as_bytes()), 431, "head_too_large"),
        ("a line that is too long", with(format!("X-A: {}\r\n", "x".repeat(40_000)).as_bytes()), 431, "head_too_large"),
    ]
}

/// Where it goes.
fn hosts() -> Vec<Case> {
    vec![
        ("no host", host(""), 400, "bad_handshake"),
        ("two hosts", host("Host: localhost\r\nHost: elsewhere\r\n"), 400, "bad_handshake"),
        ("an empty host", host("Host: \r\n"), 400, "bad_handshake"),
        ("half an address", host("Host: [::1\r\n"), 400, "bad_handshake"),
        ("a host with a space", host("Host: local host\r\n"), 400, "bad_handshake"),
        ("a host with a user", host("Host: root@localhost\r\n"), 400, "bad_handshake"),
        ("a host with a path", host("Host: localhost/relay\r\n"), 400, "bad_handshake"),
        ("a port that is none", host("Host: localhost:port\r\n"), 400, "bad_handshake"),
        ("a port that is too large", host("Host: localhost:99999\r\n"), 400, "bad_handshake"),
        ("a host that is a list", host("Host: localhost,elsewhere\r\n"), 400, "bad_handshake"),
    ]
}

/// The upgrade.
fn upgrades() -> Vec<Case> {
    vec![
        ("no upgrade", instead(""), 426, "upgrade_required"),
        ("an upgrade to HTTP/2", but(TO, "Upgrade: h2c\r\n"), 426, "upgrade_required"),
        ("an upgrade to something like it", but(TO, "Upgrade: websocket2\r\n"), 426, "upgrade_required"),
        ("no connection", but(CONNECTION, ""), 426, "upgrade_required"),
        ("a connection that is kept", but(CONNECTION, "Connection: keep-alive\r\n"), 426, "upgrade_required"),
        ("no version of WebSocket", but(VERSION, ""), 426, "bad_version"),
        ("an older one", but(VERSION, "Sec-WebSocket-Version: 8\r\n"), 426, "bad_version"),
        ("a list of them", but(VERSION, "Sec-WebSocket-Version: 13, 8\r\n"), 426, "bad_version"),
        ("two of them", but(VERSION, &VERSION.repeat(2)), 426, "bad_version"),
        ("no key", but(KEY, ""), 400, "bad_handshake"),
        ("an empty key", but(KEY, "Sec-WebSocket-Key:\r\n"), 400, "bad_handshake"),
        ("a short key", but(KEY, "Sec-WebSocket-Key: dGhl\r\n"), 400, "bad_handshake"),
        ("a key that is no base64", but(KEY, "Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ==\r\n"), 400, "bad_handshake"),
        ("a key that is too long", but(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==\r\n"), 400, "bad_handshake"),
        ("two keys", but(KEY, &KEY.repeat(2)), 400, "bad_handshake"),
        ("an extension that is no list", with(b"Sec-WebSocket-Extensions: ;;=\r\n"), 400, "bad_handshake"),
    ]
}

/// Bodies where none belongs, and one request inside another.
fn bodies() -> Vec<Case> {
    let end = "0\r\n\r\n";
    let length = SMUGGLED.len();
    let wrong = [
        ("two ways to end a body", framed("Content-Length: 4\r\nTransfer-Encoding: chunked", end)),
        ("two lengths", framed(&format!("Content-Length: 0\r\nContent-Length: {length}"), "")),
        ("two lengths in one line", framed(&format!("Content-Length: 0, {length}"), "")),
        ("a length below nothing", framed("Content-Length: -1", "")),
        ("a length with a sign", framed("Content-Length: +4", "")),
        ("a length in hexadecimal", framed("Content-Length: 0x4", "")),
        ("a length that is too large to count", framed("Content-Length: 99999999999999999999", "")),
        ("a coding like chunked", framed("Transfer-Encoding: xchunked", end)),
        ("chunked and not last", framed("Transfer-Encoding: chunked, identity", end)),
        ("chunked twice", framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", end)),
        ("chunked behind a control", framed("Transfer-Encoding:\x0bchunked", end)),
        ("a coding in disguise", framed("Transfer-Encoding : chunked", end)),
        ("an upgrade with a body", with(b"Content-Length: 5\r\n")),
        ("an upgrade with a chunked body", with(b"Transfer-Encoding: chunked\r\n")),
    ];
    let elsewhere = ordinary("POST /relay", &format!("Content-Length: {length}\r\n\r\n{SMUGGLED}"));
    let wrong = wrong.into_iter().map(|(what, sent)| (what, sent, 400, "bad_handshake"));
    wrong.chain([("a body where no route takes one", elsewhere, 426, "upgrade_required")]).collect()
}

/// The status of the answer, and the id that its text names; status 0 where there is none.
async fn told(address: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may answer and close before it has read all of it.
    _ = stream.write_all(bytes).await;
    let mut answer = in_time(backend::read_head(&mut stream)).await;
    if !answer.starts_with("HTTP/1.1 101 ") {
        answer += &String::from_utf8_lossy(&raw::rest(&mut stream).await);
    }
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    let id = answer.rsplit_once('(').and_then(|(_, id)| id.split_once(')')).map_or("", |(id, _)| id);
    (status.unwrap_or_default(), id.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_has_one_answer_and_reaches_nobody() {
    let (backend, mut requests) = backend::echo().await;
    let gateway = gateway(backend);
    let before = Before::of(&gateway);
    let address = gateway.address("public");
    let mut wrong = Vec::new();
    let cases = [request_lines(), paths(), lines(), hosts(), upgrades(), bodies()].concat();
    for (what, bytes, status, outcome) in &cases {
        let answer = told(address, bytes).await;
        if (answer.0, &*answer.1) != (*status, *outcome) {
            wrong.push(format!("{what}: {answer:?}, not {:?}", (status, outcome)));
        }
        if let Ok(request) = requests.try_recv() {
            wrong.push(format!("{what}: it has reached the backend as {request:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 85, "{}", cases.len());
    an_ordinary_client_is_served(&gateway, "/relay").await;
    assert_eq!(requests.recv().await.unwrap().uri().path(), "/relay");
    before.is_restored(&gateway).await;
}
