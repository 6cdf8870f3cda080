//! A backend's handshake over real TCP, against backends that do everything but what they should.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod backend;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use wsgate::endpoint::upstream::{Balance, FAILURES, Facts, MAX_BODY, MAX_HEAD, Opened, Refused, Server, Settings, States, Upstream};
use wsgate::wire::extensions::{Compression, Offer};
use wsgate::wire::proxy_protocol::Ends;

use backend::{Backend, Then, nobody, server, switching};

/// Long where an answer is awaited, and short where its lack is.
fn settings<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Settings {
    Settings { handshake_timeout: Duration::from_secs(30), ..Settings::new(servers.into_iter().cloned().collect()) }
}

fn impatient<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Settings {
    Settings { handshake_timeout: Duration::from_millis(100), ..settings(servers) }
}

fn request() -> Parts {
    let request = Request::builder()
        .uri("/chat?x=1")
        .header("host", "shop.example")
        .header("upgrade", "websocket")
        .header("connection", "Upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat, superchat")
        .header("sec-websocket-extensions", "permessage-deflate; client_max_window_bits");
    request.body(()).unwrap().into_parts().0
}

async fn open(upstream: &Upstream) -> Result<Opened, Refused> {
    let request = request();
    let offer = Offer::read(&request.headers, Compression::Pass).unwrap();
    let extra = [(HeaderName::from_static("x-user"), Some(HeaderValue::from_static("alice")))];
    let ends = Ends { source: ([203, 0, 113, 7], 50_000).into(), destination: ([10, 0, 0, 1], 443).into() };
    let facts =
        Facts { ip: ends.source.ip(), hops: &[], ends, user: None, secure: true, target: "/chat?x=1", offer: &offer, extra: &extra };
    upstream.open(&request, &facts, &mut Vec::new()).await
}

fn upstream(settings: Settings) -> Upstream {
    Upstream::new(settings, Arc::default())
}

/// The refusal's id and what the log is told.
async fn refusal(settings: Settings) -> (&'static str, String) {
    match open(&upstream(settings)).await {
        Err(Refused::Gateway(refusal)) => (refusal.outcome.id, refusal.rule.unwrap_or_default().into()),
        other => panic!("{other:?}"),
    }
}

async fn declined(settings: Settings) -> http::Response<bytes::Bytes> {
    match open(&upstream(settings)).await {
        Err(Refused::Backend(_, response)) => *response,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_backend_that_switches_is_opened_with_all_it_said() {
    let lines = "Sec-WebSocket-Protocol: superchat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\
        Set-Cookie: a=b\r\nKeep-Alive: timeout=5\r\n";
    let mut backend = Backend::good(lines, b"\x81\x02hi").await;
    let upstream = upstream(settings([&backend.server]));
    let opened = open(&upstream).await.unwrap();

    assert_eq!(opened.early, b"\x81\x02hi");
    assert_eq!(&opened.server, backend.server.name());
    assert_eq!(opened.subprotocol.unwrap(), "superchat");
    let agreed = opened.extensions.unwrap().header().unwrap();
    assert_eq!(agreed, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    assert_eq!(opened.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["set-cookie"]);

    let head = backend.heads.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("get /chat?x=1 http/1.1\r\nhost: shop.example\r\n"), "{head}");
    for line in ["x-forwarded-for: 203.0.113.7", "x-forwarded-proto: https", "x-user: alice", "sec-websocket-protocol: chat, superchat"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_connection_counts_on_its_server_for_as_long_as_its_lease_is_held() {
    let backend = Backend::good("", b"").await;
    let upstream = upstream(settings([&backend.server]));
    let count = || upstream.servers().next().unwrap().1.open();
    let first = open(&upstream).await.unwrap();
    let second = open(&upstream).await.unwrap();
    assert_eq!(count(), 2);
    drop(first);
    assert_eq!(count(), 1);
    drop(second);
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_a_rule_is_a_bad_handshake_that_names_it() {
    type Answer = fn(&str) -> String;
    let rows: [(Answer, &str); 15] = [
        (|_| "hello world\r\n\r\n".into(), "an answer that is not HTTP/1.1"),
        (|_| "<html>a page of HTTP/0.9</html>\n".into(), "an answer that is not HTTP/1.1"),
        (|_| "SSH-2.0-OpenSSH_9.7\r\n".into(), "an answer that is not HTTP/1.1"),
        (|_| "HTTP/2.0 101 Switching Protocols\r\n\r\n".into(), "an answer that is not HTTP/1.1"),
        (|_| format!("HTTP/1.1 101 Switching Protocols\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD)), "an answer whose head is too large"),
        (|_| "x".repeat(3 * MAX_HEAD), "an answer that is not HTTP/1.1"),
        (|_| format!("HTTP/1.1 101 S\r\n{}\r\n", "X: y\r\n".repeat(200)), "an answer whose head is too large"),
        (|_| "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(), "a 101 without `Upgrade: websocket`"),
        (|accept| switching(accept, "").replace("Upgrade: websocket", "Upgrade: h2c"), "a 101 without `Upgrade: websocket`"),
        (|accept| switching(accept, "").replace("Connection: Upgrade", "Connection: close"), "a 101 without `Connection: Upgrade`"),
        (|accept| switching(accept, "").replace("HTTP/1.1", "HTTP/1.0"), "a 101 that is not HTTP/1.1"),
        (|_| switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""), "a Sec-WebSocket-Accept for another key"),
        (|accept| switching(accept, &format!("Sec-WebSocket-Accept: {accept}\r\n")), "not exactly one Sec-WebSocket-Accept"),
        (|accept| switching(accept, "Sec-WebSocket-Protocol: telnet\r\n"), "a subprotocol nobody offered"),
        (|accept| switching(accept, "Sec-WebSocket-Extensions: x-other\r\n"), "an extension nobody offered"),
    ];
    for (answer, rule) in rows {
        let backend = Backend::start(Then::Hold, move |accept| answer(accept).into_bytes()).await;
        let (id, told) = refusal(settings([&backend.server])).await;
        assert_eq!((id, told), ("upstream_bad_handshake", format!("{}: {rule}", backend.server)));
    }
}

#[tokio::test]
async fn a_bad_answer_is_not_asked_for_again_elsewhere_and_does_not_count_as_a_failure() {
    let bad = Backend::start(Then::Close, |_| b"nonsense\r\n\r\n".to_vec()).await;
    let mut other = Backend::good("", b"").await;
    let upstream = upstream(Settings { balance: Balance::RoundRobin, ..settings([&bad.server, &other.server]) });
    assert!(open(&upstream).await.is_err());
    assert!(other.heads.try_recv().is_err());
    for _ in 0..2 * FAILURES {
        drop(open(&upstream).await);
    }
    assert!(upstream.servers().all(|(_, state)| state.rest(tokio::time::Instant::now()).is_zero()));
}

#[tokio::test]
async fn a_server_where_nobody_listens_is_refused_and_named() {
    let server = nobody().await;
    let (id, rule) = refusal(settings([&server])).await;
    assert_eq!(id, "upstream_refused");
    assert!(rule.starts_with(&format!("{server}: ")) && rule.contains("refused"), "{rule}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_refused() {
    // A label longer than DNS can carry: it fails without anybody being asked.
    let server = format!("ws://{}.example:9001", "a".repeat(64)).parse().unwrap();
    assert_eq!(refusal(Settings { connect_timeout: Duration::from_secs(30), ..settings([&server]) }).await.0, "upstream_refused");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_does_not_take_the_connection_in_time_is_a_timeout() {
    use socket2::{Domain, Socket, Type};
    // Nobody accepts, the queue of those who wait to be is full, and the kernel drops whoever else knocks.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<Socket> = (0..4).map(|_| Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap()).collect();
    for socket in &waiting {
        let _ = socket.connect(&address);
    }
    let server = server(address.as_socket().unwrap());
    let settings = Settings { connect_timeout: Duration::from_millis(100), ..settings([&server]) };
    assert_eq!(refusal(settings).await, ("upstream_timeout", format!("{server}: no connection within `connect_timeout`")));
}

#[tokio::test]
async fn an_upstream_without_servers_is_refused() {
    assert_eq!(refusal(settings([])).await.0, "upstream_refused");
}

#[tokio::test]
async fn a_name_is_resolved_and_all_its_addresses_are_tried() {
    let backend = Backend::good("", b"").await;
    let server = format!("ws://localhost:{}", backend.server.port()).parse().unwrap();
    assert_eq!(&*open(&upstream(settings([&server]))).await.unwrap().server, format!("ws://localhost:{}", backend.server.port()));
}

#[tokio::test]
async fn another_server_is_tried_after_one_that_cannot_be_reached_or_ends_without_an_answer() {
    let closes = Backend::start(Then::Close, |_| Vec::new()).await;
    let resets = Backend::start(Then::Reset, |_| Vec::new()).await;
    let breaks = Backend::start(Then::Reset, |_| b"HTTP/1.1 101 Swi".to_vec()).await;
    for first in [nobody().await, closes.server, resets.server, breaks.server] {
        let good = Backend::good("", b"").await;
        let settings = Settings { balance: Balance::RoundRobin, ..settings([&first, &good.server]) };
        assert_eq!(open(&upstream(settings)).await.unwrap().server, *good.server.name(), "{first}");
    }
}

#[tokio::test]
async fn no_more_servers_are_tried_than_the_settings_say() {
    let good = Backend::good("", b"").await;
    let servers = [nobody().await, nobody().await, good.server];
    let settings = Settings { balance: Balance::RoundRobin, ..settings(&servers) };
    assert_eq!(refusal(Settings { tries: NonZeroUsize::new(2).unwrap(), ..settings.clone() }).await.0, "upstream_refused");
    assert!(open(&upstream(Settings { tries: NonZeroUsize::new(3).unwrap(), ..settings })).await.is_ok());
}

#[tokio::test]
async fn servers_that_all_end_without_an_answer_are_a_bad_handshake() {
    let closes = Backend::start(Then::Close, |_| Vec::new()).await;
    let (id, rule) = refusal(settings([&closes.server])).await;
    assert_eq!(id, "upstream_bad_handshake");
    assert!(rule.contains("ended without an answer"), "{rule}");
}

#[tokio::test]
async fn no_other_server_is_asked_after_one_that_was_asked_and_kept_silent() {
    let answers: [&[u8]; 3] = [b"", b"H", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"];
    for answer in answers {
        let silent = Backend::start(Then::Hold, move |_| answer.to_vec()).await;
        let mut other = Backend::good("", b"").await;
        let settings = Settings { balance: Balance::RoundRobin, ..impatient([&silent.server, &other.server]) };
        let expected = format!("{}: no answer within `handshake_timeout`", silent.server);
        assert_eq!(refusal(settings).await, ("upstream_timeout", expected));
        assert!(other.heads.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_backend_that_only_ever_sends_informational_answers_is_a_timeout() {
    let backend = Backend::start(Then::Hold, |_| b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(50)).await;
    assert_eq!(refusal(impatient([&backend.server])).await.0, "upstream_timeout");
}

#[tokio::test]
async fn an_informational_answer_is_not_the_final_one() {
    let answer =
        |accept: &str| format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}", switching(accept, ""));
    let backend = Backend::start(Then::Hold, move |accept| answer(accept).into_bytes()).await;
    assert!(open(&upstream(settings([&backend.server]))).await.is_ok());
}

#[tokio::test]
async fn a_backends_own_answer_is_passed_on_without_what_concerns_its_connection() {
    type Row = (&'static str, u16, &'static str);
    let rows: [Row; 6] = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno-no", 403, "no-no"),
        ("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n1\r\n-\r\n2\r\nno\r\n0\r\n\r\n", 503, "no-no"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nno-no and more that nobody asked for", 200, "no-no"),
        ("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.0 404 Not Found\r\n\r\nno-no", 404, "no-no"),
    ];
    for (answer, status, body) in rows {
        let answer = answer.replacen("\r\n", "\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nX-End: 2\r\n", 1);
        let then = if status == 404 { Then::Close } else { Then::Hold };
        let backend = Backend::start(then, move |_| answer.clone().into_bytes()).await;
        let response = declined(settings([&backend.server])).await;
        assert_eq!((response.status().as_u16(), &**response.body()), (status, body.as_bytes()));
        let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).filter(|name| *name != "location").collect();
        assert_eq!(names, ["x-end"], "{status}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_late_or_broken_is_left_out_whole() {
    let head = |length: usize| format!("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
    let late = |server: &Server| impatient([server]);
    let patient = |server: &Server| settings([server]);
    type Row<'a> = (Then, String, &'a dyn Fn(&Server) -> Settings);
    let rows: [Row<'_>; 4] = [
        (Then::Hold, head(MAX_BODY + 1) + &"x".repeat(MAX_BODY + 1), &patient),
        (Then::Hold, head(10) + "half", &late),
        (Then::Close, head(10) + "half", &patient),
        (Then::Close, "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n".to_owned(), &patient),
    ];
    for (then, answer, settings) in rows {
        let backend = Backend::start(then, move |_| answer.clone().into_bytes()).await;
        let response = declined(settings(&backend.server)).await;
        assert_eq!(response.status(), 403);
        assert!(response.body().is_empty());
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_bound_is_passed_on() {
    let answer = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {MAX_BODY}\r\n\r\n{}", "x".repeat(MAX_BODY));
    let backend = Backend::start(Then::Hold, move |_| answer.clone().into_bytes()).await;
    assert_eq!(declined(settings([&backend.server])).await.body().len(), MAX_BODY);
}

#[tokio::test]
async fn a_server_that_keeps_failing_rests_and_a_reload_does_not_wake_it() {
    let (dead, good) = (nobody().await, Backend::good("", b"").await);
    let settings = Settings { balance: Balance::RoundRobin, ..settings([&dead, &good.server]) };
    let states = Arc::<States>::default();
    let upstream = Upstream::new(settings.clone(), states.clone());
    for _ in 0..2 * FAILURES {
        assert_eq!(open(&upstream).await.unwrap().server, *good.server.name());
    }
    let reloaded = Upstream::new(settings, states);
    drop(upstream);
    let rests: Vec<bool> = reloaded.servers().map(|(_, state)| !state.rest(tokio::time::Instant::now()).is_zero()).collect();
    assert_eq!(rests, [true, false]);
}

#[tokio::test]
async fn connections_go_where_fewest_are() {
    let (one, two) = (Backend::good("", b"").await, Backend::good("", b"").await);
    let upstream = upstream(settings([&one.server, &two.server]));
    let mut opened = Vec::new();
    for _ in 0..6 {
        opened.push(open(&upstream).await.unwrap());
    }
    let counts = || upstream.servers().map(|(_, state)| state.open()).collect::<Vec<_>>();
    assert_eq!(counts(), [3, 3]);
    opened.retain(|opened| opened.server == *one.server.name());
    opened.push(open(&upstream).await.unwrap());
    assert_eq!(counts(), [3, 1]);
}

#[tokio::test]
async fn a_client_that_leaves_while_a_server_is_dialled_leaves_nothing_behind() {
    let mut silent = Backend::start(Then::Hold, |_| Vec::new()).await;
    let upstream = upstream(settings([&silent.server]));
    tokio::select! {
        opened = open(&upstream) => panic!("{opened:?}"),
        head = silent.heads.recv() => assert!(head.is_some()),
    }
    assert_eq!(upstream.servers().next().unwrap().1.open(), 0);
}
