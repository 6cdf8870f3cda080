//! What becomes of messages, bytes and frames over their rate.

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::support::{self, Gateway, ask, backend, closed, raw};
use super::{ALICE, PUBLIC, Who, connect, decided};

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
        let mut gateway = limiting(&format!("messages = {{ rate = \"1/h\", burst = 4 }}\non_excess = \"notify\"\n{notify}")).await;
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
            assert_eq!(decided(&gateway.event("left_out")), json!(["rate_limited", "rate_limit.x", "messages 1/h"]));
            assert_eq!(ask(&mut other, "mine").await, "mine", "{path}");
        }
        assert_eq!(gateway.events().iter().filter(|event| event["event"] == "left_out").count(), 2, "one for each connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_held_or_left_out_in_report_mode_is_logged_once_and_passes() {
    for (excess, rule) in [("drop", "messages 2/m"), ("notify", "messages 2/m"), ("delay", "would be held")] {
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
