//! The pair of servers the project began with, `examples/configs/article.toml`, under the clients of its article; `.ci/article.py` has
//! the same in the article's own Python.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

mod support;

use std::fs;
use std::net::ToSocketAddrs;
use std::path::Path;

use futures_util::SinkExt;
use serde_json::{Value, json};
use support::{Gateway, ask, closed, connect, next_text, now, raw};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The file as it is, but for its ports, which the system picks.
fn article() -> Gateway {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs/article.toml");
    let mut config = fs::read_to_string(file).unwrap();
    for port in ["8765", "8888"] {
        let written = format!("\"localhost:{port}\"");
        assert!(config.contains(&written), "{written}");
        config = config.replace(&written, "\"localhost:0\"");
    }
    Gateway::run(&config)
}

/// What `jwt.encode(claims, "secret_key", algorithm="HS256")` gives.
fn encode(claims: &Value, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

#[tokio::test]
async fn the_echo_says_what_it_received() {
    let gateway = article();
    assert_eq!(ask(&mut gateway.connect("public", "/").await, "Hello").await, "Server received: Hello");
}

#[tokio::test]
async fn a_token_as_the_first_message_authenticates_with_an_expiry_or_without() {
    let mut gateway = article();
    for claims in [json!({ "user_id": 123, "exp": now() + 1800 }), json!({ "user_id": 123 })] {
        let mut socket = gateway.connect("secure", "/").await;
        assert_eq!(ask(&mut socket, &encode(&claims, "secret_key")).await, "Authenticated!");
        assert_eq!(gateway.event("open")["user"], "123");
    }
}

#[tokio::test]
async fn a_token_that_is_no_good_is_answered_by_a_message_and_then_closed() {
    let gateway = article();
    let good = json!({ "user_id": 123, "exp": now() + 1800 });
    for (token, told) in [
        (encode(&json!({ "user_id": 123, "exp": now() - 60 }), "secret_key"), "Token Expired"),
        (encode(&good, "another_key"), "Invalid Token"),
        ("nonsense".to_owned(), "Invalid Token"),
    ] {
        let mut socket = gateway.connect("secure", "/").await;
        assert_eq!(ask(&mut socket, &token).await, told);
        assert_eq!(closed(&mut socket).await, (3000, told.to_owned()));
    }
}

#[tokio::test]
async fn localhost_is_served_at_every_address_it_has_here() {
    let mut gateway = article();
    let served: Vec<Value> =
        gateway.events().iter().filter(|event| event["listener"] == "public").map(|it| it["address"].clone()).collect();
    for address in ("localhost", 0).to_socket_addrs().unwrap() {
        let is_it = |served: &&Value| served.as_str().unwrap().parse::<std::net::SocketAddr>().unwrap().ip() == address.ip();
        let url = format!("ws://{}/", served.iter().find(is_it).unwrap().as_str().unwrap());
        assert_eq!(ask(&mut connect(url).await.unwrap(), "Hello").await, "Server received: Hello");
    }
}

#[tokio::test]
async fn connection_and_protocol_errors_are_logged_as_errors_and_nothing_else_is() {
    let mut gateway = article();
    // What goes as it should: a client that closes, and one that is turned away.
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(ask(&mut socket, "Hello").await, "Server received: Hello");
    socket.close(None).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1005);
    drop(socket);
    let mut socket = gateway.connect("secure", "/").await;
    socket.send(encode(&json!({ "user_id": 1, "exp": 1 }), "secret_key").into()).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "Token Expired");
    assert_eq!(closed(&mut socket).await.0, 3000);
    gateway.event("refused");
    drop(socket);

    for listener in ["public", "secure"] {
        let unmasked = raw::unmasked(0x81, b"not masked");
        let not_utf8 = raw::frame(0x81, b"\xff");
        let cases: [(&[u8], &str); 3] = [(&unmasked, "protocol_error"), (&not_utf8, "not_utf8"), (b"", "client_lost")];
        for (bytes, outcome) in cases {
            let mut stream = raw::upgraded(gateway.address(listener), "/").await;
            if listener == "secure" {
                let token = encode(&json!({ "user_id": 1 }), "secret_key");
                stream.write_all(&raw::frame(0x81, token.as_bytes())).await.unwrap();
                assert_eq!(raw::next_frame(&mut stream).await.1, b"Authenticated!");
            }
            stream.write_all(bytes).await.unwrap();
            if !bytes.is_empty() {
                raw::rest(&mut stream).await;
            }
            drop(stream);
            let logged = gateway.event_where("close", |event| event["outcome"] == outcome);
            assert_eq!((&logged["level"], &logged["listener"]), (&json!("error"), &json!(listener)));
        }
        let mut stream = TcpStream::connect(gateway.address(listener)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(String::from_utf8(raw::rest(&mut stream).await).unwrap().starts_with("HTTP/1.1 400 "));
        assert_eq!(gateway.event("refused")["level"], "error");
    }
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let log = fs::read_to_string(gateway.folder.path().join("websocket_errors.log")).unwrap();
    let outcomes: Vec<&str> = log.lines().map(|line| line.split("outcome=").nth(1).unwrap().split(' ').next().unwrap()).collect();
    let of_one = ["protocol_error", "not_utf8", "client_lost", "bad_handshake"];
    assert_eq!(outcomes, [of_one, of_one].concat(), "{log}");
    assert!(log.lines().all(|line| line.contains(" ERROR ")), "{log}");
}
