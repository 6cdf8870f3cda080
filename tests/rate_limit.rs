//! Limits over real sockets, each with several connections. Rates are so low that nothing comes back while a test runs: no test
//! depends on how long it takes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::{IpAddr, SocketAddr};

use futures_util::SinkExt;
use serde_json::{Value, json};
use support::{Gateway, SECRET, Socket, ask, backend, closed, raw, token};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

const PUBLIC: &str = "[listener.public]\naddress = \"127.0.0.1:0\"\n[gateway.route]\nclose_timeout = \"200ms\"\n";

/// Who connects, and from where: loopback has many addresses.
#[derive(Clone, Copy)]
struct Who {
    ip: &'static str,
    path: &'static str,
    user: &'static str,
    tenant: &'static str,
}

const ALICE: Who = Who { ip: "127.0.0.1", path: "/", user: "alice", tenant: "acme" };

async fn connect(gateway: &Gateway, who: Who) -> Result<Socket, tungstenite::Error> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(who.ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
    let stream = support::in_time(socket.connect(gateway.address("public"))).await.unwrap();
    let mut request = gateway.url("public", who.path).into_client_request().unwrap();
    let headers = request.headers_mut();
    let claims = json!({ "sub": who.user, "exp": support::now() + 600, "team": { "id": who.tenant } });
    headers.insert("authorization", format!("Bearer {}", token(&claims)).parse().unwrap());
    headers.insert("x-tenant", who.tenant.parse().unwrap());
    support::in_time(tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(stream))).await.map(|(socket, _)| socket)
}

/// The status, and the seconds of `Retry-After`, of a client that is turned away.
async fn refused(gateway: &Gateway, who: Who) -> (u16, Option<u64>) {
    match connect(gateway, who).await {
        Err(tungstenite::Error::Http(response)) => {
            let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            (response.status().as_u16(), after)
        }
        Err(error) => panic!("not refused but: {error}"),
        Ok(_) => panic!("let in"),
    }
}

/// Who decided, by which row and rule.
fn decided(event: &Value) -> Value {
    json!(["outcome", "stage", "rule"].map(|field| &event[field]))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_with_a_key_share_what_it_may_send() {
    let near = Who { ip: "127.0.0.9", path: "/other", user: "bob", tenant: "umbrella" };
    let far = Who { ip: "127.0.1.1", ..near };
    for (key, same, stranger) in [
        ("\"ip\"", Who { ip: ALICE.ip, ..near }, near),
        ("\"ip/24\"", near, far),
        ("\"user\"", Who { user: "alice", ..near }, near),
        ("\"claim:team.id\"", Who { tenant: "acme", ..near }, near),
        ("\"header:X-Tenant\"", Who { tenant: "acme", ..near }, near),
        ("\"route\"", Who { path: "/", ..near }, near),
        ("[\"route\", \"user\"]", Who { ip: "127.0.1.1", tenant: "umbrella", ..ALICE }, Who { path: "/other", ..ALICE }),
    ] {
        let mut gateway = Gateway::run(&format!(
            "{PUBLIC}[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
             [rate_limit.x]\nkey = {key}\nmessages = {{ rate = \"1/h\", burst = 3 }}\n\
             [pipeline.all]\nstages = [\"jwt.users\", \"rate_limit.x\"]\n\
             [route.one]\npath = \"/\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n\
             [route.other]\npath = \"/other\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n"
        ));
        let mut one = connect(&gateway, ALICE).await.unwrap();
        let mut two = connect(&gateway, same).await.unwrap();
        let mut three = connect(&gateway, stranger).await.unwrap();
        assert_eq!(ask(&mut one, "1").await, "1", "{key}");
        assert_eq!(ask(&mut two, "2").await, "2", "{key}");
        assert_eq!(ask(&mut one, "3").await, "3", "{key}");
        assert_eq!(ask(&mut three, "4").await, "4", "{key}");
        for socket in [&mut two, &mut one] {
            socket.send(Message::text("too much")).await.unwrap();
            assert_eq!(closed(socket).await, (1008, "too many requests".to_owned()), "{key}");
            assert_eq!(decided(&gateway.event("close")), json!(["rate_limited", "rate_limit.x", "messages 1/h"]), "{key}");
        }
        assert_eq!(ask(&mut three, "5").await, "5", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_a_key_of_its_own_has_all_of_the_limit() {
    let gateway = Gateway::run(&format!(
        "{PUBLIC}[rate_limit.x]\nkey = \"connection\"\nmessages = {{ rate = \"1/h\", burst = 2 }}\non_excess = \"close\"\n\
         [route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n"
    ));
    for _ in 0..3 {
        let mut socket = connect(&gateway, ALICE).await.unwrap();
        for text in ["1", "2"] {
            assert_eq!(ask(&mut socket, text).await, text);
        }
        socket.send(Message::text("3")).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 1008);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_over_their_rate_get_429_and_are_told_when_to_come_again() {
    for key in ["\"ip\"", "[\"ip\", \"route\"]"] {
        let mut gateway = Gateway::run(&format!(
            "{PUBLIC}[rate_limit.x]\nkey = {key}\nconnect = {{ rate = \"1/h\", burst = 2 }}\n\
             [route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n"
        ));
        let mut sockets = Vec::new();
        for _ in 0..2 {
            sockets.push(connect(&gateway, ALICE).await.unwrap());
        }
        let (status, after) = refused(&gateway, ALICE).await;
        assert_eq!(status, 429, "{key}");
        assert!(after.is_some_and(|after| (1..=3600).contains(&after)), "{key}: {after:?}");
        assert_eq!(decided(&gateway.event("refused")), json!(["rate_limited", "rate_limit.x", "connect 1/h"]), "{key}");
        let mut other = connect(&gateway, Who { ip: "127.0.0.2", ..ALICE }).await.unwrap();
        for socket in sockets.iter_mut().chain([&mut other]) {
            assert_eq!(ask(socket, "here").await, "here", "{key}: who is in stays");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_at_a_time_come_and_go() {
    let mut gateway = Gateway::run(&format!(
        "{PUBLIC}[rate_limit.x]\nkey = \"header:x-tenant\"\nconcurrent = 3\n\
         [route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n"
    ));
    for _ in 0..2 {
        // Together, so that judging and entering have to be one.
        let joined = futures_util::future::join_all((0..12).map(|_| connect(&gateway, ALICE))).await;
        let (inside, turned_away): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
        assert_eq!((inside.len(), turned_away.len()), (3, 9));
        assert_eq!(decided(&gateway.event("refused")), json!(["too_many_connections", "rate_limit.x", "concurrent 3"]));
        assert_eq!(refused(&gateway, ALICE).await.0, 429);
        connect(&gateway, Who { tenant: "umbrella", ..ALICE }).await.unwrap();
        // The three, and the stranger.
        drop(inside);
        for _ in 0..4 {
            gateway.event("close");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_in_report_mode_would_refuse_is_logged_and_passes() {
    let mut gateway = Gateway::run(&format!(
        "{PUBLIC}[rate_limit.x]\nmode = \"report\"\nkey = \"ip\"\nconnect = \"1/h\"\nmessages = \"1/h\"\nconcurrent = 1\n\
         [route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n"
    ));
    let mut first = connect(&gateway, ALICE).await.unwrap();
    assert_eq!(ask(&mut first, "1").await, "1");
    let mut second = connect(&gateway, ALICE).await.unwrap();
    for rule in ["connect 1/h", "concurrent 1"] {
        assert_eq!(gateway.event("would_refuse")["rule"], rule);
    }
    for text in ["2", "3"] {
        assert_eq!(ask(&mut second, text).await, text);
    }
    assert_eq!(gateway.event("would_refuse")["rule"], "messages 1/h");
}

/// A gateway that limits messages by address, over its own echo at `/0` and over a backend's at `/1`.
async fn limiting(limit: &str) -> Gateway {
    let (address, _) = backend::echo().await;
    Gateway::run(&format!(
        "{PUBLIC}[rate_limit.x]\nkey = \"ip\"\n{limit}\n[pipeline.all]\nstages = [\"rate_limit.x\"]\n\
         [route.own]\npath = \"/0\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n\
         [route.proxied]\npath = \"/1\"\npipeline = [\"pipeline.all\"]\nendpoint = \"ws://{address}\"\n"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_delayed_all_arrive_in_their_order() {
    for limit in ["messages = { rate = \"50/s\", burst = 1 }", "frames = { rate = \"50/s\", burst = 1 }", "bytes = \"50B/s\""] {
        let mut gateway = limiting(&format!("{limit}\non_excess = \"delay\"")).await;
        for path in ["/0", "/1"] {
            let mut sockets = Vec::new();
            for _ in 0..3 {
                sockets.push(connect(&gateway, Who { path, ..ALICE }).await.unwrap());
            }
            for socket in &mut sockets {
                for number in 0..5 {
                    socket.send(Message::text(format!("the number {number}"))).await.unwrap();
                }
            }
            for socket in &mut sockets {
                for number in 0..5 {
                    assert_eq!(support::next_text(socket).await, format!("the number {number}"), "{limit} {path}");
                }
                socket.close(None).await.unwrap();
            }
            for _ in &sockets {
                let event = gateway.event("close");
                assert_eq!(json!([event["outcome"], event["client_messages"]]), json!(["closed", 5]), "{limit} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_would_wait_for_more_than_a_minute_is_refused() {
    let mut gateway = limiting("messages = { rate = \"1/h\", burst = 1 }\non_excess = \"delay\"").await;
    let mut socket = connect(&gateway, Who { path: "/1", ..ALICE }).await.unwrap();
    assert_eq!(ask(&mut socket, "one").await, "one");
    socket.send(Message::text("two")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1008);
    assert_eq!(decided(&gateway.event("close")), json!(["rate_limited", "rate_limit.x", "messages 1/h"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_held_can_be_ended_and_ends_itself() {
    let mut gateway =
        limiting("messages = { rate = \"2/m\", burst = 1 }\non_excess = \"delay\"\n[gateway]\ndrain = { over = \"100ms\" }").await;
    let mut socket = connect(&gateway, Who { path: "/1", ..ALICE }).await.unwrap();
    assert_eq!(ask(&mut socket, "one").await, "one");
    socket.send(Message::text("held for half a minute")).await.unwrap();
    gateway.signal("TERM");
    assert_eq!(closed(&mut socket).await.0, 1001);
    let event = gateway.event("close");
    assert_eq!(json!([event["outcome"], event["client_messages"]]), json!(["shutting_down", 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_over_their_rate_are_left_out_and_nobody_is_told() {
    let gateway = limiting("messages = { rate = \"1/h\", burst = 4 }\non_excess = \"drop\"").await;
    let mut sockets =
        [connect(&gateway, Who { path: "/0", ..ALICE }).await.unwrap(), connect(&gateway, Who { path: "/1", ..ALICE }).await.unwrap()];
    for socket in &mut sockets {
        for text in ["1", "2"] {
            assert_eq!(ask(socket, text).await, text);
        }
    }
    for socket in &mut sockets {
        socket.send(Message::text("dropped")).await.unwrap();
        socket.send(Message::Ping("still here".into())).await.unwrap();
        match support::in_time(futures_util::StreamExt::next(socket)).await {
            Some(Ok(Message::Pong(payload))) => assert_eq!(payload.as_ref(), b"still here"),
            other => panic!("not the pong: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_messages_over_their_rate_is_told_and_no_other() {
    let template = r#"{"type":"error","code":"{id}","message":"{reason}"}"#;
    for (notify, told) in [
        (format!("notify = '{template}'"), r#"{"type":"error","code":"rate_limited","message":"too many requests"}"#),
        (String::new(), "too many requests"),
    ] {
        let gateway = limiting(&format!("messages = {{ rate = \"1/h\", burst = 4 }}\non_excess = \"notify\"\n{notify}")).await;
        for path in ["/0", "/1"] {
            let mut one = connect(&gateway, Who { path, ..ALICE }).await.unwrap();
            let mut other = connect(&gateway, Who { path, ip: "127.0.0.2", ..ALICE }).await.unwrap();
            if path == "/0" {
                for text in ["1", "2", "3", "4"] {
                    assert_eq!(ask(&mut one, text).await, text);
                }
            }
            for _ in 0..3 {
                assert_eq!(ask(&mut one, "too much").await, told, "{path}");
            }
            assert_eq!(ask(&mut other, "mine").await, "mine", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_held_or_left_out_in_report_mode_is_logged_once_and_passes() {
    for (excess, rule) in [("drop", "would be left out"), ("notify", "would be left out"), ("delay", "would be held")] {
        let mut gateway =
            limiting(&format!("messages = {{ rate = \"2/m\", burst = 1 }}\non_excess = \"{excess}\"\nmode = \"report\"")).await;
        let mut socket = connect(&gateway, Who { path: "/1", ..ALICE }).await.unwrap();
        for text in ["1", "2", "3"] {
            assert_eq!(ask(&mut socket, text).await, text);
        }
        assert_eq!(decided(&gateway.event("would_refuse")), json!(["rate_limited", "rate_limit.x", rule]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_connection_is_closed_before_a_byte_of_what_is_too_much_has_gone_on() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    for (limit, passes, too_much, rule) in [
        ("bytes = { rate = \"1B/h\", burst = \"8B\" }", raw::frame(0x82, b"12345678"), raw::frame(0x82, b"9"), "bytes 1B/h"),
        ("frames = { rate = \"1/h\", burst = 1 }", raw::frame(0x01, b"begun"), raw::frame(0x80, b"never ended"), "frames 1/h"),
        ("messages = { rate = \"1/h\", burst = 1 }", raw::frame(0x81, b"one"), raw::frame(0x01, b"two"), "messages 1/h"),
    ] {
        let mut gateway = Gateway::run(&format!(
            "{PUBLIC}[rate_limit.x]\nkey = \"ip\"\n{limit}\n[route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"ws://{address}\"\n"
        ));
        let mut client = raw::upgraded(gateway.address("public"), "/").await;
        client.write_all(&[&passes[..], &too_much].concat()).await.unwrap();
        let told = raw::frames(&raw::rest(&mut client).await);
        assert_eq!(told, [(0x88, raw::closing(1008, "too many requests"))], "{rule}");
        let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
        assert_eq!(passed, [raw::frames(&passes)[0].clone(), (0x88, raw::closing(1001, ""))], "{rule}");
        assert_eq!(decided(&gateway.event("close")), json!(["rate_limited", "rate_limit.x", rule]));
    }
}
