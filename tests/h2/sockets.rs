//! WebSocket over streams: the routes, stages, depths and refusals that HTTP/1.1 has.

use futures_util::SinkExt;
use http::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, dialled};
use super::support::{Gateway, ask, backend, closed, in_time, next_text, now, token};
use super::{config, gateway, nobody};

#[tokio::test(flavor = "multi_thread")]
async fn every_depth_carries_messages_of_every_size_over_one_connection() {
    let (address, mut seen) = backend::echo().await;
    let gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    for path in ["/echo", "/relay", "/count", "/read"] {
        let mut socket = client.socket(path, &[]).await;
        for length in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            let text = "x".repeat(length);
            assert!(ask(&mut socket, &text).await.ends_with(&text), "{path} {length}");
        }
        socket.close(None).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 1005, "{path}");
    }
    let asked = in_time(seen.recv()).await.unwrap();
    assert_eq!((asked.method(), asked.uri().path()), (&Method::GET, "/relay"));
    assert_eq!(asked.headers()["host"], "localhost");
    assert_eq!(asked.headers()["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_a_connection_of_its_own_in_the_log() {
    let (address, _) = backend::echo().await;
    let mut gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut socket = client.socket("/relay", &[]).await;
        let open = gateway.event("open");
        assert_eq!((&open["route"], &open["ip"], &open["http"]), (&json!("relay"), &json!("127.0.0.1"), &json!("2")));
        ask(&mut socket, "hello").await;
        socket.close(None).await.unwrap();
        closed(&mut socket).await;
        drop(socket);
        let close = gateway.event("close");
        assert_eq!((&close["connection"], &close["outcome"]), (&open["connection"], &json!("closed")));
        ids.push(open["connection"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_wherever_it_is_shown() {
    let gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    let token = token(&json!({ "sub": "alice", "exp": now() + 600 }));
    for headers in [("authorization", format!("Bearer {token}")), ("cookie", format!("token={token}"))] {
        let mut socket = client.socket("/secure", &[("cookie", "a=b"), (headers.0, &headers.1)]).await;
        assert!(next_text(&mut socket).await.contains("Authenticated!"));
    }
    // None is shown with the request, so the first message has to be one.
    let mut socket = client.socket("/secure", &[]).await;
    socket.send(Message::text(token)).await.unwrap();
    assert!(next_text(&mut socket).await.contains("Authenticated!"));
    let mut socket = client.socket("/secure", &[]).await;
    socket.send(Message::text("no token")).await.unwrap();
    assert_eq!(closed(&mut socket).await, (3000, "Invalid token".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subprotocol_and_a_compression_are_agreed_on_as_ever() {
    let (address, _) = backend::echo().await;
    let gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let (answer, _send) = client.extended("/relay", &[("sec-websocket-protocol", "chat, other")]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["sec-websocket-protocol"]), (200, &"chat".parse().unwrap()));
    let (answer, _send) = client.extended("/echo", &[("sec-websocket-extensions", "permessage-deflate")]).await;
    assert!(answer.headers()["sec-websocket-extensions"].to_str().unwrap().starts_with("permessage-deflate"));
    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_answers_with_the_status_that_they_have_in_http_1_1() {
    let mut gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    let bad = [("authorization", "Bearer none")];
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let rows: [Row<'_>; 6] = [
        ("/nowhere", &[], 404, "no_route"),
        ("/a//b", &[], 400, "bad_handshake"),
        ("/secure", &bad, 401, "token_invalid"),
        ("/relay", &[], 502, "upstream_refused"),
        ("/echo", &[("sec-websocket-version", "8")], 400, "bad_version"),
        ("/echo", &[("sec-websocket-extensions", "permessage-deflate; =")], 400, "bad_handshake"),
    ];
    for (path, headers, status, id) in rows {
        let (answered, head, body) = client.refusal(path, headers).await;
        assert!(answered == status && body.contains(&format!("({id})")), "{path}: {answered} {body}");
        assert!(head.contains_key("date") && !head.contains_key("connection") && !head.contains_key("upgrade"), "{head:?}");
        let refused = gateway.event("refused");
        assert_eq!((&refused["outcome"], &refused["status"], &refused["http"]), (&json!(id), &json!(status), &json!("2")), "{refused}");
    }
    assert_eq!(client.refusal("/secure", &bad).await.1["www-authenticate"], "Bearer error=\"invalid_token\"");
    // Of one connection nothing else has ended.
    assert!(ask(&mut client.socket("/echo", &[]).await, "hello").await.ends_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_no_websocket_is_told_which_method_there_is() {
    let mut gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let (status, head, body) = client.answer(method, "/echo", &[]).await;
        assert_eq!((status, &head["allow"]), (405, &"CONNECT".parse().unwrap()), "{body}");
        assert!(body.contains("(upgrade_required)") && body.contains("RFC 8441"), "{body}");
        assert_eq!(gateway.event("refused")["status"], 405);
    }
    let (status, head, body) = client.answer(Method::HEAD, "/echo", &[]).await;
    assert!(status == 405 && body.is_empty() && head["content-length"] != "0", "{head:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_take_the_places_of_connections() {
    // One for the connection itself.
    let mut gateway = Gateway::run(&config(nobody(), "max_connections = 3"));
    let mut client = Client::to(gateway.address("public")).await;
    let first = client.socket("/echo", &[]).await;
    let second = client.socket("/echo", &[]).await;
    let (status, _, body) = client.refusal("/echo", &[]).await;
    assert!(status == 503 && body.contains("(overloaded)"), "{body}");
    assert_eq!(gateway.event("refused")["rule"], "max_connections");
    let (status, ..) = client.answer(Method::GET, "/health/livez", &[]).await;
    assert_eq!(status, 200, "a request that is none takes no place");
    let (status, _, body) = client.answer(Method::GET, "/app/", &[]).await;
    assert!(status == 503 && body.contains("(overloaded)"), "one that goes to a backend takes one: {body}");
    assert_eq!(gateway.event("refused")["rule"], "max_connections");
    drop(first);
    gateway.event("close");
    assert_eq!(client.answer(Method::GET, "/app/", &[]).await.0, 502, "nobody is there, and a place was free");
    let third = client.socket("/echo", &[]).await;
    drop((second, third));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_told_by_a_close_frame_is_told_so_over_a_stream() {
    let config = config(nobody(), "pipeline = [\"errors.loud\"]") + "[errors.loud]\nreject = \"accept_close\"\n";
    let gateway = Gateway::run(&config);
    let mut client = Client::to(gateway.address("public")).await;
    let mut socket = client.socket("/secure", &[("authorization", "Bearer none")]).await;
    assert_eq!(closed(&mut socket).await, (3000, "Invalid token".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_of_a_trusted_proxy_is_the_client_it_names() {
    let more = "trusted_proxies = [\"127.0.0.0/8\"]\npipeline = [\"firewall.some\"]";
    let (address, mut seen) = backend::echo().await;
    let mut gateway = Gateway::run(&(config(address, more) + "[firewall.some]\ndeny = [\"203.0.113.7\"]\n"));
    let mut client = Client::to(gateway.address("public")).await;
    let (status, _, body) = client.refusal("/relay", &[("x-forwarded-for", "203.0.113.7")]).await;
    assert!(status == 403 && body.contains("(ip_denied)"), "{body}");
    assert_eq!(gateway.event("refused")["ip"], "203.0.113.7");
    let mut socket = client.socket("/relay", &[("x-forwarded-for", "198.51.100.1")]).await;
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(gateway.event("open")["ip"], "198.51.100.1");
    assert_eq!(in_time(seen.recv()).await.unwrap().headers()["x-forwarded-for"], "198.51.100.1, 127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_of_connections_counts_each_websocket_over_one_connection() {
    let more = "pipeline = [\"rate_limit.few\"]";
    let gateway = Gateway::run(&(config(nobody(), more) + "[rate_limit.few]\nkey = \"ip\"\nconnect = { rate = \"1/m\", burst = 2 }\n"));
    let mut client = Client::to(gateway.address("public")).await;
    let _sockets = [client.socket("/echo", &[]).await, client.socket("/echo", &[]).await];
    let (status, head, body) = client.refusal("/echo", &[]).await;
    assert!(status == 429 && body.contains("(rate_limited)") && head.contains_key("retry-after"), "{body}");
    assert_eq!(client.answer(Method::GET, "/health/livez", &[]).await.0, 429, "a probe is no exception on HTTP/1.1 either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_denied_is_refused_before_it_speaks_http_2() {
    let mut gateway = Gateway::run(&(config(nobody(), "pipeline = [\"firewall.none\"]") + "[firewall.none]\ndeny = [\"127.0.0.1\"]\n"));
    let answer = super::support::raw::exchange(gateway.address("public"), super::bare::PREFACE).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(gateway.event("refused")["outcome"], "ip_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_websocket_is_told_yes_that_is_not_open() {
    let backend = backend::scripted(|mut stream| async move {
        let head = backend::read_head(&mut stream).await;
        let answer = if head.contains("/relay") { "200 OK" } else { "403 Forbidden" };
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 4\r\nX-Own: 1\r\n\r\npage");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let mut gateway = gateway(backend);
    let mut client = Client::to(gateway.address("public")).await;
    let (status, head, body) = client.refusal("/read", &[]).await;
    assert_eq!((status, body.as_str(), head.contains_key("x-own")), (403, "page", true), "a refusal of its own");
    assert_eq!(gateway.event("refused")["outcome"], "upstream_declined");
    let (status, _, body) = client.refusal("/relay", &[]).await;
    assert!(status == 502 && body.contains("(upstream_bad_handshake)"), "{body}");
    assert_eq!(gateway.event("refused")["outcome"], "upstream_bad_handshake");
    let (status, head, _) = client.refusal("/health/livez", &[]).await;
    assert_eq!((status, &head["allow"]), (405, &"GET, HEAD".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_says_for_whom_a_connection_of_http_2_is() {
    let mut gateway = Gateway::run(&config(nobody(), "proxy_protocol = { from = [\"127.0.0.0/8\"] }"));
    let mut stream = dialled(gateway.address("public")).await;
    stream.write_all(b"PROXY TCP4 198.51.100.1 127.0.0.1 4000 80\r\n").await.unwrap();
    let mut client = Client::over(stream).await;
    for _ in 0..2 {
        let _socket = client.socket("/echo", &[]).await;
        assert_eq!(gateway.event("open")["ip"], "198.51.100.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_let_in_to_be_told_no_is_told_so_over_every_stream() {
    let more = "[firewall.none]\ndeny = [\"127.0.0.1\"]\n[errors.loud]\nreject = \"accept_close\"\n";
    let gateway = Gateway::run(&(config(nobody(), "pipeline = [\"firewall.none\", \"errors.loud\"]") + more));
    let mut client = Client::to(gateway.address("public")).await;
    for _ in 0..2 {
        let mut socket = client.socket("/echo", &[]).await;
        assert_eq!(closed(&mut socket).await, (3003, "forbidden".to_owned()));
    }
    assert_eq!(client.answer(Method::GET, "/echo", &[]).await.0, 403, "who asks for no WebSocket can read an answer");
}
