//! Whose messages count together.

use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::support::{self, Gateway, SECRET, Socket, ask, closed, token};
use super::{PUBLIC, decided};

const TYPING: &str = r#"{"type":"typing"}"#;
const SEEN: &str = r#"{"type":"seen"}"#;

/// A gateway that knows who its clients are, and has this rule on what they send.
fn limiting(key: &str) -> Gateway {
    Gateway::run(&format!(
        "{PUBLIC}[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
         [message.x]\nrules = [{{ field = \"type\", one_of = [\"typing\", \"seen\"], rate = {{ rate = \"1/h\", burst = 2 }}{key} }}]\n\
         [route.one]\npipeline = [\"jwt.users\", \"message.x\"]\nendpoint = \"echo\"\n"
    ))
}

async fn connect(gateway: &Gateway, user: &str, tenant: &str) -> Socket {
    let mut request = gateway.url("public", "/").into_client_request().unwrap();
    let bearer = format!("Bearer {}", token(&json!({ "sub": user, "exp": support::now() + 600 })));
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
    support::connect(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_counts_each_value_and_each_connection_for_itself() {
    let mut gateway = limiting("");
    let mut one = connect(&gateway, "alice", "acme").await;
    let mut other = connect(&gateway, "alice", "acme").await;
    for socket in [&mut one, &mut other] {
        for text in [TYPING, SEEN, TYPING, SEEN, r#"{"type":"say"}"#] {
            assert_eq!(ask(socket, text).await, text);
        }
    }
    futures_util::SinkExt::send(&mut one, TYPING.into()).await.unwrap();
    assert_eq!(closed(&mut one).await, (1008, "too many requests".to_owned()));
    let event = gateway.event("close");
    assert_eq!((&event["outcome"], &event["stage"]), (&json!("rate_limited"), &json!("message.x")), "{}", decided(&event));
    assert_eq!(ask(&mut other, r#"{"type":"say"}"#).await, r#"{"type":"say"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_by_a_key_counts_all_connections_of_it_together() {
    for (key, same) in [("user", ("alice", "other")), ("claim:sub", ("alice", "other")), ("header:x-tenant", ("bob", "acme"))] {
        let gateway = limiting(&format!(", key = [\"{key}\", \"route\"]"));
        let mut one = connect(&gateway, "alice", "acme").await;
        assert_eq!(ask(&mut one, TYPING).await, TYPING);
        let mut together = connect(&gateway, same.0, same.1).await;
        assert_eq!(ask(&mut together, TYPING).await, TYPING);
        let mut else_where = connect(&gateway, "carol", "third").await;
        assert_eq!(ask(&mut else_where, TYPING).await, TYPING);
        futures_util::SinkExt::send(&mut one, TYPING.into()).await.unwrap();
        assert_eq!(closed(&mut one).await.0, 1008, "{key}");
        assert_eq!(ask(&mut else_where, TYPING).await, TYPING, "{key}");
        assert_eq!(ask(&mut together, SEEN).await, SEEN, "{key}");
    }
}
