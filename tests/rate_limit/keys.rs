//! Whose connections share a limit.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Gateway, ask, closed};
use super::{ALICE, PUBLIC, Who, connect, decided, guard, refused};

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
            "{PUBLIC}{}[rate_limit.x]\nkey = {key}\nmessages = {{ rate = \"1/h\", burst = 3 }}\n\
             [pipeline.all]\nstages = [\"jwt.users\", \"rate_limit.x\"]\n\
             [route.one]\npath = \"/\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n\
             [route.other]\npath = \"/other\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n",
            guard()
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
