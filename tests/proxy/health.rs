//! Probes over plain HTTP, and the readiness that upstreams and stages give and take.

use std::net::SocketAddr;

use serde_json::json;

use super::support::{Gateway, SECRET, backend, now, raw, token};
use super::{guard, proxied};

/// A route for probes at `/health/*`, with these keys, of an endpoint with these.
fn probed(servers: &[SocketAddr], route: &str, upstream: &str) -> String {
    let health = "[health.chat]\nupstreams = [\"upstream.chat\"]\n[route.health]\npath = \"/health/*\"\nendpoint = \"health.chat\"\n";
    proxied(servers, "", upstream) + health + route + "\n"
}

/// What is answered to a request of this method and path, with these further lines.
async fn asked(gateway: &Gateway, method: &str, path: &str, more: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    raw::exchange(gateway.address("public"), request.as_bytes()).await
}

/// The status and the body.
async fn told(gateway: &Gateway, path: &str) -> (u16, String) {
    parted(&asked(gateway, "GET", path, "").await)
}

fn parted(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_answered_without_an_upgrade_and_leaves_no_line() {
    let mut gateway = Gateway::run(&probed(&[backend::echo().await.0], "", ""));
    for (method, path, more, status, body) in [
        ("GET", "/health/livez", "", 200, "ok\n"),
        ("GET", "/health/readyz?verbose", "", 200, "ready\n"),
        ("GET", "/health/a/b/readyz", "", 200, "ready\n"),
        ("HEAD", "/health/livez", "", 200, ""),
        ("HEAD", "/health/readyz", "Connection: keep-alive\r\n", 200, ""),
        ("GET", "/health/readyz", "Upgrade: h2c\r\nConnection: Upgrade\r\n", 200, "ready\n"),
    ] {
        let answer = asked(&gateway, method, path, more).await;
        assert_eq!(parted(&answer), (status, body.to_owned()), "{method} {path}: {answer}");
        let head = answer.to_lowercase();
        for line in ["cache-control: no-store", "content-type: text/plain; charset=utf-8", "connection: close"] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {answer}");
        }
    }
    let answer = raw::exchange(gateway.address("public"), raw::upgrade("/health/livez", "").as_bytes()).await;
    assert_eq!(parted(&answer), (200, "ok\n".to_owned()), "an upgrade is the GET that it also is");
    assert!(!answer.to_lowercase().contains("upgrade"), "{answer}");

    gateway.connect("public", "/chat").await;
    gateway.event("open");
    assert!(gateway.events().iter().all(|event| event["route"] != "health"), "{:?}", gateway.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_probe_is_refused_in_the_form_of_its_route_and_has_a_line() {
    let keys = "pipeline = [\"errors.json\"]\n[errors.json]\nbody = \"json\"";
    let mut gateway = Gateway::run(&probed(&[backend::echo().await.0], keys, ""));
    for (method, path, status, id) in [
        ("GET", "/health", 404, "no_route"),
        ("GET", "/health/livez/x", 404, "no_route"),
        ("POST", "/health/readyz", 405, "method_not_allowed"),
        ("OPTIONS", "/health/livez", 405, "method_not_allowed"),
        ("GET", "/chat", 426, "upgrade_required"),
        ("POST", "/chat", 426, "upgrade_required"),
    ] {
        let body = if method == "GET" { "" } else { "Content-Length: 5\r\n" };
        let answer = asked(&gateway, method, path, body).await;
        let (got, body) = parted(&answer);
        assert!(got == status && body.contains(id), "{method} {path}: {answer}");
        assert_eq!(answer.to_lowercase().contains("\r\nallow: get, head\r\n"), status == 405, "{answer}");
        assert_eq!(body.starts_with("{\"error\":"), path.starts_with("/health"), "{answer}");
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["status"]), (&json!(id), &json!(status)), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_judge_a_probe_as_every_request() {
    let servers = [backend::echo().await.0];
    let deny = "pipeline = [\"firewall.far\"]\n[firewall.far]\nallow = [\"203.0.113.0/24\"]";
    let mut gateway = Gateway::run(&probed(&servers, deny, ""));
    assert_eq!(told(&gateway, "/health/livez").await.0, 403);
    assert_eq!(gateway.event("refused")["outcome"], "ip_denied");

    // A browser's form of refusal is none for who asks for no upgrade, and a first message is none of a probe's.
    let keys = "pipeline = [\"errors.browsers\", \"jwt.users\"]\n[errors.browsers]\nreject = \"accept_close\"\n";
    let gateway = Gateway::run(&probed(&servers, &(keys.to_owned() + &guard("sources = [\"header\", \"first_message\"]")), ""));
    assert_eq!(told(&gateway, "/health/readyz").await.0, 401);
    let bearer = token(&json!({ "sub": "probe", "exp": now() + 60 }));
    let answer = asked(&gateway, "GET", "/health/readyz", &format!("Authorization: Bearer {bearer}\r\n")).await;
    assert_eq!(parted(&answer), (200, "ready\n".to_owned()));
    assert!(!answer.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_ready_while_its_upstream_has_a_server() {
    let nobody = backend::nobody().await;
    let mut gateway = Gateway::run(&probed(&[nobody], "", "tries = 1"));
    assert_eq!(told(&gateway, "/health/readyz").await, (200, "ready\n".to_owned()));
    for _ in 0..3 {
        assert_eq!(gateway.refusal(gateway.url("public", "/chat")).await.0, 502);
    }
    gateway.event("upstream_resting");
    assert_eq!(told(&gateway, "/health/readyz").await, (503, "upstream.chat has no server\n".to_owned()));
    assert_eq!(told(&gateway, "/health/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_server_drains_clients_are_refused_and_the_gateway_is_not_ready() {
    let address = backend::echo().await.0;
    let config = probed(&[], "", "").replace("servers = []", &format!("servers = {{ url = \"ws://{address}\", drain = true }}"));
    let mut gateway = Gateway::run(&config);
    assert_eq!(told(&gateway, "/health/readyz").await, (503, "upstream.chat has no server\n".to_owned()));
    assert_eq!(gateway.refusal(gateway.url("public", "/chat")).await.0, 502);
    let event = gateway.event("refused");
    assert_eq!(
        (&event["outcome"], &event["rule"]),
        (&json!("upstream_refused"), &json!("the upstream has no server that takes connections"))
    );
    assert!(gateway.events().iter().any(|event| event["event"] == "warning"), "{:?}", gateway.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_full_lives_and_is_not_ready() {
    for (table, rows) in [("[gateway]", "max_connections = 1"), ("[listener.public]", "max_connections = 1")] {
        let config = probed(&[backend::echo().await.0], "", "").replacen(table, &format!("{table}\n{rows}"), 1);
        let mut gateway = Gateway::run(&config);
        let open = gateway.connect("public", "/chat").await;
        assert_eq!(gateway.refusal(gateway.url("public", "/chat")).await.0, 503);
        assert_eq!(gateway.event("refused")["outcome"], "overloaded");
        assert_eq!(told(&gateway, "/health/livez").await, (200, "ok\n".to_owned()));
        assert_eq!(told(&gateway, "/health/readyz").await, (503, "no room: at max_connections\n".to_owned()));
        drop(open);
        gateway.event("close");
        assert_eq!(told(&gateway, "/health/readyz").await, (200, "ready\n".to_owned()));
    }
}
