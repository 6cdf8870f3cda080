//! Clients that leave before their backend has answered, and backends that have upgraded for one that does not come in.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver};

use super::support::raw::{frame, upgrade};
use super::support::{Gateway, backend, in_time, now, raw, token};
use super::{guard, proxied};

/// Nothing ends within it that does not end at once.
const LONG: &str = "handshake_timeout = \"10m\"";

fn told(refused: &Value) -> Value {
    json!([refused["outcome"], refused["status"], refused["code"], refused["level"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_backend_is_asked_is_lost_at_once_and_no_other_is_asked() {
    let (address, mut server) = backend::silent().await;
    let (other, mut another) = backend::silent().await;
    let mut gateway = Gateway::run(&proxied(&[address, other], "", LONG));
    let before = gateway.descriptors();
    for leaves in ["with a FIN", "with a reset", "behind frames"] {
        let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
        client.write_all(upgrade("/chat", "").as_bytes()).await.unwrap();
        in_time(async {
            tokio::select! { asked = server.recv() => asked, asked = another.recv() => asked }
        })
        .await
        .unwrap();
        match leaves {
            "with a reset" => client.set_zero_linger().unwrap(),
            "behind frames" => client.write_all(&frame(0x81, b"hello")).await.unwrap(),
            _ => client.shutdown().await.unwrap(),
        }
        drop(client);
        in_time(async {
            tokio::select! { left = server.recv() => left, left = another.recv() => left }
        })
        .await
        .unwrap();
        assert_eq!(told(&gateway.event("refused")), json!(["client_lost", null, null, "info"]), "{leaves}");
        gateway.settles_at(before).await;
        assert!(server.is_empty() && another.is_empty(), "{leaves}: one server was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_behind_its_first_message_is_lost_at_once() {
    let (address, mut server) = backend::silent().await;
    let config = proxied(&[address], "pipeline = [\"jwt.users\"]", LONG) + &guard("sources = [\"first_message\"]");
    let mut gateway = Gateway::run(&config);
    let before = gateway.descriptors();
    let mut client = raw::upgraded(gateway.address("public"), "/chat").await;
    let token = token(&json!({ "sub": "alice", "exp": now() + 600 }));
    client.write_all(&frame(0x81, token.as_bytes())).await.unwrap();
    in_time(server.recv()).await.unwrap();
    drop(client);
    in_time(server.recv()).await.unwrap();
    assert_eq!(told(&gateway.event("refused")), json!(["client_lost", null, null, "info"]));
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_before_its_101_reaches_the_backend_however_much_it_is() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_asked, may_go) = (asked.clone(), go.clone());
    let address = backend::scripted(move |mut stream| {
        let (asked, go) = (is_asked.clone(), may_go.clone());
        async move {
            let head = backend::read_head(&mut stream).await;
            asked.notify_one();
            go.notified().await;
            stream.write_all(backend::switching(&head).as_bytes()).await.unwrap();
            let (_, payload) = raw::next_frame(&mut stream).await;
            stream.write_all(&raw::unmasked(0x82, &payload)).await.unwrap();
            _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let gateway = Gateway::run(&proxied(&[address.await], "", LONG));
    for length in [5, 5_000] {
        let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
        client.write_all(upgrade("/chat", "").as_bytes()).await.unwrap();
        in_time(asked.notified()).await;
        client.write_all(&frame(0x82, &vec![7; length])).await.unwrap();
        go.notify_one();
        assert!(in_time(backend::read_head(&mut client)).await.starts_with("HTTP/1.1 101 "), "{length}");
        assert_eq!(raw::next_frame(&mut client).await, (0x82, vec![7; length]));
    }
}

/// A server that upgrades once it may, to no subprotocol; tells all that it is sent behind that.
async fn upgrading() -> (SocketAddr, Arc<Notify>, Arc<Notify>, Receiver<Vec<u8>>) {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (sender, seen) = mpsc::channel(1);
    let (is_asked, may_go) = (asked.clone(), go.clone());
    let address = backend::scripted(move |mut stream| {
        let (asked, go, sender) = (is_asked.clone(), may_go.clone(), sender.clone());
        async move {
            let head = backend::read_head(&mut stream).await;
            asked.notify_one();
            go.notified().await;
            stream.write_all(backend::switching(&head).as_bytes()).await.unwrap();
            let mut all = Vec::new();
            _ = stream.read_to_end(&mut all).await;
            sender.send(all).await.unwrap();
        }
    });
    (address.await, asked, go, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_has_upgraded_for_a_client_that_went_meanwhile_is_sent_a_close() {
    let (address, asked, go, mut seen) = upgrading().await;
    let mut gateway = Gateway::run(&proxied(&[address], "", LONG));
    let before = gateway.descriptors();
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    // More than anybody looks behind, in one piece with the request.
    let much = [upgrade("/chat", "").as_bytes(), &frame(0x82, &vec![7; 8_000])].concat();
    client.write_all(&much).await.unwrap();
    in_time(asked.notified()).await;
    client.set_zero_linger().unwrap();
    drop(client);
    go.notify_one();
    assert_eq!(raw::frames(&in_time(seen.recv()).await.unwrap()), [(0x88, raw::closing(1001, ""))]);
    assert_eq!(gateway.event("refused")["outcome"], "client_lost");
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_has_upgraded_for_a_client_that_is_refused_by_then_is_sent_a_close() {
    let (address, asked, go, mut seen) = upgrading().await;
    let limit = "[rate_limit.one]\nkey = \"ip\"\nconcurrent = { max = 1, on_excess = \"close_oldest\" }\n[route.own]\npath = \"/own\"\n\
                 pipeline = [\"rate_limit.one\"]\nendpoint = \"echo\"\n";
    let mut gateway = Gateway::run(&(proxied(&[address], "pipeline = [\"rate_limit.one\"]", LONG) + limit));
    let mut old = TcpStream::connect(gateway.address("public")).await.unwrap();
    old.write_all(upgrade("/chat", "").as_bytes()).await.unwrap();
    in_time(asked.notified()).await;
    let _new = gateway.connect("public", "/own").await;
    go.notify_one();
    assert_eq!(raw::frames(&in_time(seen.recv()).await.unwrap()), [(0x88, raw::closing(1001, ""))]);
    assert_eq!(gateway.event("refused")["outcome"], "session_replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_upgrades_without_the_subprotocol_that_was_promised_is_sent_a_close() {
    let (address, _, go, mut seen) = upgrading().await;
    let route = "pipeline = [\"jwt.users\"]\nsubprotocols = [\"a\", \"b\"]";
    let mut gateway = Gateway::run(&(proxied(&[address], route, LONG) + &guard("sources = [\"first_message\"]")));
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    client.write_all(upgrade("/chat", "Sec-WebSocket-Protocol: a, b\r\n").as_bytes()).await.unwrap();
    assert!(in_time(backend::read_head(&mut client)).await.starts_with("HTTP/1.1 101 "));
    let token = token(&json!({ "sub": "alice", "exp": now() + 600 }));
    client.write_all(&frame(0x81, token.as_bytes())).await.unwrap();
    go.notify_one();
    assert_eq!(raw::frames(&in_time(seen.recv()).await.unwrap()), [(0x88, raw::closing(1001, ""))]);
    assert_eq!(gateway.event("refused")["outcome"], "upstream_bad_handshake");
}
