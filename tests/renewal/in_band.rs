//! In band: a token in a message, which goes no further.

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::support::{self, Gateway, ask, backend, closed, raw, token, with_token};
use super::{MESSAGE, ahead, alice, auth, config, of, said, tells, users};

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_moves_the_end_and_neither_the_backend_nor_an_endpoint_sees_it() {
    let (address, _requests) = backend::echo().await;
    let mut gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    for path in ["/0", "/1"] {
        let mut socket = alice(&gateway, path, 2.0).await;
        tells(&ask(&mut socket, &auth(&of("alice", 600.0))).await, "renewed", 600);
        let event = gateway.event("renewed");
        assert_eq!(said(&event, ["stage", "how", "user"]), ["jwt.users", "message", "alice"], "{event}");
        assert!(event["expires"].as_str().unwrap().ends_with('Z'), "{event}");
        // Shorter than both: the newest token is the truth.
        let exp = ahead(3.0);
        tells(&ask(&mut socket, &auth(&token(&json!({ "sub": "alice", "exp": exp })))).await, "renewed", 3);
        assert_eq!(ask(&mut socket, "hello").await, "hello", "what an echo sends back is what it was sent");
        assert_eq!(closed(&mut socket).await, (3000, "Token Expired".to_owned()), "{path}");
        assert!(ahead(0.0) >= exp, "{path}");
        drop(socket);
        let event = gateway.event("close");
        assert_eq!(
            said(&event, ["outcome", "stage", "client_messages"]),
            [json!("token_expired"), json!("jwt.users"), json!(1)],
            "{event}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_rescues_nobody_and_ends_nothing_before_its_time() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    let exp = ahead(3.0);
    let (first, first_of_another) = (token(&json!({ "sub": "alice", "exp": exp })), of("bob", 600.0));
    let mut socket = support::connect(with_token(&gateway.url("public", "/0"), &first)).await.unwrap();
    let (signed, _) = first.rsplit_once('.').unwrap();
    let (_, signature) = first_of_another.rsplit_once('.').unwrap();
    let tampered = format!("{signed}.{signature}");
    for (message, outcome, rule) in [
        (auth("nonsense"), "token_invalid", "malformed token"),
        (auth(&tampered), "token_invalid", "bad signature"),
        (auth(&of("alice", -600.0)), "token_expired", "exp is past"),
        (auth(&token(&json!({ "sub": "alice" }))), "token_invalid", "exp is missing"),
        (json!({ "type": "auth" }).to_string(), "token_invalid", "malformed token"),
        (json!({ "type": "auth", "token": 7 }).to_string(), "token_invalid", "malformed token"),
        (r#"{"t\u0079pe":"\u0061uth","token":"hidden"}"#.to_owned(), "token_invalid", "malformed token"),
    ] {
        assert_eq!(ask(&mut socket, &message).await, json!({ "refused": outcome }).to_string(), "{message}");
        let event = gateway.event("renewal_refused");
        assert_eq!(said(&event, ["outcome", "rule", "stage", "how"]), [outcome, rule, "jwt.users", "message"], "{event}");
    }
    assert_eq!(closed(&mut socket).await.0, 3000);
    assert!(ahead(0.0) >= exp);
    let lines = serde_json::to_string(gateway.events()).unwrap();
    assert!(!lines.contains(&first) && !lines.contains(&tampered) && !lines.contains("hidden"), "a token in the log: {lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_bear_no_token_pass_as_they_came() {
    let (address, _requests) = backend::echo().await;
    let gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    for path in ["/0", "/1"] {
        let mut socket = alice(&gateway, path, 600.0).await;
        let large = auth(&"x".repeat(70 << 10));
        for text in [r#"{"type":"chat","token":"auth"}"#, r#"["auth"]"#, r#"{"type":"auth""#, r#"{"type":["auth"]}"#, "auth", "", &large] {
            assert_eq!(ask(&mut socket, text).await, text, "{path}");
        }
        let binary = Message::binary(auth("x").into_bytes());
        socket.send(binary.clone()).await.unwrap();
        assert_eq!(support::in_time(futures_util::StreamExt::next(&mut socket)).await.unwrap().unwrap(), binary);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_stages_refuse_by_the_new_token_is_closed_as_they_say() {
    let guarded = config(["echo".to_owned()], "[\"jwt.users\", \"revoked.list\"]") + &users(MESSAGE) + "[revoked.list]\njti = \"stolen\"\n";
    let mut gateway = Gateway::run(&guarded);
    let stolen = json!({ "sub": "alice", "exp": ahead(600.0), "jti": "stolen" });
    for (newer, code, outcome, stage, rule) in [
        (token(&stolen), 3003, "revoked", "revoked.list", "jti[0] stolen"),
        (of("bob", 600.0), 3003, "forbidden", "jwt.users", "a renewal with another subject"),
    ] {
        let mut socket = alice(&gateway, "/0", 600.0).await;
        socket.send(auth(&newer).into()).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, code, "{outcome}");
        drop(socket);
        let event = gateway.event("close");
        assert_eq!(said(&event, ["outcome", "stage", "rule", "user"]), [outcome, stage, rule, "alice"], "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_tokens_most_are_not_even_looked_at() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    let mut socket = alice(&gateway, "/0", 600.0).await;
    for _ in 0..10 {
        assert_eq!(ask(&mut socket, &auth("x")).await, r#"{"refused":"token_invalid"}"#);
    }
    for _ in 0..100 {
        assert_eq!(ask(&mut socket, &auth(&of("alice", 600.0))).await, r#"{"refused":"rate_limited"}"#);
    }
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(said(&gateway.event("left_out"), ["outcome", "stage", "rule"]), ["rate_limited", "jwt.users", "renewals"]);
    let count = |name| gateway.events().iter().filter(|event| event["event"] == name).count();
    assert_eq!(["renewal_refused", "left_out", "renewed"].map(count), [10, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_words_for_it_a_renewal_is_silent() {
    let keys = r#"renew.message = { match = { "op.kind" = "renew" }, field = "d.token" }"#;
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(keys)));
    let mut socket = alice(&gateway, "/0", 2.0).await;
    let message = |token: &str| json!({ "op": { "kind": "renew" }, "d": { "token": token } }).to_string();
    socket.send(message("bad").into()).await.unwrap();
    let other = message(&of("alice", 600.0)).replace("renew", "other");
    assert_eq!(ask(&mut socket, &other).await, other);
    socket.send(message(&of("alice", 600.0)).into()).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    gateway.event("renewal_refused");
    gateway.event("renewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_first_message_or_an_alternative_is_renewed_as_any() {
    let keys = format!("sources = \"first_message\"\n{MESSAGE}");
    let other = users("audience = \"api\"").replace("jwt.users", "jwt.api");
    let (address, _requests) = backend::echo().await;
    let endpoints = [format!("ws://{address}"), "echo".to_owned()];
    let mut gateway = Gateway::run(&(config(endpoints, "[[\"jwt.api\", \"jwt.users\"]]") + &users(&keys) + &other));
    for path in ["/0", "/1"] {
        let mut socket = gateway.connect("public", path).await;
        socket.send(of("alice", 2.0).into()).await.unwrap();
        tells(&ask(&mut socket, &auth(&of("alice", 600.0))).await, "renewed", 600);
        assert_eq!(gateway.event("renewed")["stage"], "jwt.users");
        drop(socket);
        // Whom the other one has let in has no token here to renew.
        let bearer = token(&json!({ "sub": "ci", "aud": "api", "exp": ahead(600.0) }));
        let mut socket = support::connect(with_token(&gateway.url("public", path), &bearer)).await.unwrap();
        assert_eq!(ask(&mut socket, &auth("x")).await, auth("x"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_judges_the_token_that_was_shown_last() {
    let file = |keys: &str| config(["echo".to_owned()], "[\"jwt.users\"]") + &users(&format!("{MESSAGE}\n{keys}"));
    let mut gateway = Gateway::run(&file(""));
    let tenant = |tenant: &str| token(&json!({ "sub": "alice", "exp": ahead(600.0), "tenant": tenant }));
    let mut sockets = Vec::new();
    for newer in [of("alice", 600.0), tenant("acme")] {
        let mut socket = alice(&gateway, "/0", 5.0).await;
        tells(&ask(&mut socket, &auth(&newer)).await, "renewed", 600);
        sockets.push(socket);
    }
    let edited = file("require = [\"exp\", \"tenant\"]") + "[gateway]\nreload = { spread = \"100ms\" }\n";
    let reloaded = gateway.reload(&edited);
    assert_eq!(said(&reloaded, ["connections_adopted", "connections_closed"]), [json!(1), json!(1)], "{reloaded}");
    assert_eq!(closed(&mut sockets[0]).await.0, 3000);
    assert_eq!(ask(&mut sockets[1], "hello").await, "hello");
    // Renamed, the stage still knows whose token this is.
    let reloaded = gateway.reload(&edited.replace("jwt.users", "jwt.people"));
    assert_eq!(said(&reloaded, ["connections_adopted", "connections_closed"]), [json!(1), json!(0)], "{reloaded}");
    tells(&ask(&mut sockets[1], &auth(&tenant("b"))).await, "renewed", 600);
    assert_eq!(ask(&mut sockets[1], "hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_report_mode_nothing_is_taken_out_and_nothing_renewed() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(&format!("{MESSAGE}\nmode = \"report\""))));
    let mut socket = alice(&gateway, "/0", 600.0).await;
    let message = auth(&of("alice", 600.0));
    assert_eq!(ask(&mut socket, &message).await, message);
    assert!(gateway.events().iter().all(|event| event["event"] != "renewed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_fragments_is_taken_out_whole() {
    let (address, _requests) = backend::echo().await;
    let gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    for path in ["/0", "/1"] {
        let bearer = format!("Authorization: Bearer {}\r\n", of("alice", 600.0));
        let mut stream = tokio::net::TcpStream::connect(gateway.address("public")).await.unwrap();
        stream.write_all(raw::upgrade(path, &bearer).as_bytes()).await.unwrap();
        let head = backend::read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let message = auth(&of("alice", 600.0)).into_bytes();
        for (index, byte) in message.iter().enumerate() {
            let first = if index == 0 { 1 } else { 0 } | if index + 1 == message.len() { 0x80 } else { 0 };
            stream.write_all(&raw::frame(first, &[*byte])).await.unwrap();
        }
        stream.write_all(&raw::frame(0x81, b"hello")).await.unwrap();
        let mut texts = [(); 2].map(|()| String::new());
        for text in &mut texts {
            *text = String::from_utf8(raw::next_frame(&mut stream).await.1).unwrap();
        }
        texts.sort();
        assert_eq!(texts[0], "hello", "{path}");
        tells(&texts[1], "renewed", 600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_token_waits_for_its_verdict() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(MESSAGE)));
    for path in ["/0", "/1"] {
        let bearer = format!("Authorization: Bearer {}\r\n", of("alice", 600.0));
        let mut stream = tokio::net::TcpStream::connect(gateway.address("public")).await.unwrap();
        stream.write_all(raw::upgrade(path, &bearer).as_bytes()).await.unwrap();
        backend::read_head(&mut stream).await;
        let texts = [auth("x"), "one".to_owned(), auth(&of("alice", 600.0)), "two".to_owned(), auth(&of("bob", 600.0)), "three".to_owned()];
        let frames: Vec<u8> = texts.iter().flat_map(|text| raw::frame(0x81, text.as_bytes())).collect();
        let close = raw::frame(0x88, &raw::closing(1000, ""));
        stream.write_all(&[frames, close].concat()).await.unwrap();
        let told = raw::frames(&raw::rest(&mut stream).await);
        let told: Vec<_> = told.iter().map(|(_, payload)| String::from_utf8_lossy(payload)).collect();
        assert!(told[0].contains("refused") && told.iter().any(|text| text.contains("renewed")), "{told:?}");
        assert!(told.last().unwrap().ends_with("forbidden") && !told.iter().any(|text| text == "three"), "{told:?}");
    }
    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
    assert_eq!(passed.iter().map(|(_, payload)| &payload[..]).collect::<Vec<_>>()[..2], [b"one", b"two"]);
    assert_eq!(passed.len(), 3, "and a Close");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_and_edits_at_once_lose_nobody() {
    let file = |leeway: u32| config(["echo".to_owned()], "[\"jwt.users\"]") + &users(&format!("{MESSAGE}\nleeway = \"{leeway}s\""));
    let mut gateway = Gateway::run(&file(30));
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(alice(&gateway, "/0", 600.0).await);
    }
    for round in 1..=5 {
        let edited = file(30 + round);
        let renewing = sockets.iter_mut().map(async |socket| tells(&ask(socket, &auth(&of("alice", 600.0))).await, "renewed", 600));
        let renewing = futures_util::future::join_all(renewing);
        let (_, reloaded) = tokio::join!(renewing, async { tokio::task::block_in_place(|| gateway.reload(&edited)) });
        assert_eq!(said(&reloaded, ["connections_adopted", "connections_closed"]), [json!(20), json!(0)], "{reloaded}");
    }
    for socket in &mut sockets {
        assert_eq!(ask(socket, "hello").await, "hello");
    }
    let events = gateway.events();
    assert_eq!(events.iter().filter(|event| event["event"] == "renewed").count(), 100);
}
