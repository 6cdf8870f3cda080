//! Tokens of every source on the way to a backend: what it is sent without them, what the client is told, and what no log ever holds.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::support::{self, Gateway, backend, now, raw, request, token};
use super::{guard, proxied};

const GUARDED: &str = "pipeline = [\"jwt.users\"]";

fn good() -> String {
    token(&json!({ "sub": "alice", "exp": now() + 60 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_sent_the_request_without_the_token() {
    let (address, mut requests) = backend::echo().await;
    let sources = "sources = [\"query:token\", \"cookie:session\", \"subprotocol:bearer\"]";
    let judge = "[origin.pages]\nallow = \"same-origin\"\n";
    let route = "pipeline = [\"origin.pages\", \"jwt.users\"]";
    let mut gateway = Gateway::run(&(proxied(&[address], route, "") + &guard(sources) + judge));
    let token = good();
    let (query, cookie, offer) = (format!("/chat?a=1&token={token}&b=%2f"), format!("a=b; session={token}"), format!("bearer, {token}"));
    for (path, headers, uri, cookies) in [
        (&*query, vec![], "/chat?a=1&b=%2f", None),
        ("/chat?a=1", vec![("cookie", &*cookie)], "/chat?a=1", Some("a=b")),
        ("/chat", vec![("sec-websocket-protocol", &*offer)], "/chat", None),
    ] {
        let mut socket = support::connect(request(&gateway.url("public", path), &headers)).await.unwrap();
        assert_eq!(support::ask(&mut socket, "hi").await, "hi");
        let seen = requests.recv().await.unwrap();
        assert_eq!(seen.uri(), uri);
        assert_eq!(seen.headers().get("cookie").map(|cookie| cookie.to_str().unwrap()), cookies);
        assert!(!format!("{seen:?}").contains(&token), "{seen:?}");
        assert_eq!(gateway.event("open")["user"], "alice");
    }
}

/// A backend that picks this of the subprotocols it is offered, and tells what those were.
async fn picking(pick: Option<&'static str>) -> (std::net::SocketAddr, mpsc::Receiver<Option<String>>) {
    let (sender, offers) = mpsc::channel(4);
    let address = backend::scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = backend::read_head(&mut stream).await;
            let line = pick.map(|pick| format!("Sec-WebSocket-Protocol: {pick}\r\n")).unwrap_or_default();
            let answer = backend::switching(&head).replace("\r\n\r\n", &format!("\r\n{line}\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(backend::header(&head, "sec-websocket-protocol").map(str::to_owned)).await.unwrap();
            _ = backend::read_head(&mut stream).await;
        }
    });
    (address.await, offers)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_is_the_subprotocol_unless_the_backend_picks_another_of_the_client_s() {
    for (keys, pick, offer, passed, told) in [
        ("", None, "bearer, TOKEN", Some("bearer"), Some("bearer")),
        ("", Some("bearer"), "bearer, TOKEN", Some("bearer"), Some("bearer")),
        ("", Some("chat"), "bearer, TOKEN, chat", Some("bearer, chat"), Some("chat")),
        ("", None, "bearer, TOKEN, chat", Some("bearer, chat"), Some("bearer")),
        ("subprotocols = [\"chat\"]", Some("chat"), "bearer, TOKEN, chat", Some("chat"), Some("chat")),
        ("subprotocols = [\"chat\"]", None, "bearer, TOKEN", None, Some("bearer")),
    ] {
        let (address, mut offers) = picking(pick).await;
        let mut gateway =
            Gateway::run(&(proxied(&[address], &format!("{GUARDED}\n{keys}"), "") + &guard("sources = \"subprotocol:bearer\"")));
        let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
        let asked = raw::upgrade("/chat", &format!("Sec-WebSocket-Protocol: {}\r\n", offer.replace("TOKEN", &good())));
        client.write_all(asked.as_bytes()).await.unwrap();
        let answer = support::in_time(backend::read_head(&mut client)).await;
        assert_eq!(backend::header(&answer, "sec-websocket-protocol"), told, "{keys} {offer}: {answer}");
        assert_eq!(offers.recv().await.unwrap().as_deref(), passed, "{keys} {offer}");
        assert_eq!(gateway.event("open")["subprotocol"].as_str(), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_s_own_endpoint_speaks_the_marker() {
    let config = "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.all]\npipeline = [\"jwt.users\"]\nendpoint = \"authenticated\"\n";
    let gateway = Gateway::run(&(config.to_owned() + &guard("sources = \"subprotocol:bearer\"")));
    let offer = format!("bearer, {}", good());
    let asked = request(&gateway.url("public", "/"), &[("sec-websocket-protocol", &offer)]);
    let (mut socket, response) = tokio_tungstenite::connect_async(asked).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "bearer");
    assert_eq!(support::next_text(&mut socket).await, "Authenticated!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_goes_on_to_the_backend_first_and_byte_by_byte_where_it_is_asked_for() {
    for forward in [true, false] {
        let (address, mut seen) = backend::witness(Vec::new()).await;
        let keys = format!("sources = \"first_message\"\nfirst_message = {{ field = \"payload.token\", forward = {forward} }}");
        let mut gateway = Gateway::run(&(proxied(&[address], &format!("{GUARDED}\nclose_timeout = \"100ms\""), "") + &guard(&keys)));
        let mut client = raw::upgraded(gateway.address("public"), "/chat").await;
        let first = format!("{{ \"type\" : \"init\",\n\t\"payload\":{{\"token\":\"{}\",\"é\":1.0}} }}", good()).into_bytes();
        // In two fragments with a ping between them, and the next message glued to it.
        let (head, tail) = first.split_at(20);
        let frames = [raw::frame(0x01, head), raw::frame(0x89, b"ping"), raw::frame(0x80, tail), raw::frame(0x82, b"next")];
        client.write_all(&frames.concat()).await.unwrap();
        assert_eq!(raw::next_frame(&mut client).await, (0x8a, b"ping".to_vec()));
        gateway.event("open");
        client.write_all(&raw::frame(0x88, &raw::closing(1000, ""))).await.unwrap();
        let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
        let expected: Vec<raw::Frame> = forward.then_some((0x81, first)).into_iter().chain([(0x82, b"next".to_vec())]).collect();
        assert_eq!(passed[..expected.len()], expected);
        assert_eq!(passed[expected.len()].0, 0x88);
        assert_eq!(gateway.event("close")["client_messages"], json!(expected.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_without_a_token_is_answered_and_no_backend_is_asked() {
    let keys = "sources = [\"query:token\", \"first_message\"]\nfirst_message = { field = \"token\", forward = true }";
    let mut gateway = Gateway::run(&(proxied(&[backend::nobody().await], GUARDED, "") + &guard(keys)));
    for (message, code, outcome) in [
        (Message::text("{\"token\":\"bad\"}"), 3000, "token_invalid"),
        (Message::text("{}"), 3000, "token_missing"),
        (Message::text("hello"), 3000, "token_invalid"),
        (Message::binary(b"{}".to_vec()), 3000, "token_invalid"),
    ] {
        let mut socket = gateway.connect("public", "/chat").await;
        socket.send(message.clone()).await.unwrap();
        assert_eq!(support::closed(&mut socket).await.0, code, "{message}");
        assert_eq!(gateway.event("refused")["outcome"], outcome, "{message}");
    }
    let (status, body) = gateway.refusal(gateway.url("public", "/chat?token=bad")).await;
    assert!(status == 401 && body.contains("token_invalid"), "{status} {body}");
}

/// Every request of a run with a credential in each place, good and bad; gives what must never be written.
async fn use_credentials(gateway: &Gateway, token: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut used = Vec::new();
    for path in ["/chat", "/direct"] {
        for place in ["header", "query", "cookie", "subprotocol", "all"] {
            for credential in [token(&format!("{path}{place}")), format!("not-a-token-{}{place}", path.trim_matches('/')), expired(place)] {
                let is = |name: &str| place == name || place == "all";
                let (bearer, cookie, offer) =
                    (format!("Bearer {credential}"), format!("a=b; session={credential}"), format!("bearer, {credential}"));
                let mut headers = Vec::new();
                headers.extend(is("header").then_some(("authorization", &*bearer)));
                headers.extend(is("cookie").then_some(("cookie", &*cookie)));
                headers.extend(is("subprotocol").then_some(("sec-websocket-protocol", &*offer)));
                let query = if is("query") { format!("?x=1&token={credential}") } else { String::new() };
                if let Ok(mut socket) = support::connect(request(&gateway.url("public", &format!("{path}{query}")), &headers)).await {
                    _ = socket.close(None).await;
                    while socket.next().await.is_some_and(|message| message.is_ok()) {}
                }
                used.push(credential);
            }
        }
        for credential in [token(&format!("{path}first")), "not-a-token-first".to_owned(), expired("first")] {
            let mut socket = gateway.connect("public", path).await;
            _ = socket.send(Message::text(format!("{{\"token\":\"{credential}\"}}"))).await;
            _ = socket.close(None).await;
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
            used.push(credential);
        }
    }
    used
}

fn expired(sub: &str) -> String {
    token(&json!({ "sub": sub, "exp": now() - 3600 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_the_gateway_writes_holds_a_credential() {
    let keys = "sources = [\"header\", \"query:token\", \"cookie:session\", \"subprotocol:bearer\", \"first_message\"]\n\
                first_message = { field = \"token\", forward = true }\n\
                [origin.pages]\nallow = \"same-origin\"\n\
                [log.text]\nfile = \"all.log\"\n[log.json]\nfile = \"all.jsonl\"\nformat = \"json\"\n\
                [route.direct]\npath = \"/direct\"\nendpoint = \"authenticated\"\n\
                pipeline = [\"origin.pages\", \"jwt.users\"]\n";
    let servers = [backend::nobody().await, backend::echo().await.0];
    let route = "pipeline = [\"origin.pages\", \"jwt.users\"]";
    let mut gateway = Gateway::run(&(proxied(&servers, route, "balance = \"round_robin\"") + &guard(keys)));
    let used = use_credentials(&gateway, &|sub| token(&json!({ "sub": sub, "exp": now() + 60 }))).await;
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let mut written: Vec<String> = gateway.events().iter().map(ToString::to_string).collect();
    for file in ["all.log", "all.jsonl"] {
        written.push(std::fs::read_to_string(gateway.folder.path().join(file)).unwrap());
    }
    let written = written.join("\n");
    for sign in ["token_invalid", "token_expired", "user=/chatquery", "user=/directfirst", "upstream_failed", "subprotocol=bearer"] {
        assert!(written.contains(sign), "the run was to have {sign}");
    }
    assert_eq!(used.len(), 36);
    for credential in used {
        // Nor the part of it that proves anything.
        let proof = credential.rsplit('.').next().unwrap();
        assert!(!written.contains(&credential) && !written.contains(proof), "{credential} was written");
    }
}
