//! Who is let in and who is turned away, and what each is told: the rows of the error table that come before the 101.

mod support;

use serde_json::json;
use support::{Gateway, SECRET, backend, closed, next_text, now, raw, request, token, with_token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

const ECHO: &str = r#"
[listener.public]
address = "127.0.0.1:0"
handshake_timeout = "300ms"
[route.echo]
path = "/echo"
endpoint = "echo"
"#;

fn guarded(pipeline: &str, more: &str) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"
[jwt.users]
algorithms = ["HS256"]
secret = {{ env = "NOBODY_SETS_THIS", default = "{SECRET}" }}
sources = ["header", "first_message"]
first_message = {{ timeout = "300ms" }}
[route.secure]
pipeline = [{pipeline}]
endpoint = "authenticated"
{more}"#
    )
}

#[tokio::test]
async fn a_malformed_request_is_told_what_is_wrong_with_it() {
    let mut gateway = Gateway::run(ECHO);
    let good = raw::upgrade("/echo", "");
    let rows: Vec<(&str, String, u16, &str)> = vec![
        ("no Host", good.replace("Host: localhost\r\n", ""), 400, "bad_handshake"),
        ("two Hosts", good.replace("Host: localhost\r\n", "Host: a\r\nHost: b\r\n"), 400, "bad_handshake"),
        ("a broken Host", good.replace("Host: localhost", "Host: [::1"), 400, "bad_handshake"),
        ("TE beside CL", raw::upgrade("/echo", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400, "bad_handshake"),
        ("a bare LF", good.replace("Host: localhost\r\n", "Host: localhost\n"), 400, "bad_handshake"),
        ("a NUL", good.replace("localhost", "local\0host"), 400, "bad_handshake"),
        ("an obs-fold", raw::upgrade("/echo", "X-A: b\r\n c\r\n"), 400, "bad_handshake"),
        ("an upgrade with a body", raw::upgrade("/echo", "Content-Length: 3\r\n"), 400, "bad_handshake"),
        ("an upgrade with chunks", raw::upgrade("/echo", "Transfer-Encoding: chunked\r\n"), 400, "bad_handshake"),
        ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0"), 400, "bad_handshake"),
        ("a POST", good.replace("GET", "POST"), 426, "upgrade_required"),
        ("a POST with a body", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".to_owned(), 426, "upgrade_required"),
        (
            "a chunked POST",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            426,
            "upgrade_required",
        ),
        ("a POST whose body does not come", "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi".to_owned(), 404, "no_route"),
        ("a CONNECT", good.replace("GET", "CONNECT"), 426, "upgrade_required"),
        ("an OPTIONS of everything", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426, "upgrade_required"),
        ("a PUT to no path", "PUT /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404, "no_route"),
        ("a path parameter", raw::upgrade("/echo;v=1", ""), 400, "bad_handshake"),
        ("a short key", good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), 400, "bad_handshake"),
        ("a dot segment", raw::upgrade("/a/../echo", ""), 400, "bad_handshake"),
        ("a fragment", raw::upgrade("/echo#x", ""), 400, "bad_handshake"),
        ("version 8", good.replace("Version: 13", "Version: 8"), 426, "bad_version"),
        ("no version", good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "bad_version"),
        ("plain HTTP", "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426, "upgrade_required"),
        ("no such path", raw::upgrade("/nowhere", ""), 404, "no_route"),
        ("65 headers", raw::upgrade("/echo", &"X-A: b\r\n".repeat(65)), 431, "head_too_large"),
        ("a head of 20 KiB", raw::upgrade("/echo", &format!("X-A: {}\r\n", "b".repeat(20 << 10))), 431, "head_too_large"),
        ("a target of 20 KiB", raw::upgrade(&format!("/echo?{}", "b".repeat(20 << 10)), ""), 414, "uri_too_long"),
    ];
    for (what, bytes, status, id) in rows {
        let answer = raw::exchange(gateway.address("public"), bytes.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(answer.contains(id), "{what}: {answer}");
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["status"]), (&json!(id), &json!(status)), "{what}: {event}");
    }
    let mut socket = gateway.connect("public", "/echo").await;
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
}

#[tokio::test]
async fn plain_http_is_told_to_upgrade_and_how() {
    let gateway = Gateway::run(ECHO);
    let answer = raw::exchange(gateway.address("public"), b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").await.to_lowercase();
    for header in ["upgrade: websocket\r\n", "sec-websocket-version: 13\r\n", "connection: upgrade, close\r\n"] {
        assert!(answer.contains(header), "{answer}");
    }
    assert!(answer.contains("websocket client"), "{answer}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_answered_408() {
    let mut gateway = Gateway::run(ECHO);
    let answer = raw::exchange(gateway.address("public"), b"GET /echo HTTP/1.1\r\nHost: a\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(gateway.event("refused")["outcome"], "handshake_timeout");
}

#[tokio::test]
async fn a_connection_that_says_nothing_leaves_without_a_line() {
    let mut gateway = Gateway::run(ECHO);
    for _ in 0..3 {
        drop(TcpStream::connect(gateway.address("public")).await.unwrap());
    }
    let mut socket = gateway.connect("public", "/echo").await;
    support::ask(&mut socket, "x").await;
    gateway.event("open");
    assert!(gateway.events().iter().all(|event| event["event"] != "refused"));
}

#[tokio::test]
async fn bytes_behind_the_request_are_the_first_frames() {
    let gateway = Gateway::run(ECHO);
    let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
    let mut bytes = raw::upgrade("/echo", "").into_bytes();
    bytes.extend(raw::frame(0x81, b"early"));
    stream.write_all(&bytes).await.unwrap();
    backend::read_head(&mut stream).await;
    let mut answer = [0; 7];
    support::in_time(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"\x81\x05early");
}

#[tokio::test]
async fn a_denied_address_gets_403_and_a_line_with_the_rule() {
    let mut gateway = Gateway::run(
        r#"
[listener.public]
address = "127.0.0.1:0"
pipeline = ["firewall.office"]
[firewall.office]
deny = [{ cidr = "127.0.0.0/8", note = "not from here" }]
[route.echo]
endpoint = "echo"
"#,
    );
    let (status, body) = gateway.refusal(gateway.url("public", "/")).await;
    assert_eq!(status, 403);
    assert!(body.contains("ip_denied") && !body.contains("not from here"), "{body}");
    let event = gateway.event("refused");
    assert_eq!(event["stage"], "firewall.office");
    assert!(event["rule"].as_str().unwrap().contains("127.0.0.0/8"), "{event}");
}

#[tokio::test]
async fn a_refusal_can_come_as_a_close_frame_for_browsers() {
    let mut gateway = Gateway::run(
        r#"
[listener.public]
address = "127.0.0.1:0"
pipeline = ["firewall.office", "errors.open"]
[firewall.office]
deny = ["127.0.0.0/8"]
[errors.open]
reject = "accept_close"
notify = "{reason}"
messages = { ip_denied = "not from there" }
codes = { ip_denied = 4403 }
[route.echo]
endpoint = "echo"
"#,
    );
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(next_text(&mut socket).await, "not from there");
    assert_eq!(closed(&mut socket).await, (4403, "not from there".to_owned()));
    let event = gateway.event("refused");
    assert_eq!((&event["outcome"], &event["code"]), (&json!("ip_denied"), &json!(4403)));
}

#[tokio::test]
async fn tokens_are_judged_at_the_handshake() {
    let mut gateway = Gateway::run(&guarded(r#""jwt.users""#, ""));
    let url = gateway.url("public", "/");
    let rows = [
        ("nonsense", "nonsense".to_owned(), "token_invalid"),
        ("expired", token(&json!({ "sub": "alice", "exp": now() - 3600 })), "token_expired"),
        ("without exp", token(&json!({ "sub": "alice" })), "token_invalid"),
        ("not yet", token(&json!({ "sub": "alice", "exp": now() + 60, "nbf": now() + 3600 })), "token_invalid"),
    ];
    for (what, token, id) in rows {
        let (status, body) = gateway.refusal(with_token(&url, &token)).await;
        assert_eq!(status, 401, "{what}");
        assert!(body.contains(id), "{what}: {body}");
        assert_eq!(gateway.event("refused")["outcome"], id, "{what}");
    }
    let good = token(&json!({ "sub": "alice", "exp": now() + 60 }));
    let mut socket = support::connect(with_token(&url, &good)).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "Authenticated!");
    assert_eq!(support::ask(&mut socket, "me").await, "me");
    assert_eq!(gateway.event("open")["user"], "alice");
}

#[tokio::test]
async fn a_token_may_be_the_first_message() {
    let mut gateway = Gateway::run(&guarded(r#""jwt.users""#, ""));
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(support::ask(&mut socket, &token(&json!({ "sub": "bob", "exp": now() + 60 }))).await, "Authenticated!");
    assert_eq!(gateway.event("open")["user"], "bob");

    let mut socket = gateway.connect("public", "/").await;
    futures_util::SinkExt::send(&mut socket, "rubbish".into()).await.unwrap();
    assert_eq!(closed(&mut socket).await, (3000, "Invalid token".to_owned()));
    let event = gateway.event("refused");
    assert_eq!((&event["outcome"], &event["code"]), (&json!("token_invalid"), &json!(3000)));

    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(closed(&mut socket).await.0, 3008);
    assert_eq!(gateway.event("refused")["outcome"], "auth_timeout");
}

#[tokio::test]
async fn a_missing_token_is_challenged_where_only_the_header_counts() {
    let config = guarded(r#""jwt.users", "errors.json""#, "[errors.json]\nbody = \"json\"\n").replace(r#", "first_message""#, "");
    let config = config.lines().filter(|line| !line.starts_with("first_message")).collect::<Vec<_>>().join("\n");
    let gateway = Gateway::run(&config);
    let answer = raw::exchange(gateway.address("public"), raw::upgrade("/", "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.to_lowercase().contains("www-authenticate: bearer\r\n"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body, json!({ "error": "token_missing", "message": "Authentication required" }));
}

#[tokio::test]
async fn report_mode_lets_in_and_says_what_it_would_have_done() {
    let mut gateway = Gateway::run(
        r#"
[listener.public]
address = "127.0.0.1:0"
[firewall.trial]
mode = "report"
deny = ["127.0.0.0/8"]
[route.echo]
pipeline = ["firewall.trial"]
endpoint = "echo"
"#,
    );
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(support::ask(&mut socket, "in").await, "in");
    let event = gateway.event("would_refuse");
    assert_eq!((&event["outcome"], &event["stage"]), (&json!("ip_denied"), &json!("firewall.trial")));
}

#[tokio::test]
async fn beyond_max_connections_the_answer_is_503_until_one_leaves() {
    let mut gateway = Gateway::run(&ECHO.replace("handshake_timeout", "max_connections = 1\nhandshake_timeout"));
    let first = gateway.connect("public", "/echo").await;
    gateway.event("open");
    let answer = raw::exchange(gateway.address("public"), raw::upgrade("/echo", "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.to_lowercase().contains("retry-after: "), "{answer}");
    assert_eq!(gateway.event("refused")["outcome"], "overloaded");
    drop(first);
    gateway.event("close");
    gateway.connect("public", "/echo").await;
}

#[tokio::test]
async fn beyond_max_handshakes_the_answer_is_503_until_one_is_over() {
    let mut gateway = Gateway::run(&format!("[gateway]\nmax_handshakes = 1\n{ECHO}"));
    // Who is in is no handshake any more.
    let _open = gateway.connect("public", "/echo").await;
    let mut dawdles = TcpStream::connect(gateway.address("public")).await.unwrap();
    dawdles.write_all(b"GET ").await.unwrap();
    let refused = async {
        loop {
            if let Err(tungstenite::Error::Http(answer)) = support::connect(gateway.url("public", "/echo")).await {
                return answer;
            }
        }
    };
    let answer = support::in_time(refused).await;
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    let event = gateway.event("refused");
    assert_eq!((&event["outcome"], &event["rule"]), (&json!("overloaded"), &json!("max_handshakes")), "{event}");
    drop(dawdles);
    support::in_time(async { while support::connect(gateway.url("public", "/echo")).await.is_err() {} }).await;
}

#[tokio::test]
async fn beyond_max_buffered_who_needs_more_is_closed() {
    let mut gateway = Gateway::run(&format!("[gateway]\nmax_buffered = \"100KiB\"\n{ECHO}"));
    let mut first = raw::upgraded(gateway.address("public"), "/echo").await;
    // Its message takes up to twice its length while it grows, and so does the answer. What it has sent is held once the ping behind it is answered.
    first.write_all(&[raw::frame(0x02, &[7; 60_000]), raw::frame(0x89, b"held")].concat()).await.unwrap();
    assert_eq!(raw::next_frame(&mut first).await, (0x8a, b"held".to_vec()));
    let mut second = raw::upgraded(gateway.address("public"), "/echo").await;
    second.write_all(&raw::frame(0x82, &[7; 300_000])[..290_000]).await.unwrap();
    assert_eq!(raw::next_frame(&mut second).await, (0x88, raw::closing(1013, "try again later")));
    drop(second);
    let event = gateway.event("close");
    assert_eq!((&event["outcome"], &event["rule"]), (&json!("overloaded"), &json!("max_buffered")), "{event}");
    first.write_all(&raw::frame(0x80, &[7])).await.unwrap();
    let echoed = raw::next_frame(&mut first).await;
    assert!(echoed == (0x82, vec![7; 60_001]), "{} bytes", echoed.1.len());
}

#[tokio::test]
async fn the_route_is_chosen_by_host_and_path() {
    let gateway = Gateway::run(
        r#"
[listener.public]
address = "127.0.0.1:0"
[echo.a]
prefix = "a "
[echo.b]
prefix = "b "
[route.any]
path = "/*"
endpoint = "echo.a"
[route.host]
host = "b.example.com"
path = "/x/*"
endpoint = "echo.b"
"#,
    );
    for (host, path, answer) in [
        ("b.example.com", "/x/y", "b 1"),
        ("B.Example.com:81", "/x", "b 1"),
        ("b.example.com", "/y", "a 1"),
        ("c.example.com", "/x", "a 1"),
    ] {
        let mut request = request(&gateway.url("public", path), &[]);
        request.headers_mut().insert("host", host.parse().unwrap());
        let mut socket = support::connect(request).await.unwrap();
        assert_eq!(support::ask(&mut socket, "1").await, answer, "{host}{path}");
    }
}

#[tokio::test]
async fn a_listener_may_have_several_addresses_of_both_families() {
    let mut gateway = Gateway::run(
        r#"
[listener.public]
address = ["127.0.0.1:0", "[::1]:0", "localhost:0"]
pipeline = ["firewall.local"]
[firewall.local]
allow = ["127.0.0.1", "::1"]
[route.echo]
endpoint = "echo"
"#,
    );
    let listening = gateway.events().iter().filter(|event| event["event"] == "listening");
    let addresses: Vec<String> = listening.map(|event| event["address"].as_str().unwrap().to_owned()).collect();
    assert!(addresses.len() >= 3 && addresses.iter().any(|address| address.starts_with("[::1]")), "{addresses:?}");
    for address in addresses {
        let mut socket = support::connect(format!("ws://{address}/")).await.unwrap();
        assert_eq!(support::ask(&mut socket, &address).await, address);
    }
}

#[tokio::test]
async fn clients_that_are_turned_away_take_nobodys_place() {
    let mut gateway = Gateway::run(
        r#"
[gateway]
max_connections = 2
[listener.public]
address = "127.0.0.1:0"
[listener.closed]
address = "127.0.0.1:0"
pipeline = ["firewall.nobody"]
[firewall.nobody]
deny = ["0.0.0.0/0"]
[route.echo]
listener = ["public", "closed"]
endpoint = "echo"
"#,
    );
    // They are told, and stay to be shown out for as long as they keep their end open.
    let mut denied = Vec::new();
    for _ in 0..5 {
        denied.push(TcpStream::connect(gateway.address("closed")).await.unwrap());
        gateway.event("refused");
    }
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(support::ask(&mut socket, "room").await, "room");
}

#[tokio::test]
async fn a_refused_request_is_logged_with_what_it_asked_for() {
    let mut gateway = Gateway::run(ECHO);
    for (path, id) in [("/nowhere", "no_route"), ("/a//b", "bad_handshake")] {
        raw::exchange(gateway.address("public"), raw::upgrade(path, "").as_bytes()).await;
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["host"], &event["path"]), (&json!(id), &json!("localhost"), &json!(path)), "{event}");
    }
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let gateway = Gateway::run(ECHO);
    for (path, status) in [("/echo", 426), ("/nowhere", 404), ("/a//b", 400), ("*", 426)] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = raw::exchange(gateway.address("public"), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
