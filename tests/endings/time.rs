//! Endings that time brings: a token that expires, silence, age, a peer that does not answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{self, Gateway, SECRET, backend, raw, token, with_token};
use super::{CLOSE, PING, PONG, TEXT, close, counts, ending, routes, told, url, witnessed};

/// The stage the tokens of these tests are for; `keys` are further ones of its table.
fn guard(keys: &str) -> String {
    format!("[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n{keys}\n")
}

/// A moment so far ahead, as `exp` says it.
fn ahead(time: Duration) -> f64 {
    (SystemTime::now() + time).duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A connection whose token ends in two seconds, and when.
async fn expiring(gateway: &Gateway, path: &str) -> (support::Socket, f64) {
    let exp = ahead(Duration::from_secs(2));
    let request = with_token(&gateway.url("public", path), &token(&json!({ "sub": "alice", "exp": exp })));
    (support::connect(request).await.unwrap(), exp)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_connection_is_closed_when_its_token_expires_and_not_before() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let config = routes([url(address), "echo".to_owned()], "pipeline = [\"jwt.users\"]") + &guard("");
    let mut gateway = Gateway::run(&config);
    for (path, (mut socket, exp)) in [("/0", expiring(&gateway, "/0").await), ("/1", expiring(&gateway, "/1").await)] {
        assert_eq!(support::closed(&mut socket).await, (3000, "Token Expired".to_owned()), "{path}");
        assert!(ahead(Duration::ZERO) >= exp, "{path}");
        drop(socket);
        let event = gateway.event("close");
        assert_eq!(ending(&event), [&json!("gateway"), &json!("token_expired"), &json!(3000), &Value::Null], "{event}");
        assert_eq!((&event["stage"], &event["user"]), (&json!("jwt.users"), &json!("alice")), "{event}");
    }
    assert_eq!(raw::frames(&witnessed(&mut seen).await), [close(1001, "")]);
}

/// A stage for tokens that this audience is to see, from this source; all such stages share one secret.
fn audience(name: &str, source: &str, audience: &str) -> String {
    guard(&format!("sources = {source:?}\naudience = {audience:?}")).replace("jwt.users", name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_second_of_two_alternatives_took_expires_as_such() {
    let config = routes(["echo".to_owned()], "pipeline = [[\"jwt.a\", \"jwt.b\"]]")
        + &audience("jwt.a", "header", "api")
        + &audience("jwt.b", "first_message", "browser");
    let mut gateway = Gateway::run(&config);
    let exp = ahead(Duration::from_secs(2));
    let mut socket = gateway.connect("public", "/0").await;
    socket.send(token(&json!({ "aud": "browser", "exp": exp })).into()).await.unwrap();
    assert_eq!(support::ask(&mut socket, "in").await, "in");
    assert_eq!(support::closed(&mut socket).await, (3000, "Token Expired".to_owned()));
    assert!(ahead(Duration::ZERO) >= exp);
    drop(socket);
    let event = gateway.event("close");
    assert_eq!((&event["outcome"], &event["stage"]), (&json!("token_expired"), &json!("jwt.b")), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tokens_the_one_that_expires_first_ends_the_connection() {
    let config = routes(["echo".to_owned()], "pipeline = [\"jwt.user\"]")
        .replace("[gateway.route]", "pipeline = [\"jwt.device\"]\n[gateway.route]")
        + &audience("jwt.device", "header", "fleet")
        + &audience("jwt.user", "first_message", "chat");
    let mut gateway = Gateway::run(&config);
    for (device, user, stage) in [(2, 60, "jwt.device"), (60, 2, "jwt.user")] {
        let [device, user] = [device, user].map(|seconds| ahead(Duration::from_secs(seconds)));
        let bearer = token(&json!({ "aud": "fleet", "sub": "d7", "exp": device }));
        let mut socket = support::connect(with_token(&gateway.url("public", "/0"), &bearer)).await.unwrap();
        socket.send(token(&json!({ "aud": "chat", "sub": "alice", "exp": user })).into()).await.unwrap();
        assert_eq!(support::ask(&mut socket, "in").await, "in");
        assert_eq!(support::closed(&mut socket).await, (3000, "Token Expired".to_owned()), "{stage}");
        assert!(ahead(Duration::ZERO) >= device.min(user));
        drop(socket);
        let event = gateway.event("close");
        let told = (&event["outcome"], &event["stage"], &event["user"]);
        assert_eq!(told, (&json!("token_expired"), &json!(stage), &json!("alice")), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grace_lets_a_connection_outlive_its_token_and_errors_word_its_end() {
    let config = routes(["echo".to_owned()], "pipeline = [\"jwt.users\", \"errors.ours\"]") + &guard("grace = \"500ms\"");
    let errors =
        "[errors.ours]\nnotify = \"renew: {reason}\"\nmessages = { token_expired = \"time is up\" }\ncodes = { token_expired = 4001 }\n";
    let mut gateway = Gateway::run(&(config + errors));
    let (mut socket, exp) = expiring(&gateway, "/0").await;
    assert_eq!(support::next_text(&mut socket).await, "renew: time is up");
    assert_eq!(support::closed(&mut socket).await, (4001, "time is up".to_owned()));
    assert!(ahead(Duration::ZERO) >= exp + 0.5);
    drop(socket);
    let event = gateway.event("close");
    assert_eq!(ending(&event)[..3], [&json!("gateway"), &json!("token_expired"), &json!(4001)], "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_report_mode_an_expired_token_is_reported_once_and_ends_nothing() {
    let config = routes(["echo".to_owned()], "pipeline = [\"jwt.users\"]\nlifetime = \"5s\"") + &guard("mode = \"report\"");
    let mut gateway = Gateway::run(&config);
    let (mut socket, _) = expiring(&gateway, "/0").await;
    let event = gateway.event("would_refuse");
    assert_eq!((&event["outcome"], &event["stage"]), (&json!("token_expired"), &json!("jwt.users")), "{event}");
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
    assert_eq!(support::closed(&mut socket).await.0, 1001, "it lives on to its lifetime");
    drop(socket);
    assert_eq!(gateway.event("close")["outcome"], "lifetime");
    assert_eq!(gateway.events().iter().filter(|event| event["event"] == "would_refuse").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_age_end_a_connection_on_both_sides() {
    // The backend's pings and the client's are no messages.
    let rows = [("idle", 3008, "idle"), ("lifetime", 1001, "connection lifetime reached")];
    for (key, code, reason) in rows {
        let (address, mut seen) = backend::witness([raw::unmasked(TEXT, b"hi"), raw::unmasked(PING, b"")].concat()).await;
        let keys = format!("{key} = \"700ms\"");
        let mut gateway = Gateway::run(&routes([url(address), "echo".to_owned()], &keys));
        let before = gateway.descriptors();
        let says = [raw::frame(TEXT, b"hello"), raw::frame(PING, b"")].concat();
        for (path, answer) in [("/0", &b"hi"[..]), ("/1", b"hello")] {
            let received = raw::frames(&told(&gateway, path, &says).await);
            assert_eq!((&received[0], received.last()), (&(TEXT, answer.to_vec()), Some(&close(code, reason))), "{key} {path}");
            let event = gateway.event("close");
            assert_eq!(ending(&event), [&json!("gateway"), &json!(key), &json!(code), &Value::Null], "{event}");
            assert_eq!(counts(&event), json!([1, 5, 1, answer.len()]));
        }
        let passed = raw::frames(&witnessed(&mut seen).await);
        assert_eq!(passed, [(TEXT, b"hello".to_vec()), (PING, Vec::new()), close(1001, "")], "{key}");
        gateway.settles_at(before).await;
    }
}

const SHORT: &str = "ping = \"200ms\"\npong = \"1s\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_answer_pings_is_closed() {
    let (sender, mut seen) = mpsc::channel(16);
    let address = backend::upgraded(b"", move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move { answer_pings(&mut stream, sender).await }
    });
    let mut gateway = Gateway::run(&routes([url(address.await), "echo".to_owned()], SHORT));
    let before = gateway.descriptors();
    for path in ["/0", "/1"] {
        let received = raw::frames(&told(&gateway, path, b"").await);
        assert_eq!(received.len(), 2, "{path}: {received:x?}");
        assert_eq!((received[0].0, &received[1]), (PING, &close(1011, "no answer to ping")), "{path}");
        let event = gateway.event("close");
        assert_eq!(ending(&event), [&json!("gateway"), &json!("no_pong"), &json!(1011), &json!("client")], "{event}");
        assert_eq!(counts(&event), json!([0, 0, 0, 0]), "pings are no messages");
    }
    assert_eq!(support::in_time(seen.recv()).await.unwrap(), close(1001, ""));
    gateway.settles_at(before).await;
}

/// Answers pings, and tells which other frame came.
async fn answer_pings(stream: &mut TcpStream, sender: mpsc::Sender<(u8, Vec<u8>)>) {
    loop {
        match raw::next_frame(stream).await {
            (PING, payload) => tokio::io::AsyncWriteExt::write_all(stream, &raw::unmasked(PONG, &payload)).await.unwrap(),
            frame => return sender.send(frame).await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_answer_pings_is_closed_and_its_client_gets_1011() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], SHORT));
    let before = gateway.descriptors();
    // This client answers the gateway's pings while it waits.
    let mut socket = gateway.connect("public", "/0").await;
    assert_eq!(support::closed(&mut socket).await, (1011, "no answer to ping".to_owned()));
    drop(socket);
    let frames = raw::frames(&witnessed(&mut seen).await);
    assert_eq!(frames.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [PING, CLOSE]);
    assert_eq!(frames[1], close(1001, ""));
    let event = gateway.event("close");
    assert_eq!(ending(&event), [&json!("gateway"), &json!("no_pong"), &json!(1011), &json!("upstream")], "{event}");
    gateway.settles_at(before).await;
}

/// A firewall that lets everybody in for two seconds from now on.
fn guests() -> String {
    let over = time::OffsetDateTime::from(SystemTime::now() + Duration::from_secs(2));
    let over = over.format(&time::format_description::well_known::Rfc3339).unwrap();
    format!("[firewall.guests]\nallow = [{{ cidr = \"127.0.0.0/8\", expires = {over} }}]\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_time_is_over_ends_those_it_let_in() {
    let mut gateway = Gateway::run(&(routes(["echo".to_owned()], "pipeline = [\"firewall.guests\"]") + &guests()));
    let mut guest = gateway.connect("public", "/0").await;
    assert_eq!(support::closed(&mut guest).await, (3003, "forbidden".to_owned()));
    drop(guest);
    let event = gateway.event("close");
    assert_eq!(ending(&event)[..3], [&json!("gateway"), &json!("ip_denied"), &json!(3003)], "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_time_is_over_ends_those_who_are_still_on_their_way_in() {
    let config = routes(["echo".to_owned()], "pipeline = [\"firewall.guests\", \"jwt.users\"]") + &guard("sources = \"first_message\"");
    let mut gateway = Gateway::run(&(config + &guests()));
    let mut guest = gateway.connect("public", "/0").await;
    support::in_time(async { while support::connect(gateway.url("public", "/0")).await.is_ok() {} }).await;
    guest.send(token(&json!({ "sub": "alice", "exp": ahead(Duration::from_secs(60)) })).into()).await.unwrap();
    assert_eq!(support::closed(&mut guest).await, (3003, "forbidden".to_owned()));
    drop(guest);
    assert_eq!(gateway.event("close")["outcome"], "ip_denied");
}
