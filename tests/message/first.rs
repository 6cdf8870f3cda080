//! First messages that a token is taken from and that go on to the backend: they are judged as all that a client sends.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::support::{self, Gateway, SECRET, backend, now, raw, token};
use super::{CLOSE, PUBLIC, TEXT, decided, explained};

/// The tables of a route whose clients begin with their token, and what judges what they send.
fn beginning(stages: &str, tables: &str, endpoint: &str) -> String {
    format!(
        "{PUBLIC}[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
         sources = \"first_message\"\nfirst_message = {{ field = \"token\", forward = true }}\n{tables}\n\
         [route.one]\npipeline = [\"jwt.users\"{stages}]\nendpoint = \"{endpoint}\"\n"
    )
}

/// A message with a good token, and this beside it.
fn first(beside: &str) -> Vec<u8> {
    format!("{{\"token\":\"{}\",{beside}}}", token(&json!({ "sub": "alice", "exp": now() + 600 }))).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_that_must_not_pass_is_answered_as_any_and_nothing_of_it_reaches_the_backend() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let endpoint = format!("ws://{address}");
    for (table, code, reason, outcome, rule) in [
        (
            "rules = [{ field = \"type\", is = \"admin\", deny = true }]",
            1008,
            "message denied",
            "message_denied",
            "rules[0] type is \"admin\"",
        ),
        ("types = \"binary\"", 1003, "message type not allowed", "type_not_allowed", "types: text"),
    ] {
        let mut gateway = Gateway::run(&beginning(", \"message.x\"", &format!("[message.x]\n{table}"), &endpoint));
        let mut client = raw::upgraded(gateway.address("public"), "/").await;
        client.write_all(&[raw::frame(TEXT, &first("\"type\":\"admin\"")), raw::frame(TEXT, b"{}")].concat()).await.unwrap();
        assert_eq!(raw::frames(&raw::rest(&mut client).await), [(CLOSE, raw::closing(code, reason))], "{table}");
        assert_eq!(raw::frames(&support::in_time(seen.recv()).await.unwrap()), [(CLOSE, raw::closing(1001, ""))], "{table}");
        assert_eq!(decided(&gateway.event("close")), json!([outcome, "message.x", rule]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_is_no_larger_than_the_route_s_messages() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let config = beginning("", "", &format!("ws://{address}")) + "max_message = { client = \"64B\" }\n";
    let mut gateway = Gateway::run(&config);
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    client.write_all(&raw::frame(TEXT, &first("\"a\":1"))).await.unwrap();
    assert_eq!(raw::frames(&raw::rest(&mut client).await)[0].1[..2], 1009_u16.to_be_bytes());
    assert_eq!(raw::frames(&support::in_time(seen.recv()).await.unwrap()), [(CLOSE, raw::closing(1001, ""))]);
    assert_eq!(gateway.event("close")["outcome"], "message_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_is_counted_by_every_rate_and_left_out_where_that_is_asked_for() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let denied = "[message.x]\nrules = [{ field = \"type\", is = \"admin\", deny = true }]\non_violation = \"notify\"\nnotify = '{id}'";
    let limited = "[message.x]\nrules = [{ field = \"type\", is = \"a\", rate = \"1/h\" }]\non_violation = \"notify\"\nnotify = '{id}'";
    for (table, of_first, is_first_passed, notice) in [(denied, "admin", false, "message_denied"), (limited, "a", true, "rate_limited")] {
        let gateway = Gateway::run(&beginning(", \"message.x\"", table, &format!("ws://{address}")));
        let mut client = raw::upgraded(gateway.address("public"), "/").await;
        let first = first(&format!("\"type\":\"{of_first}\""));
        let second = b"{\"type\":\"a\"}";
        client.write_all(&[raw::frame(TEXT, &first), raw::frame(TEXT, second)].concat()).await.unwrap();
        assert_eq!(raw::next_frame(&mut client).await, (TEXT, notice.as_bytes().to_vec()));
        client.write_all(&raw::frame(CLOSE, &raw::closing(1000, ""))).await.unwrap();
        raw::rest(&mut client).await;
        let passed = if is_first_passed { first } else { second.to_vec() };
        assert_eq!(
            raw::frames(&support::in_time(seen.recv()).await.unwrap()),
            [(TEXT, passed), (CLOSE, raw::closing(1000, ""))],
            "{notice}"
        );
    }
}

/// It is the one that has let the client in, whatever else looks like it later.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_that_is_in_the_form_of_a_renewal_goes_on_and_renews_nothing() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let renew = "renew.message = { match = { type = \"auth\" }, field = \"token\", reply = \"renewed\" }";
    let mut gateway = Gateway::run(&beginning("", renew, &format!("ws://{address}")));
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    let (begins, renews) = (first("\"type\":\"auth\",\"n\":1"), first("\"type\":\"auth\",\"n\":2"));
    client.write_all(&[raw::frame(TEXT, &begins), raw::frame(TEXT, &renews)].concat()).await.unwrap();
    assert_eq!(raw::next_frame(&mut client).await, (TEXT, b"renewed".to_vec()));
    client.write_all(&raw::frame(CLOSE, &raw::closing(1000, ""))).await.unwrap();
    raw::rest(&mut client).await;
    assert_eq!(raw::frames(&support::in_time(seen.recv()).await.unwrap()), [(TEXT, begins), (CLOSE, raw::closing(1000, ""))]);
    assert_eq!(gateway.event("close")["client_messages"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_spends_of_its_route_s_rates() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let limit = "[rate_limit.x]\nkey = \"connection\"\nmessages = \"1/h\"";
    let mut gateway = Gateway::run(&beginning(", \"rate_limit.x\"", limit, &format!("ws://{address}")));
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    let begins = first("\"a\":1");
    client.write_all(&[raw::frame(TEXT, &begins), raw::frame(TEXT, b"{}")].concat()).await.unwrap();
    assert_eq!(raw::frames(&raw::rest(&mut client).await), [(CLOSE, raw::closing(1008, "too many requests"))]);
    assert_eq!(raw::frames(&support::in_time(seen.recv()).await.unwrap()), [(TEXT, begins), (CLOSE, raw::closing(1001, ""))]);
    assert_eq!(gateway.event("close")["outcome"], "rate_limited");
}

#[test]
fn explain_tells_what_becomes_of_a_first_message() {
    let rules = "[message.x]\nrules = [{ field = \"type\", is = \"admin\", deny = true }]";
    let file = beginning(", \"message.x\"", rules, "ws://127.0.0.1:9");
    for (kind, told) in [("admin", "message_denied"), ("user", "is read as the first message")] {
        let message = String::from_utf8(first(&format!("\"type\":\"{kind}\""))).unwrap();
        let test = format!("[test.t]\nconnect = {{ path = \"/\" }}\nmessage = '{message}'\nexpect = \"open\"\n");
        let (_, said) = explained::run(&(file.clone() + &test), &["explain", "--test", "t"]);
        assert!(said.contains(told), "{said}");
    }
}
