//! Every example config, and the file that ships: each compiles without a word, is served, and does what it says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "h2/client.rs"]
#[allow(dead_code, reason = "this takes what it needs of it")]
mod h2;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Gateway, Socket, ask, backend, closed, command, connect, next_text, raw, request, with_token};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, client_async};
use wsgate::config::{Document, render};
use wsgate::gateway::{Catalog, Gateway as Snapshot, catalog};
use wsgate::stage::STAGES;
use wsgate::stage::cells::Cells;

/// Examples that are not named after a stage or an endpoint. Each has a test below, named like it; `article` has `tests/article.rs`.
const FEATURES: [&str; 19] = [
    "article",
    "listener",
    "route",
    "upstream",
    "behind_a_proxy",
    "forward_claims",
    "token_sources",
    "key_sets",
    "pipeline",
    "renewal",
    "log",
    "metrics",
    "gateway",
    "hosts",
    "http",
    "http2",
    "segments",
    "test",
    "tls",
];

/// Examples that have a page in the cookbook. Its tests serve them, and `tests/apps` puts them in front of the applications.
const APPLICATIONS: [&str; 6] = ["graphql_ws", "jupyter", "mqtt", "socketio", "vite", "yjs"];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let files = fs::read_dir(package().join("examples/configs")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    files
}

/// Serves a file of the package on ports of its own: its listeners get them from the system, and `backend` stands for its servers.
fn serve(file: &str, backend: Option<SocketAddr>) -> Gateway {
    let mut config = fs::read_to_string(package().join(file)).unwrap();
    for port in ["8765", "8888", "9100", "9101"] {
        config = config.replace(&format!("127.0.0.1:{port}\""), "127.0.0.1:0\"").replace(&format!("[::1]:{port}\""), "[::1]:0\"");
    }
    for port in ["9001", "9002"] {
        config =
            config.replace(&format!("127.0.0.1:{port}\""), &format!("{}\"", backend.map_or("127.0.0.1:1".into(), |it| it.to_string())));
    }
    // Two servers of an example are one here, and it may be named once only.
    if let Some(backend) = backend {
        config = config.replace(&format!("\"ws://{backend}\", \"ws://{backend}\""), &format!("\"ws://{backend}\""));
    }
    let folder = tempfile::tempdir().unwrap();
    for path in fs::read_dir(package().join("examples/configs")).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "toml") {
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    Gateway::run_in(folder, &config)
}

fn example(name: &str) -> Gateway {
    serve(&format!("examples/configs/{name}.toml"), None)
}

/// What `wsgate token` prints for this gateway's file.
fn minted(gateway: &Gateway, stage: &str, more: &[&str]) -> String {
    let printed = command(gateway.folder.path()).args(["token", "--stage", stage, "--sub", "alice"]).args(more).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}

async fn greeted(gateway: &Gateway, listener: &str, path: &str, token: &str) -> Socket {
    connect(with_token(&gateway.url(listener, path), token)).await.unwrap()
}

/// A `.warnings` file beside an example holds what `wsgate check` has to say of it.
#[test]
fn every_example_and_the_shipped_file_compile_without_a_word_that_is_not_expected() {
    let files: Vec<_> = examples().into_iter().chain([package().join("gateway.toml")]).collect();
    assert!(files.len() > 10, "{files:?}");
    for path in files {
        let document = Document::open(path.strip_prefix(package()).unwrap());
        let (gateway, faults) = Snapshot::compile(&document, &Catalog::default(), &Cells::default());
        let expected = fs::read_to_string(path.with_extension("warnings")).unwrap_or_default();
        assert_eq!((gateway.is_some(), render(&document, &faults, false)), (true, expected));
    }
}

#[test]
fn there_is_an_example_of_every_kind_and_no_other() {
    let names: BTreeSet<String> = examples().iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let kinds = STAGES.iter().map(|stage| stage.kind).chain(catalog::ENDPOINTS.iter().map(|endpoint| endpoint.kind));
    assert_eq!(names, kinds.chain(FEATURES).chain(APPLICATIONS).map(str::to_owned).collect());
}

#[tokio::test]
async fn the_shipped_file_echoes_and_greets_who_has_a_token() {
    let gateway = serve("gateway.toml", None);
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(ask(&mut socket, "hello").await, "Server received: hello");

    let url = gateway.url("secure", "/");
    let (status, body) = gateway.refusal(with_token(&url, "nonsense")).await;
    assert!(status == 401 && body.contains("token_invalid"), "{status} {body}");
    let token = minted(&gateway, "jwt.users", &[]);
    let mut socket = greeted(&gateway, "secure", "/", &token).await;
    assert_eq!(next_text(&mut socket).await, "Authenticated!");
    assert_eq!(ask(&mut socket, "it is me").await, "it is me");
    let mut socket = gateway.connect("secure", "/").await;
    assert_eq!(ask(&mut socket, &token).await, "Authenticated!");
    assert!(gateway.folder.path().join("websocket_errors.log").exists());
}

#[tokio::test]
async fn echo_returns_messages_with_and_without_a_prefix() {
    let gateway = example("echo");
    for (path, answer) in [("/", "Server received: hello"), ("/plain", "hello")] {
        assert_eq!(ask(&mut gateway.connect("public", path).await, "hello").await, answer);
    }
}

#[tokio::test]
async fn authenticated_greets_who_has_a_token() {
    let gateway = example("authenticated");
    assert_eq!(gateway.refusal(gateway.url("public", "/")).await.0, 401);
    let mut socket = greeted(&gateway, "public", "/", &minted(&gateway, "jwt.users", &[])).await;
    assert_eq!(next_text(&mut socket).await, "Welcome!");
    assert_eq!(ask(&mut socket, "hello").await, "you said: hello");
}

#[tokio::test]
async fn rate_limit_closes_the_older_session_of_a_user_and_a_connection_that_sends_too_much() {
    let gateway = example("rate_limit");
    let token = minted(&gateway, "jwt.users", &[]);
    let mut older = greeted(&gateway, "public", "/secure/x", &token).await;
    let mut newer = greeted(&gateway, "public", "/secure/x", &token).await;
    assert_eq!(closed(&mut older).await, (1008, "signed in elsewhere".to_owned()));
    assert_eq!(next_text(&mut newer).await, "Authenticated!");
    assert_eq!(ask(&mut newer, "hello").await, "hello");
    let mut socket = gateway.connect("public", "/").await;
    for _ in 0..25 {
        // What is sent into a connection that is being closed may fail.
        _ = futures_util::SinkExt::send(&mut socket, Message::text("x")).await;
    }
    assert_eq!(closed(&mut socket).await, (1008, "too many requests".to_owned()));
}

#[tokio::test]
async fn firewall_denies_and_reports_by_address() {
    let mut gateway = example("firewall");
    for (from, is_in) in [("127.0.0.1", true), ("127.0.0.66", false), ("127.0.1.5", true)] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        let stream = socket.connect(gateway.address("public")).await.unwrap();
        let answer = client_async(gateway.url("public", "/"), MaybeTlsStream::Plain(stream)).await;
        match (is_in, answer) {
            (true, Ok((mut socket, _))) => assert_eq!(ask(&mut socket, "in").await, "in"),
            (false, Err(tungstenite::Error::Http(response))) => assert_eq!(response.status(), 403),
            (_, other) => panic!("{from}: {:?}", other.map(drop)),
        }
    }
    assert_eq!(gateway.event("would_refuse")["ip"], "127.0.1.5");
    let refused: Vec<&Value> = gateway.events().iter().filter(|event| event["event"] == "refused").collect();
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["ip"], &refused[0]["stage"]), (&json!("127.0.0.66"), &json!("firewall.office")));
}

#[tokio::test]
async fn message_lets_pass_what_is_demanded_and_says_so_of_the_rest() {
    let (address, _requests) = backend::echo().await;
    let mut gateway = serve("examples/configs/message.toml", Some(address));
    let said = r#"{"type":"say","room":"lobby","text":"hello","at":"2026-11-30T12:00:00Z"}"#;
    for (bad, code, rule) in [
        (r#"{"type":"say","room":"lobby"}"#, 1007, "schema: the message: \"text\" is a required property"),
        (r#"{"type":"announce","room":"lobby","text":"we close"}"#, 1008, "rules[1] type is \"announce\""),
    ] {
        let mut socket = gateway.connect("public", "/chat").await;
        assert_eq!(ask(&mut socket, said).await, said);
        futures_util::SinkExt::send(&mut socket, Message::text(bad)).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, code);
        drop(socket);
        assert_eq!(gateway.event("close")["rule"], rule);
    }
    let mut socket = gateway.connect("public", "/feed").await;
    assert_eq!(ask(&mut socket, "{}").await, "{}");
    assert_eq!(gateway.event("would_refuse")["rule"], "rules[1] payload.version is missing");
    let told: Value = serde_json::from_str(&ask(&mut socket, "hello").await).unwrap();
    assert_eq!(told["code"], "schema_violation");
    let told: Value = serde_json::from_str(&ask(&mut socket, r#"{"a":1,"a":1}"#).await).unwrap();
    assert_eq!(told["code"], "schema_violation");
    let mut socket = gateway.connect("public", "/audio").await;
    futures_util::SinkExt::send(&mut socket, Message::text("words")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1003);
}

#[tokio::test]
async fn origin_lets_pages_in_by_where_they_come_from() {
    let gateway = example("origin");
    let own = format!("http://{}", gateway.address("public"));
    for (path, origin, is_in) in [
        ("/", Some(&*own), true),
        ("/", Some("https://example.com"), true),
        ("/", Some("https://shop.example.com"), true),
        ("/", Some("https://example.com.evil.net"), false),
        ("/", Some("http://127.0.0.1"), false),
        ("/", Some("null"), false),
        ("/", None, true),
        ("/browsers", Some(&*own), true),
        ("/browsers", Some("https://example.com"), false),
        ("/browsers", None, false),
    ] {
        let headers: Vec<_> = origin.iter().map(|origin| ("origin", *origin)).collect();
        let asked = request(&gateway.url("public", path), &headers);
        if is_in {
            assert_eq!(ask(&mut connect(asked).await.unwrap(), "in").await, "in", "{path} from {origin:?}");
        } else {
            let (status, body) = gateway.refusal(asked).await;
            assert!(status == 403 && body.contains("origin_denied"), "{path} from {origin:?}: {status} {body}");
        }
    }
}

#[tokio::test]
async fn headers_tells_the_backend_what_it_should_know_and_no_more() {
    let (address, mut requests) = backend::echo().await;
    let gateway = serve("examples/configs/headers.toml", Some(address));
    let mut asked = with_token(&gateway.url("public", "/t/acme/chat"), &minted(&gateway, "jwt.users", &[]));
    for (name, value) in [("x-user", "root"), ("x-role", "admin"), ("cookie", "a=b"), ("user-agent", "test"), ("accept-language", "de")] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(ask(&mut connect(asked).await.unwrap(), "through").await, "through");
    let seen = requests.recv().await.unwrap();
    for (name, value) in [
        ("x-user", Some("alice")),
        ("x-session", Some("alice@acme from 127.0.0.1")),
        ("x-route", Some("tenants")),
        ("x-role", None),
        ("cookie", None),
        ("user-agent", None),
        ("accept-language", Some("de")),
    ] {
        assert_eq!(seen.headers().get(name).map(|value| value.to_str().unwrap()), value, "{name}");
    }
}

#[tokio::test]
async fn revoked_refuses_whom_a_table_or_a_file_names() {
    let mut gateway = example("revoked");
    for (sub, claim, rule) in [
        ("mallory", "jti=1", "sub[0] mallory"),
        ("bob", "jti=1", "sub[1] bob (on leave)"),
        ("alice", "jti=4f1c9b20", "files[0] revoked.txt:2 jti 4f1c9b20 (stolen laptop)"),
    ] {
        let token = minted(&gateway, "jwt.users", &["--claim", &format!("sub={sub}"), "--claim", claim]);
        let (status, body) = gateway.refusal(with_token(&gateway.url("public", "/"), &token)).await;
        assert!(status == 403 && body.contains("revoked") && !body.contains(sub), "{sub}: {status} {body}");
        let event = gateway.event("refused");
        assert_eq!((&event["stage"], &event["rule"]), (&json!("revoked.sessions"), &json!(rule)));
    }
    let mut socket = greeted(&gateway, "public", "/", &minted(&gateway, "jwt.users", &[])).await;
    assert_eq!(next_text(&mut socket).await, "Authenticated!");
}

#[tokio::test]
async fn jwt_takes_tokens_of_its_issuer_from_two_sources() {
    let gateway = example("jwt");
    let good = minted(&gateway, "jwt.users", &[]);
    let mut socket = greeted(&gateway, "public", "/", &good).await;
    assert_eq!(next_text(&mut socket).await, "Authenticated!");
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(ask(&mut socket, &good).await, "Authenticated!");
    for claim in ["iss=https://other.example.com", "aud=other"] {
        let bad = minted(&gateway, "jwt.users", &["--claim", claim]);
        assert_eq!(gateway.refusal(with_token(&gateway.url("public", "/"), &bad)).await.0, 401, "{claim}");
    }
    assert_eq!(gateway.refusal(with_token(&gateway.url("public", "/partners/x"), &good)).await.0, 401);
}

#[tokio::test]
async fn errors_tells_a_browser_what_it_could_not_read_otherwise() {
    let gateway = example("errors");
    let mut socket = gateway.connect("public", "/").await;
    let told: Value = serde_json::from_str(&next_text(&mut socket).await).unwrap();
    assert_eq!(told, json!({ "type": "error", "id": "token_missing", "message": "please sign in" }));
    assert_eq!(closed(&mut socket).await, (4401, "please sign in".to_owned()));
}

#[tokio::test]
async fn upstream_relays_below_its_prefix_and_to_a_url() {
    let (address, mut requests) = backend::echo().await;
    let gateway = serve("examples/configs/upstream.toml", Some(address));
    for (path, seen) in [("/chat/lobby?a=1", "/lobby?a=1"), ("/chat", "/"), ("/direct/x", "/direct/x")] {
        let mut socket = gateway.connect("public", path).await;
        assert_eq!(ask(&mut socket, "through").await, "through");
        assert_eq!(requests.recv().await.unwrap().uri(), seen, "{path}");
    }
    for _ in 0..3 {
        assert_eq!(ask(&mut gateway.connect("public", "/rooms/lobby?room=1").await, "not to who drains").await, "not to who drains");
        assert_eq!(requests.recv().await.unwrap().uri(), "/rooms/lobby?room=1");
    }
    let (mut socket, response) =
        tokio_tungstenite::connect_async(request(&gateway.url("public", "/chat"), &[("sec-websocket-protocol", "other, chat.v1")]))
            .await
            .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    futures_util::SinkExt::send(&mut socket, Message::text("x".repeat(65 << 10))).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1009);
}

/// What `wsgate connect` with these arguments says to this, within the folder of a gateway.
fn says(gateway: &Gateway, path: &str, more: &[&str], text: &str) -> String {
    let url = gateway.url("public", path).replace("ws://", "wss://");
    let mut connecting = command(gateway.folder.path());
    connecting.args(["connect", &url, "--quiet", "--ca", "trial-ca.pem"]).args(more).stdin(Stdio::piped());
    let mut running = connecting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    let done = running.wait_with_output().unwrap();
    String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_ends_at_the_gateway_and_begins_again() {
    let gateway = example("tls");
    assert_eq!(says(&gateway, "/", &[], "hello"), "hello\n");
    // Nobody is there; what is asked of it is TLS, as `tests/tls` has it with somebody.
    assert!(says(&gateway, "/chat/x", &[], "hello").contains("502 Bad Gateway"));
}

#[tokio::test]
async fn http2_carries_sockets_and_requests_on_one_connection_and_only_where_it_is_spoken() {
    let gateway = example("http2");
    let mut client = h2::Client::to(gateway.address("plain")).await;
    let mut sockets = [client.socket("/a", &[]).await, client.socket("/b", &[]).await];
    for socket in &mut sockets {
        assert_eq!(ask(socket, "hello").await, "hello");
    }
    assert_eq!(client.answer(http::Method::GET, "/health/livez", &[]).await.0, 200);
    // Nobody is there to answer either.
    assert_eq!(client.answer(http::Method::GET, "/app/page", &[]).await.0, 502);
    assert_eq!(client.refusal("/app/socket", &[]).await.0, 502);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert!(raw::exchange(gateway.address("devices"), preface).await.starts_with("HTTP/1.1 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn client_cert_lets_in_whom_it_names_and_a_token_where_that_will_do() {
    let gateway = example("client_cert");
    let alice = ["--cert", "trial-client.pem", "--key", "trial-client.key"];
    assert_eq!(says(&gateway, "/services/x", &alice, "hello"), "Authenticated!\nhello\n");
    let refused = says(&gateway, "/services/x", &[], "hello");
    assert!(refused.contains("403 Forbidden: certificate required (certificate_missing)"), "{refused}");
    let token = minted(&gateway, "jwt.users", &[]);
    assert_eq!(says(&gateway, "/either/x", &["--token", &token], "hello"), "Authenticated!\nhello\n");
    assert_eq!(says(&gateway, "/either/x", &alice, "hello"), "Authenticated!\nhello\n");
}

#[tokio::test]
async fn health_is_ready_until_the_gateway_is_asked_to_stop() {
    let mut gateway = serve("examples/configs/health.toml", Some(backend::echo().await.0));
    let probe = |listener: &str, path: &str| {
        let address = gateway.address(listener);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        async move { raw::exchange(address, request.as_bytes()).await }
    };
    for (listener, path, status) in
        [("probes", "/readyz", 200), ("probes", "/livez", 200), ("public", "/health/readyz", 200), ("public", "/health", 404)]
    {
        let answer = probe(listener, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    gateway.signal("TERM");
    gateway.event("stopping");
    assert!(raw::exchange(gateway.address("probes"), b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await.ends_with("\r\n\r\ndraining\n"));
    assert_eq!(ask(&mut gateway.connect("public", "/").await, "still in").await, "still in");
}

#[tokio::test]
async fn forward_claims_tells_the_backend_who_it_is() {
    let (address, mut requests) = backend::echo().await;
    let gateway = serve("examples/configs/forward_claims.toml", Some(address));
    let token = minted(&gateway, "jwt.users", &["--claim", "tenant=acme"]);
    let mut asked = with_token(&gateway.url("public", "/"), &token);
    asked.headers_mut().insert("x-user", "root".parse().unwrap());
    let mut socket = connect(asked).await.unwrap();
    assert_eq!(ask(&mut socket, "through").await, "through");
    let seen = requests.recv().await.unwrap();
    assert_eq!(seen.headers().get_all("x-user").iter().collect::<Vec<_>>(), ["alice"]);
    assert_eq!(seen.headers()["x-tenant"], "acme");
    assert!(!seen.headers().contains_key("authorization"));
}

#[tokio::test]
async fn token_sources_takes_a_token_from_each_place_and_passes_it_on_from_none() {
    let (address, mut requests) = backend::echo().await;
    let gateway = serve("examples/configs/token_sources.toml", Some(address));
    let token = minted(&gateway, "jwt.users", &[]);
    let (url, with_query) = (gateway.url("public", "/"), gateway.url("public", &format!("/?token={token}")));
    let (bearer, cookie, offer) = (format!("Bearer {token}"), format!("session={token}"), format!("bearer, {token}, chat"));
    for asked in [
        request(&url, &[("authorization", &bearer)]),
        request(&with_query, &[]),
        request(&url, &[("cookie", &cookie)]),
        request(&url, &[("sec-websocket-protocol", &offer)]),
    ] {
        assert_eq!(ask(&mut connect(asked).await.unwrap(), "in").await, "in");
        let seen = requests.recv().await.unwrap();
        assert!(!format!("{seen:?}").contains(&token), "{seen:?}");
    }
    let first = json!({ "type": "connection_init", "payload": { "token": token } }).to_string();
    assert_eq!(ask(&mut gateway.connect("public", "/").await, &first).await, first);
    assert_eq!(gateway.refusal(request(&url, &[("cookie", &cookie), ("origin", "https://evil.example")])).await.0, 403);
}

#[tokio::test]
async fn key_sets_keep_everybody_waiting_who_cannot_be_judged_and_call_nobody_s_token_bad() {
    let gateway = example("key_sets");
    let key = fs::read(package().join("tests/keys/p256.pem")).unwrap();
    let key = jsonwebtoken::EncodingKey::from_ec_pem(&key).unwrap();
    let header = jsonwebtoken::Header { kid: Some("2026-a".to_owned()), ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256) };
    for (path, iss, status) in [
        ("/", "https://login.example.com/realms/main", Some(503)),
        ("/local/x", "https://other.example.com", Some(401)),
        ("/local/x", "https://local.example.com", None),
    ] {
        let token = jsonwebtoken::encode(&header, &json!({ "iss": iss, "sub": "alice", "exp": support::now() + 60 }), &key).unwrap();
        let asked = with_token(&gateway.url("public", path), &token);
        match status {
            Some(status) => assert_eq!(gateway.refusal(asked).await.0, status, "{iss}"),
            None => assert_eq!(next_text(&mut connect(asked).await.unwrap()).await, "Authenticated!"),
        }
    }
}

#[tokio::test]
async fn renewal_takes_a_newer_token_in_a_message_and_with_a_ticket() {
    let mut gateway = example("renewal");
    let [first, newer] = [(); 2].map(|()| minted(&gateway, "jwt.users", &[]));
    let ticket = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut socket = greeted(&gateway, "public", &format!("/?wsgate_ticket={ticket}"), &first).await;
    let answer = ask(&mut socket, &json!({ "type": "auth", "token": newer }).to_string()).await;
    assert!(answer.starts_with(r#"{"type":"auth_ok","seconds":3"#), "{answer}");
    let answer = ask(&mut socket, r#"{"type":"auth","token":"x"}"#).await;
    assert_eq!(answer, r#"{"type":"auth_failed","error":"token_invalid"}"#);
    let request =
        format!("POST /.well-known/wsgate/renew HTTP/1.1\r\nHost: a\r\nX-Wsgate-Ticket: {ticket}\r\nAuthorization: Bearer {newer}\r\n\r\n");
    let answer = raw::exchange(gateway.address("public"), request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    for how in ["message", "ticket"] {
        assert_eq!(gateway.event("renewed")["how"], how);
    }
}

#[tokio::test]
async fn pipeline_lets_in_by_either_way() {
    let gateway = example("pipeline");
    for path in ["/", "/chat/x"] {
        let mut socket = greeted(&gateway, "public", path, &minted(&gateway, "jwt.services", &[])).await;
        assert_eq!(next_text(&mut socket).await, "Authenticated!");
        let mut socket = gateway.connect("public", path).await;
        assert_eq!(ask(&mut socket, &minted(&gateway, "jwt.browsers", &[])).await, "Authenticated!");
        // A bad credential is not rescued by the other way.
        assert_eq!(gateway.refusal(with_token(&gateway.url("public", path), &minted(&gateway, "jwt.browsers", &[]))).await.0, 401);
    }
}

#[tokio::test]
async fn log_writes_a_route_s_connections_and_what_went_wrong_to_files() {
    let mut gateway = example("log");
    for path in ["/chat", "/other"] {
        let mut socket = gateway.connect("public", path).await;
        assert_eq!(ask(&mut socket, "hello").await, "hello");
    }
    assert_eq!(gateway.refusal("ws://".to_owned() + &gateway.address("public").to_string() + "/../x").await.0, 400);
    gateway.event("refused");
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let read = |name: &str| fs::read_to_string(gateway.folder.path().join(name)).unwrap();
    let lines: Vec<Value> = read("chat.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["event"]).collect::<Vec<_>>(), ["open", "close"]);
    assert!(lines.iter().all(|line| line["route"] == "chat" && line["connection"] == lines[0]["connection"]), "{lines:?}");
    let errors = read("errors.log");
    assert!(errors.lines().count() >= 1 && errors.contains(" WARN refused ") && !errors.contains(" INFO "), "{errors}");
}

#[tokio::test]
async fn metrics_serves_what_its_connections_did() {
    let gateway = example("metrics");
    assert_eq!(ask(&mut gateway.connect("public", "/").await, "hello").await, "hello");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page = raw::exchange(gateway.address("metrics.local"), request.as_bytes()).await;
    assert!(page.contains("\nwsgate_messages_total{route=\"echo\",from=\"client\"} 1\n"), "{page}");
}

#[tokio::test]
async fn gateway_sets_what_a_route_does_not() {
    let gateway = example("gateway");
    for (path, code) in [("/", Some(1009)), ("/upload", None)] {
        let mut socket = gateway.connect("public", path).await;
        let message = "x".repeat(5 << 10);
        match code {
            Some(code) => {
                futures_util::SinkExt::send(&mut socket, Message::text(message)).await.unwrap();
                assert_eq!(closed(&mut socket).await.0, code);
            }
            None => assert_eq!(ask(&mut socket, &message).await, message),
        }
    }
}

#[tokio::test]
async fn listener_leads_to_its_own_routes_alone() {
    let gateway = example("listener");
    for (listener, path, answer) in
        [("public", "/", "x"), ("public", "/admin/", "x"), ("inside", "/", "x"), ("inside", "/admin/", "admin: x")]
    {
        assert_eq!(ask(&mut gateway.connect(listener, path).await, "x").await, answer, "{listener}{path}");
    }
    let many = (0..41).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    assert!(raw::exchange(gateway.address("public"), head.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn route_leads_to_its_backend_within_its_limits() {
    let gateway = serve("examples/configs/route.toml", Some(backend::echo().await.0));
    let offer = request(&gateway.url("public", "/chat/lobby"), &[("sec-websocket-protocol", "other, chat.v1")]);
    let (mut socket, response) = tokio_tungstenite::connect_async(offer).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    futures_util::SinkExt::send(&mut socket, Message::text("x".repeat(65 << 10))).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1009);
    assert_eq!(ask(&mut gateway.connect("public", "/ticker").await, "x").await, "x");
    assert_eq!(gateway.refusal(request(&gateway.url("public", "/chat"), &[("origin", "https://evil.example")])).await.0, 403);
}

#[tokio::test]
async fn hosts_are_matched_the_exact_one_first() {
    let gateway = example("hosts");
    for (host, answer) in [
        ("chat.localhost", "chat: x"),
        ("CHAT.example.com:8765", "chat: x"),
        ("a.b.example.com", "below: x"),
        ("example.com", "any: x"),
        ("127.0.0.1", "any: x"),
    ] {
        assert_eq!(asked_of(&gateway, host, "/").await, answer, "{host}");
    }
}

#[tokio::test]
async fn ordinary_requests_go_where_sockets_go_and_only_where_the_route_passes_them() {
    let backend = backend::scripted(|mut stream| async move {
        let head = backend::read_head(&mut stream).await;
        let answer = if head.contains("pgrade: websocket") { backend::switching(&head) } else { "HTTP/1.1 204 No Content\r\n\r\n".into() };
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let gateway = serve("examples/configs/http.toml", Some(backend.await));
    for (request, status) in [("GET /app/hello", 204), ("POST /app/poll", 204), ("GET /chat", 426)] {
        let answer =
            raw::exchange(gateway.address("public"), format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
                .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert_eq!(answer.contains("Set-Cookie: node="), status == 204, "{answer}");
    }
    raw::upgraded(gateway.address("public"), "/app/socket").await;
}

#[tokio::test]
async fn segments_are_matched_the_written_one_first() {
    let gateway = example("segments");
    for (host, path, answer) in [
        ("localhost", "/t/acme/chat", "a tenant's: x"),
        ("localhost", "/t/acme/chat/blue/1", "a tenant's: x"),
        ("localhost", "/t/acme/chat/lobby", "the lobby: x"),
        ("acme.example.com", "/chat/x", "a tenant's own host: x"),
    ] {
        assert_eq!(asked_of(&gateway, host, path).await, answer, "{host}{path}");
    }
    assert_eq!(gateway.refusal(gateway.url("public", "/t/acme")).await.0, 404);
}

#[tokio::test]
async fn test_says_what_connections_come_to() {
    let gateway = example("test");
    let claims = |issuer: &str| minted(&gateway, "jwt.users", &["--claim", &format!("iss={issuer}")]);
    let mut socket = greeted(&gateway, "public", "/chat/lobby", &claims("https://id.example.com")).await;
    assert_eq!(next_text(&mut socket).await, "Authenticated!");
    let elsewhere = with_token(&gateway.url("public", "/chat"), &claims("https://other.example.com"));
    assert_eq!(gateway.refusal(elsewhere).await.0, 401);
    assert_eq!(ask(&mut gateway.connect("public", "/chatter").await, "open").await, "open");
    let checked = command(gateway.folder.path()).arg("check").output().unwrap();
    assert!(String::from_utf8(checked.stdout).unwrap().ends_with("2 routes, 5 tests passed\n"));
}

/// What the route of this host and path answers to `x`.
async fn asked_of(gateway: &Gateway, host: &str, path: &str) -> String {
    let mut request = gateway.url("public", path).into_client_request().unwrap();
    request.headers_mut().insert("host", host.parse().unwrap());
    ask(&mut connect(request).await.unwrap(), "x").await
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_share() {
    let mut gateway = example("behind_a_proxy");
    let url = gateway.url("public", "/");
    let through = |line: &str| request(&url, &[("x-forwarded-for", line)]);
    for _ in 0..3 {
        assert_eq!(ask(&mut connect(through("1.1.1.1, 192.0.2.7")).await.unwrap(), "x").await, "x");
    }
    assert_eq!(gateway.refusal(through("192.0.2.7")).await.0, 429);
    let event = gateway.event("refused");
    assert!(event["ip"] == "192.0.2.7" && event["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{event}");
    assert_eq!(ask(&mut connect(through("192.0.2.8")).await.unwrap(), "x").await, "x");

    for (edge, line, status) in
        [("198.51.100.20", "192.0.2.9", "101"), ("198.51.100.20", "192.0.2.7", "429"), ("192.0.2.7", "192.0.2.9", "429")]
    {
        let begins = format!("PROXY TCP4 {edge} 127.0.0.1 50000 8888\r\n");
        let mut stream = tokio::net::TcpStream::connect(gateway.address("balanced")).await.unwrap();
        let bytes = begins + &raw::upgrade("/", &format!("CF-Connecting-IP: {line}\r\n"));
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes.as_bytes()).await.unwrap();
        let head = backend::read_head(&mut stream).await;
        assert_eq!(head.split(' ').nth(1), Some(status), "{line} through {edge}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_lets_in_programs_by_keys_and_people_by_tokens() {
    let gateway = example("api_key");
    let says = |path: &str, header: &str| {
        let mut connecting = command(gateway.folder.path());
        connecting.args(["connect", &gateway.url("public", path), "--quiet", "--header", header]).stdin(Stdio::piped());
        let mut running = connecting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(b"hello\n").unwrap();
        let done = running.wait_with_output().unwrap();
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    for key in ["for-local-trials-only-ci", "for-local-trials-only-reader", "wsg_backup_for-local-trials-only"] {
        assert_eq!(says("/", &format!("X-API-Key: {key}")), "Authenticated!\nhello\n", "{key}");
    }
    let refused = says("/", "X-API-Key: wsg_backup_for-local-trials-onlY");
    assert!(refused.contains("401 Unauthorized: Invalid token (token_invalid)"), "{refused}");
    let token = minted(&gateway, "jwt.users", &[]);
    assert_eq!(says("/either/x", &format!("Authorization: Bearer {token}")), "Authenticated!\nhello\n");
}

#[tokio::test]
async fn authorize_lets_in_who_belongs_there() {
    let gateway = example("authorize");
    for (path, claims, status) in [
        ("/t/other/chat", vec!["org={\"id\":\"acme\"}"], 403),
        ("/t/acme/admin", vec!["org={\"id\":\"acme\"}"], 403),
        ("/chat", vec!["scope=chat:read"], 403),
    ] {
        let claims: Vec<&str> = claims.iter().flat_map(|claim| ["--claim", claim]).collect();
        let bearer = format!("Authorization: Bearer {}\r\n", minted(&gateway, "jwt.users", &claims));
        let answer = raw::exchange(gateway.address("public"), raw::upgrade(path, &bearer).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {claims:?}: {answer}");
    }
    for (path, claims) in [
        ("/t/acme/chat", &["--claim", "org={\"id\":\"acme\"}"][..]),
        ("/t/acme/admin/x", &["--claim", "org={\"id\":\"acme\"}", "--claim", "role=ops"]),
        ("/chat", &["--claim", "scope=chat:read chat:write"]),
    ] {
        let mut socket = greeted(&gateway, "public", path, &minted(&gateway, "jwt.users", claims)).await;
        assert_eq!(next_text(&mut socket).await, "Authenticated!", "{path}");
    }
}
