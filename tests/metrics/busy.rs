//! A gateway to which a bit of everything has happened.

use std::net::SocketAddr;

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::support::{Gateway, Socket, ask, backend, closed, connect, now, raw, request, token, with_token};

/// A gateway that has done a bit of everything, and the backend behind it.
pub(crate) struct Busy {
    pub(crate) gateway: Gateway,
    pub(crate) backend: SocketAddr,
    pub(crate) nobody: SocketAddr,
    /// Still open, at `/open`, with one message answered.
    pub(crate) open: Socket,
}

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

/// A route whose clients renew the tokens that the tests sign.
const RENEWED: &str = r#"
[route.renewed]
path     = "/renewed"
pipeline = ["jwt.renewing"]
endpoint = "echo"
[jwt.renewing]
algorithms    = "HS256"
secret        = { env = "NOBODY_SETS_THIS", default = "a-secret-for-tests-only-0123456789abcdef" }
renew.message = { match = { type = "auth" }, field = "token", reply = "good", refused = "bad" }
"#;

fn config(backend: SocketAddr, polled: SocketAddr, nobody: SocketAddr, keys: SocketAddr) -> String {
    format!(
        r#"
{RENEWED}
        [listener.public]
        address  = "127.0.0.1:0"
        pipeline = ["firewall.door"]
        max_connections = 50
        [listener.sealed]
        tls = {{ cert = "{KEYS}/tls.pem", key = "{KEYS}/tls.key" }}
        address = "127.0.0.1:0"
        [gateway.route]
        listener = "public"
        [metrics.local]
        address = "127.0.0.1:0"
        [firewall.door]
        deny = ["127.0.0.50", "127.0.0.66", {{ cidr = "127.0.0.77", mode = "report", note = "a token-like note" }}]
        [origin.pages]
        allow = ["https://example.com"]
        [jwt.users]
        jwks = "http://{keys}/keys"
        [rate_limit.slow]
        key = "connection"
        messages = {{ rate = "1/h", burst = 2 }}
        [rate_limit.lossy]
        key = "connection"
        messages = {{ rate = "1/h", burst = 1 }}
        on_excess = "notify"
        [upstream.chat]
        servers = ["ws://{nobody}", "ws://{backend}", {{ url = "ws://{nobody}/drains", drain = true }}]
        balance = "round_robin"
        [route.chat]
        path     = "/chat"
        endpoint = "upstream.chat"
        [route.down]
        path     = "/down"
        endpoint = "ws://{nobody}"
        [route.limited]
        path     = "/limited"
        pipeline = ["origin.pages", "rate_limit.slow"]
        endpoint = "echo"
        [route.lossy]
        path     = "/lossy"
        pipeline = ["rate_limit.lossy"]
        endpoint = "echo"
        [route.open]
        path     = "/open"
        endpoint = "ws://{backend}"
        [route.polled]
        path     = "/polled"
        endpoint = "ws://{polled}"
        http     = true
        [route.quiet]
        path     = "/quiet"
        endpoint = "echo"
        [route.users]
        path     = "/users"
        pipeline = ["jwt.users"]
        endpoint = "authenticated"
        "#
    )
}

/// A client whose address is this one.
async fn connect_from(from: &str, to: SocketAddr, path: &str) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(to).await.unwrap();
    client_async(format!("ws://{to}{path}"), stream).await.map(|(socket, _)| socket)
}

/// A connection shows a token that does not renew it, and one that does.
async fn renew(gateway: &mut Gateway) {
    let alice = token(&json!({ "sub": "alice", "exp": now() + 600 }));
    let mut socket = connect(with_token(&gateway.url("public", "/renewed"), &alice)).await.unwrap();
    for (token, answer) in [("nonsense", "bad"), (&alice, "good")] {
        assert_eq!(ask(&mut socket, &json!({ "type": "auth", "token": token }).to_string()).await, answer);
    }
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    drop(socket);
    gateway.event("close");
}

/// Runs it and does all that.
pub(crate) async fn busy() -> Busy {
    let ((backend, _), nobody) = (backend::echo().await, backend::nobody().await);
    let polled = backend::scripted(|mut stream| async move {
        backend::read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    });
    let keys = backend::scripted(|mut stream| async move {
        backend::read_head(&mut stream).await;
        let set = format!("{{\"keys\":[{}]}}", std::fs::read_to_string(format!("{KEYS}/p256.jwk.json")).unwrap());
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{set}", set.len()).as_bytes()).await.unwrap();
    });
    let mut gateway = Gateway::run(&config(backend, polled.await, nobody, keys.await));
    let public = gateway.address("public");

    let mut open = gateway.connect("public", "/open").await;
    assert_eq!(ask(&mut open, "hello").await, "hello");

    // One server of two is not there: the other answers, whichever is asked first.
    for text in ["one", "four"] {
        let mut socket = gateway.connect("public", "/chat").await;
        assert_eq!(ask(&mut socket, text).await, text);
        let code = if text == "one" { 1000 } else { 4321 };
        socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await.unwrap();
        closed(&mut socket).await;
        drop(socket);
        gateway.event("close");
    }
    let poll = b"GET /polled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(raw::exchange(public, poll).await.ends_with("hi"));
    // The only server is not there, until it rests.
    for _ in 0..4 {
        assert_eq!(gateway.refusal(gateway.url("public", "/down")).await.0, 502);
        gateway.event("refused");
    }
    assert!(matches!(connect_from("127.0.0.66", public, "/quiet").await, Err(tungstenite::Error::Http(_))));
    gateway.event("refused");
    drop(connect_from("127.0.0.77", public, "/quiet").await.unwrap());
    gateway.event("close");
    assert_eq!(gateway.refusal(request(&gateway.url("public", "/limited"), &[("origin", "https://evil.example")])).await.0, 403);
    gateway.event("refused");
    let mut socket = connect(gateway.url("public", "/limited")).await.unwrap();
    for text in ["one", "two"] {
        assert_eq!(ask(&mut socket, text).await, text);
    }
    socket.send(Message::text("three")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1008);
    drop(socket);
    gateway.event("close");
    let mut socket = connect(gateway.url("public", "/lossy")).await.unwrap();
    for (text, answer) in [("one", "one"), ("two", "too many requests"), ("three", "too many requests")] {
        assert_eq!(ask(&mut socket, text).await, answer);
    }
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    drop(socket);
    gateway.event("close");
    renew(&mut gateway).await;
    assert_eq!(gateway.refusal(gateway.url("public", "/nowhere")).await.0, 404);
    gateway.event("refused");
    let mut stream = TcpStream::connect(gateway.address("sealed")).await.unwrap();
    stream.write_all(&[0]).await.unwrap();
    gateway.event("refused");
    Busy { gateway, backend, nobody, open }
}
