//! Out of band: a request that shows a connection's ticket and a newer token.

use futures_util::SinkExt;
use futures_util::future::join_all;
use serde_json::json;
use tokio_tungstenite::connect_async;

use super::support::{self, Gateway, Socket, ask, backend, closed, raw, token, with_token};
use super::{ahead, config, of, said, users};

const TICKET: &str = "renew.ticket = true";
const CHOSEN: &str = "Vq3hX0cQ2mJr8bYt5nWz1A";
const PATH: &str = "/.well-known/wsgate/renew";

/// What a request to renew is answered, head and body.
async fn asked(gateway: &Gateway, method: &str, headers: &str) -> String {
    let request = format!("{method} {PATH} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    sent(gateway, "public", &request).await
}

async fn sent(gateway: &Gateway, listener: &str, request: &str) -> String {
    raw::exchange(gateway.address(listener), request.as_bytes()).await.to_ascii_lowercase()
}

/// The same of one that is as it should be.
async fn renewed(gateway: &Gateway, ticket: &str, token: &str) -> String {
    asked(gateway, "POST", &shown(ticket, token)).await
}

fn shown(ticket: &str, token: &str) -> String {
    format!("X-Wsgate-Ticket: {ticket}\r\nAuthorization: Bearer {token}\r\n")
}

/// Alice's connection, whose token ends in so many seconds, and the ticket that it is given.
async fn given(gateway: &Gateway, path: &str, seconds: f64) -> (Socket, String) {
    let request = with_token(&gateway.url("public", path), &of("alice", seconds));
    let (mut socket, response) = support::in_time(connect_async(request)).await.unwrap();
    // It has its 101, and is live a moment later.
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    let ticket = response.headers().get("x-wsgate-ticket").map(|ticket| ticket.to_str().unwrap().to_owned());
    (socket, ticket.unwrap_or_default())
}

/// The status of an answer, and the id in its body.
fn answer(text: &str) -> (&str, &str) {
    let id = text.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(id, _)| id);
    (text.get(9..12).unwrap_or_default(), id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_given_or_chosen_renews_its_connection_and_goes_nowhere_else() {
    let (address, mut requests) = backend::echo().await;
    let mut gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    for path in ["/0", "/1"] {
        for chosen in [None, Some(CHOSEN)] {
            let query = chosen.map(|ticket| format!("?a=b&wsgate_ticket={ticket}&c=d")).unwrap_or_default();
            let exp = ahead(3.0);
            let (mut socket, ticket) = given(&gateway, &format!("{path}{query}"), 3.0).await;
            assert_eq!(ticket.is_empty(), chosen.is_some(), "who has chosen one is given none");
            if path == "/0" {
                let request = support::in_time(requests.recv()).await.unwrap();
                assert_eq!(request.uri().query(), chosen.map(|_| "a=b&c=d"));
            }
            let ticket = chosen.unwrap_or(&ticket);
            let text = renewed(&gateway, ticket, &of("alice", 600.0)).await;
            assert!(text.starts_with("http/1.1 204 no content\r\n") && !text.contains("content-length"), "{text}");
            let event = gateway.event("renewed");
            assert_eq!(said(&event, ["how", "stage", "user"]), ["ticket", "jwt.users", "alice"], "{event}");
            while ahead(0.0) < exp + 0.2 {
                assert_eq!(ask(&mut socket, "hello").await, "hello");
            }
            assert_eq!(ask(&mut socket, "hello").await, "hello");
            drop(socket);
            gateway.event("close");
            assert_eq!(answer(&renewed(&gateway, ticket, &of("alice", 600.0)).await), ("404", "ticket_unknown"));
            let lines = serde_json::to_string(gateway.events()).unwrap();
            assert!(!lines.contains(ticket), "a ticket in the log: {lines}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_renews_nothing_is_told_why_and_ends_nothing() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    let good = of("alice", 600.0);
    let ours = "Origin: https://app.example.com\r\n";
    let request = support::request(
        &gateway.url("public", &format!("/0?wsgate_ticket={CHOSEN}")),
        &[("authorization", &format!("Bearer {good}")), ("origin", "https://app.example.com")],
    );
    let mut socket = support::connect(request).await.unwrap();
    let other = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    for (method, headers, status, id) in [
        ("POST", String::new(), "404", "ticket_unknown"),
        ("POST", shown(other, &good), "404", "ticket_unknown"),
        ("POST", shown("short", &good), "404", "ticket_unknown"),
        ("POST", format!("X-Wsgate-Ticket: {CHOSEN}\r\n") + &shown(CHOSEN, &good), "404", "ticket_unknown"),
        ("POST", format!("X-Wsgate-Ticket: {CHOSEN}\r\n"), "401", "token_missing"),
        ("POST", format!("X-Wsgate-Ticket: {CHOSEN}\r\nAuthorization: Basic eDp5\r\n"), "401", "token_missing"),
        ("POST", shown(CHOSEN, "nonsense"), "401", "token_invalid"),
        ("POST", shown(CHOSEN, &of("alice", -600.0)), "401", "token_expired"),
        ("POST", shown(CHOSEN, &of("bob", 600.0)), "403", "forbidden"),
        ("POST", shown(CHOSEN, &good) + "Origin: https://evil.example\r\n", "403", "origin_denied"),
        ("POST", shown(CHOSEN, &good) + "Origin: null\r\n", "403", "origin_denied"),
        ("GET", shown(CHOSEN, &good), "405", "method_not_allowed"),
        ("OPTIONS", shown(CHOSEN, &good), "405", "method_not_allowed"),
        ("POST", shown(CHOSEN, &good) + ours, "204", ""),
        ("POST", shown(CHOSEN, &good) + "Content-Length: 5\r\n\r\n{\"a\":", "204", ""),
    ] {
        let text = asked(&gateway, method, &headers).await;
        assert_eq!(answer(&text), (status, id), "{method} {headers}: {text}");
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        if status == "204" {
            gateway.event("renewed");
        } else {
            assert_eq!(gateway.event("refused")["outcome"], id);
        }
        if status == "405" {
            assert!(text.contains("\r\nallow: post, options\r\n"), "{text}");
        }
    }
    let lines = serde_json::to_string(gateway.events()).unwrap();
    assert!(!lines.contains(CHOSEN) && !lines.contains(&good), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_ask_and_read_the_answer_and_nobody_s_cookie_counts() {
    let gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    let origin = "Origin: https://app.example.com\r\n";
    let preflight =
        format!("{origin}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,x-wsgate-ticket\r\n");
    let texts = [asked(&gateway, "OPTIONS", &preflight).await, asked(&gateway, "POST", &(shown(CHOSEN, "x") + origin)).await];
    for (text, status) in texts.iter().zip(["204", "404"]) {
        assert_eq!(answer(text).0, status);
        for field in [
            "access-control-allow-origin: https://app.example.com",
            "access-control-allow-methods: post, options",
            "access-control-allow-headers: authorization, x-wsgate-ticket",
            "vary: origin",
            "cache-control: no-store",
        ] {
            assert!(text.contains(&format!("\r\n{field}\r\n")), "{field}: {text}");
        }
        assert!(!text.contains("allow-credentials"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_could_be_guessed_is_a_bad_handshake() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    for ticket in ["short", "", "8c6f8f1e-3a5c-4c1c-9d0b-6f2b6a1f0c3d", "Vq3hX0cQ2mJr8bYt5nWz1A%3D%3D"] {
        let request = with_token(&gateway.url("public", &format!("/0?wsgate_ticket={ticket}")), &of("alice", 600.0));
        let (status, body) = gateway.refusal(request).await;
        assert_eq!((status, body.contains("ticket")), (400, true), "{ticket}: {body}");
        assert_eq!(said(&gateway.event("refused"), ["outcome", "stage"]), ["bad_handshake", "jwt.users"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_stages_refuse_by_the_new_token_is_told_both_ways() {
    let guarded = config(["echo".to_owned()], "[\"jwt.users\", \"revoked.list\"]") + &users(TICKET) + "[revoked.list]\njti = \"stolen\"\n";
    let mut gateway = Gateway::run(&guarded);
    let (mut socket, ticket) = given(&gateway, "/0", 600.0).await;
    let stolen = token(&json!({ "sub": "alice", "exp": ahead(600.0), "jti": "stolen" }));
    assert_eq!(answer(&renewed(&gateway, &ticket, &stolen).await), ("403", "revoked"));
    assert_eq!(closed(&mut socket).await.0, 3003);
    drop(socket);
    let event = gateway.event("close");
    assert_eq!(said(&event, ["outcome", "stage", "rule"]), ["revoked", "revoked.list", "jti[0] stolen"], "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_one_connection_few_tokens_are_looked_at() {
    let gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    let (mut socket, ticket) = given(&gateway, "/0", 600.0).await;
    for _ in 0..10 {
        assert_eq!(answer(&renewed(&gateway, &ticket, "x").await), ("401", "token_invalid"));
    }
    let text = renewed(&gateway, &ticket, &of("alice", 600.0)).await;
    assert_eq!(answer(&text), ("429", "rate_limited"));
    assert!(text.contains("\r\nretry-after: "), "{text}");
    assert_eq!(ask(&mut socket, "hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_is_taken_where_a_stage_renews_by_tickets_and_a_ticket_is_its_listeners() {
    let more = "[listener.other]\naddress = \"127.0.0.1:0\"\n[listener.plain]\naddress = \"127.0.0.1:0\"\n\
                [route.other]\nlistener = \"other\"\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n\
                [route.plain]\nlistener = \"plain\"\npath = \"/x\"\nendpoint = \"echo\"\n";
    let first = config(["echo".to_owned()], "[\"jwt.users\"]").replace("[route.r0]", "[route.r0]\nlistener = \"public\"");
    let gateway = Gateway::run(&(first + more + &users(TICKET)));
    let (_socket, ticket) = given(&gateway, "/0", 600.0).await;
    for (listener, status, id) in [("plain", "404", "no_route"), ("other", "404", "ticket_unknown"), ("public", "204", "")] {
        let request = format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", shown(&ticket, &of("alice", 600.0)));
        let text = sent(&gateway, listener, &request).await;
        assert_eq!(answer(&text), (status, id), "{listener}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_another_stage_has_let_in_has_no_ticket_and_its_choice_goes_nowhere() {
    let (address, mut requests) = backend::echo().await;
    let api = users("audience = \"api\"").replace("jwt.users", "jwt.api");
    let keys = format!("sources = \"query:token\"\n{TICKET}");
    let gateway = Gateway::run(&(config([format!("ws://{address}")], "[[\"jwt.api\", \"jwt.users\"]]") + &users(&keys) + &api));
    let bearer = token(&json!({ "sub": "ci", "aud": "api", "exp": ahead(600.0) }));
    let request = with_token(&gateway.url("public", &format!("/0?a=b&wsgate_ticket={CHOSEN}")), &bearer);
    let mut socket = support::connect(request).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(support::in_time(requests.recv()).await.unwrap().uri().query(), Some("a=b"));
    assert_eq!(answer(&renewed(&gateway, CHOSEN, &bearer).await), ("404", "ticket_unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listeners_firewall_judges_who_asks() {
    let guarded = config(["echo".to_owned()], "[\"jwt.users\"]").replace(
        "[route.r0]",
        "trusted_proxies = [\"127.0.0.0/8\"]\npipeline = [\"firewall.bans\"]\n[firewall.bans]\ndeny = \"203.0.113.9\"\n[route.r0]",
    );
    let gateway = Gateway::run(&(guarded + &users(TICKET)));
    let (_socket, ticket) = given(&gateway, "/0", 600.0).await;
    for (from, status, id) in [("203.0.113.9", "403", "ip_denied"), ("203.0.113.10", "403", "origin_denied")] {
        let headers = format!("X-Forwarded-For: {from}\r\nOrigin: https://a.example\r\n{}", shown(&ticket, &of("alice", 600.0)));
        let text = asked(&gateway, "POST", &headers).await;
        assert_eq!(answer(&text), (status, id), "{from}");
        assert!(text.contains("\r\naccess-control-allow-origin: https://a.example\r\n"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_found_on_whatever_thread_it_is() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + "[gateway]\nthreads = 4\n" + &users(TICKET)));
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(given(&gateway, "/0", 600.0).await);
    }
    for (_, ticket) in &open {
        assert_eq!(answer(&renewed(&gateway, ticket, &of("alice", 600.0)).await).0, "204");
    }
    for _ in 0..8 {
        gateway.event("renewed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_renews_what_it_has() {
    let full = config(["echo".to_owned()], "[\"jwt.users\"]") + "[gateway]\nmax_connections = 1\n" + &users(TICKET);
    let mut gateway = Gateway::run(&full);
    let (_socket, ticket) = given(&gateway, "/0", 600.0).await;
    assert_eq!(gateway.refusal(with_token(&gateway.url("public", "/0"), &of("bob", 600.0))).await.0, 503);
    assert_eq!(answer(&renewed(&gateway, &ticket, &of("alice", 600.0)).await).0, "204");
    gateway.event("renewed");
    assert_eq!(answer(&renewed(&gateway, CHOSEN, &of("alice", 600.0)).await), ("404", "ticket_unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_some_are_told_to_come_again_and_none_that_nobody_is_there() {
    let gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + "[gateway]\nthreads = 4\n" + &users(TICKET)));
    for _ in 0..10 {
        let (_socket, ticket) = given(&gateway, "/0", 600.0).await;
        let token = of("alice", 600.0);
        let texts = join_all((0..6).map(|_| renewed(&gateway, &ticket, &token))).await;
        let answers: Vec<_> = texts.iter().map(|text| answer(text)).collect();
        assert!(answers.contains(&("204", "")), "{answers:?}");
        assert!(answers.iter().all(|answer| [("204", ""), ("429", "rate_limited")].contains(answer)), "{answers:?}");
        let waits = texts.iter().filter(|text| text.contains("\r\nretry-after: 1\r\n")).count();
        assert_eq!(waits, answers.iter().filter(|(status, _)| *status == "429").count(), "{texts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_from_when_it_is_given() {
    let (address, _requests) = backend::echo().await;
    let endpoints = ["echo".to_owned(), format!("ws://{address}")];
    let gateway = Gateway::run(&(config(endpoints, "[\"jwt.users\"]") + "[gateway]\nthreads = 4\n" + &users(TICKET)));
    for round in 0..60 {
        let request = with_token(&gateway.url("public", &format!("/{}", round % 2)), &of("alice", 600.0));
        let (_socket, response) = support::in_time(connect_async(request)).await.unwrap();
        let ticket = response.headers()["x-wsgate-ticket"].to_str().unwrap();
        assert_eq!(answer(&renewed(&gateway, ticket, &of("alice", 600.0)).await).0, "204", "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_connection_with_a_ticket_has_it_and_gives_it_back() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(TICKET)));
    let path = format!("/0?wsgate_ticket={CHOSEN}");
    let mut open = Vec::new();
    for _ in 0..3 {
        let (socket, _) = given(&gateway, &path, 600.0).await;
        open.push((socket, gateway.event("open")["connection"].clone()));
    }
    // The newest has it, then the one before; one that ends meanwhile has none to give.
    for ends in [Some(2), Some(0), Some(0), None] {
        let status = answer(&renewed(&gateway, CHOSEN, &of("alice", 600.0)).await).0.to_owned();
        let Some(ends) = ends else {
            assert_eq!(status, "404");
            break;
        };
        assert_eq!(status, "204");
        assert_eq!(gateway.event("renewed")["connection"], open.last().unwrap().1);
        drop(open.remove(ends));
        gateway.event("close");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_comes_behind_the_ticket() {
    let keys = format!("sources = \"first_message\"\n{TICKET}");
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(&keys)));
    let (mut socket, response) = support::in_time(connect_async(gateway.url("public", "/0"))).await.unwrap();
    let ticket = response.headers()["x-wsgate-ticket"].to_str().unwrap().to_owned();
    assert_eq!(answer(&renewed(&gateway, &ticket, &of("alice", 600.0)).await), ("404", "ticket_unknown"), "nobody yet");
    socket.send(of("alice", 600.0).into()).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(answer(&renewed(&gateway, &ticket, &of("alice", 600.0)).await).0, "204");
    gateway.event("renewed");
}
