//! Backends that are dead, silent, or answer anything but a proper 101: the client is told which, and nothing is left behind.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::support::{self, Gateway, backend, closed, next_text, now, raw, token};
use super::{guard, proxied};

const SHORT: &str = "handshake_timeout = \"1s\"\ntries = 1";

/// A server that answers every request with these bytes, and then waits for its end.
async fn answering(answer: &'static str) -> std::net::SocketAddr {
    backend::scripted(move |mut stream| async move {
        backend::read_head(&mut stream).await;
        _ = stream.write_all(answer.as_bytes()).await;
        _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_fails_is_502_or_504_and_its_failure_is_logged() {
    let wrong_accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let closing = backend::scripted(|mut stream| async move { drop(backend::read_head(&mut stream).await) }).await;
    let rows = [
        (backend::nobody().await, 502, "upstream_refused", "refused"),
        (answering("").await, 504, "upstream_timeout", "no answer within"),
        (answering("HTTP/1.1 101 Swi").await, 504, "upstream_timeout", "no answer within"),
        (answering("SSH-2.0-OpenSSH_9.7\r\n").await, 502, "upstream_bad_handshake", "not HTTP/1.1"),
        (answering(wrong_accept).await, 502, "upstream_bad_handshake", "Sec-WebSocket-Accept"),
        (closing, 502, "upstream_bad_handshake", "ended without an answer"),
    ];
    for (address, status, id, rule) in rows {
        let mut gateway = Gateway::run(&proxied(&[address], "", SHORT));
        let before = gateway.descriptors();
        let (answered, body) = gateway.refusal(gateway.url("public", "/chat")).await;
        assert_eq!(answered, status, "{id}: {body}");
        assert!(body.contains(id) && !body.contains(&address.to_string()), "the backend is nobody's business: {body}");
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["status"], &event["level"]), (&json!(id), &json!(status), &json!("error")), "{event}");
        let logged = event["rule"].as_str().unwrap();
        assert!(logged.contains(rule) && logged.contains(&address.to_string()), "{event}");
        gateway.settles_at(before).await;
    }
}

const DECLINED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nX-Why: you\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\
                        Content-Length: 5\r\n\r\nno-no";

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_own_refusal_is_passed_on_and_logged() {
    let address = answering(DECLINED).await;
    let mut gateway = Gateway::run(&proxied(&[address], "", ""));
    let before = gateway.descriptors();
    let answer = raw::exchange(gateway.address("public"), raw::upgrade("/chat", "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("\r\n\r\nno-no"), "{answer}");
    let header = |name| backend::header(&answer, name);
    assert_eq!((header("x-why"), header("content-type"), header("x-hop")), (Some("you"), Some("text/html"), None), "{answer}");
    let event = gateway.event("refused");
    assert_eq!((&event["outcome"], &event["status"], &event["level"]), (&json!("upstream_declined"), &json!(403), &json!("warn")));
    assert_eq!(event["rule"], format!("ws://{address}: answered 403 Forbidden"));
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_accept_close_a_failed_backend_is_a_close_that_a_browser_can_read() {
    let rows = [
        (backend::nobody().await, "upstream_refused", "backend unavailable"),
        (answering("").await, "upstream_timeout", "backend timed out"),
        (answering("garbage\r\n\r\n").await, "upstream_bad_handshake", "backend answered badly"),
        (answering(DECLINED).await, "upstream_declined", "backend declined"),
    ];
    for (address, id, reason) in rows {
        let config = proxied(&[address], "pipeline = [\"errors.open\"]", SHORT) + "[errors.open]\nreject = \"accept_close\"\n";
        let mut gateway = Gateway::run(&config);
        let before = gateway.descriptors();
        let mut socket = gateway.connect("public", "/chat").await;
        assert_eq!(closed(&mut socket).await, (1011, reason.to_owned()), "{id}");
        drop(socket);
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["code"], &event["status"]), (&json!(id), &json!(1011), &Value::Null), "{event}");
        gateway.settles_at(before).await;
    }
}

/// A proxied route whose tokens come with the first message.
fn first_message(address: std::net::SocketAddr) -> String {
    proxied(&[address], "pipeline = [\"jwt.users\"]", SHORT) + &guard("sources = [\"first_message\"]")
}

fn good_token() -> String {
    token(&json!({ "sub": "alice", "exp": now() + 60 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_backend_is_asked_before_the_first_message_has_proven_who_it_is() {
    let (sender, mut asked) = mpsc::channel(1);
    let address = backend::speaking(move |mut socket| {
        let sender = sender.clone();
        async move {
            sender.send(()).await.unwrap();
            socket.send("welcome".into()).await.unwrap();
            while futures_util::StreamExt::next(&mut socket).await.is_some_and(|message| message.is_ok()) {}
        }
    });
    let mut gateway = Gateway::run(&first_message(address.await));
    let mut bad = gateway.connect("public", "/chat").await;
    bad.send("rubbish".into()).await.unwrap();
    assert_eq!(closed(&mut bad).await.0, 3000);
    assert!(asked.try_recv().is_err(), "a client nobody knows costs no backend anything");

    let mut socket = gateway.connect("public", "/chat").await;
    socket.send(good_token().into()).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "welcome");
    support::in_time(asked.recv()).await.unwrap();
    assert_eq!(gateway.event("open")["user"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_behind_its_first_message_reaches_the_backend() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let gateway = Gateway::run(&first_message(address));
    let mut client = raw::upgraded(gateway.address("public"), "/chat").await;
    let sent = [raw::frame(0x81, good_token().as_bytes()), raw::frame(0x81, b"hello"), raw::frame(0x89, b"")].concat();
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
    assert_eq!(passed[..2], [(0x81, b"hello".to_vec()), (0x89, Vec::new())], "and the token does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_101_of_a_first_message_a_failed_backend_is_a_close_with_1011() {
    let rows = [
        (backend::nobody().await, "upstream_refused", "backend unavailable"),
        (answering("").await, "upstream_timeout", "backend timed out"),
        (answering("garbage\r\n\r\n").await, "upstream_bad_handshake", "backend answered badly"),
        (answering(DECLINED).await, "upstream_declined", "backend declined"),
    ];
    for (address, id, reason) in rows {
        let mut gateway = Gateway::run(&first_message(address));
        let before = gateway.descriptors();
        let mut socket = gateway.connect("public", "/chat").await;
        socket.send(good_token().into()).await.unwrap();
        assert_eq!(closed(&mut socket).await, (1011, reason.to_owned()), "{id}");
        drop(socket);
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["code"], &event["user"]), (&json!(id), &json!(1011), &json!("alice")), "{event}");
        gateway.settles_at(before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_fails_for_some_still_serves_the_others() {
    let address = backend::scripted(|mut stream| async move {
        let head = backend::read_head(&mut stream).await;
        if head.starts_with("GET /chat/bad ") {
            return;
        }
        stream.write_all((backend::switching(&head) + "\x01\x02hi").as_bytes()).await.unwrap();
        _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let mut gateway = Gateway::run(&proxied(&[address.await], "", ""));
    let before = gateway.descriptors();
    for _ in 0..10 {
        assert_eq!(gateway.refusal(gateway.url("public", "/chat/bad")).await.0, 502);
        let mut client = raw::upgraded(gateway.address("public"), "/chat/good").await;
        assert_eq!(raw::next_frame(&mut client).await, (0x01, b"hi".to_vec()));
        drop(client);
        gateway.event("close");
    }
    gateway.settles_at(before).await;
}
