//! Who a client is, and whether that will do, over real sockets: attacks, each with what it is told, and what edits mean for those who
//! are in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod edits;
mod first_messages;
mod forged;
mod keys;
mod requests;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Gateway, SECRET, backend, raw};
use tokio::io::AsyncWriteExt;

/// Keys of tests, of which the gateway has the public halves.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

/// The lines of keys, and the keys: of high entropy, one that has expired, and one that somebody might guess.
const GOOD_KEY: &str = "wsg_goxjpvoa_aqthedxzxuocedngegltvi54vepucnj5xqm4zzmqlfdsog6amdeqkkbgao";
const OVER_KEY: &str = "an-api-key-that-was-good-until-2020";
const SLOW_KEY: &str = "wsg_backup_for-local-trials-only";

/// A backend that takes whoever comes, and counts them.
async fn counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let address = backend::scripted(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let head = backend::read_head(&mut stream).await;
            _ = stream.write_all(backend::switching(&head).as_bytes()).await;
            raw::rest(&mut stream).await;
        }
    })
    .await;
    (address, count)
}

/// A gateway with a route for each way to be known.
fn gateway(backend: SocketAddr) -> Gateway {
    let stages = format!(
        r#"
        [gateway]
        reload = {{ watch = false, spread = "1ms", rate = "10000/s" }}
        [listener.public]
        address = "127.0.0.1:0"
        [jwt.shared]
        algorithms = "HS256"
        secret     = {{ env = "NOBODY_SETS_THIS", default = "{SECRET}" }}
        issuer     = "https://id.example.com"
        audience   = "chat"
        leeway     = "off"
        sources    = ["header", "query:token", "cookie:session", "subprotocol:bearer"]
        [jwt.rsa]
        algorithms = "RS256"
        key        = [{{ file = "{KEYS}/rsa.jwk.json" }}, {{ file = "{KEYS}/rsa-next.jwk.json" }}]
        [jwt.mixed]
        algorithms = ["RS256", "HS256", "ES256", "EdDSA"]
        key        = [{{ file = "{KEYS}/rsa.pub.pem" }}, {{ file = "{KEYS}/p256.pub.pem" }}, {{ file = "{KEYS}/ed25519.pub.pem" }}]
        secret     = {{ env = "NOBODY_SETS_THIS", default = "{SECRET}" }}
        [jwt.first]
        algorithms    = "HS256"
        secret        = {{ env = "NOBODY_SETS_THIS", default = "{SECRET}" }}
        sources       = "first_message"
        first_message = {{ timeout = "10s", max = "1KiB" }}
        [jwt.hurried]
        algorithms    = "HS256"
        secret        = {{ env = "NOBODY_SETS_THIS", default = "{SECRET}" }}
        sources       = "first_message"
        first_message = {{ timeout = "100ms" }}
        [api_key.bots]
        keys = [
            {{ name = "ci-bot", sha256 = "{}", scopes = ["deploy"] }},
            {{ name = "over", sha256 = "{}", expires = 2020-01-01T00:00:00Z }},
        ]
        files = "{KEYS}/api-keys.txt"
        [authorize.members]
        require = {{ "org.id" = "{{path.tenant}}", role = ["admin", "ops"] }}
        [authorize.writers]
        scopes = "chat:write"
        [authorize.admins]
        when    = {{ path = "/guarded/admin/*" }}
        require = {{ role = "admin" }}
        [authorize.operators]
        when    = {{ subprotocol = "admin.v1" }}
        require = {{ role = "admin" }}
        [origin.pages]
        allow = "https://app.example.com"
        [firewall.office]
        allow = "192.0.2.0/24"
        [client_cert.devices]
        "#,
        sha256(GOOD_KEY),
        sha256(OVER_KEY),
    );
    Gateway::run(&(stages + &routes(backend)))
}

/// The routes, each with its pipeline.
fn routes(backend: SocketAddr) -> String {
    [
        ("shared", "/shared", "\"jwt.shared\""),
        ("rsa", "/rsa", "\"jwt.rsa\""),
        ("mixed", "/mixed", "\"jwt.mixed\""),
        ("first", "/first", "\"jwt.first\""),
        ("hurried", "/hurried", "\"jwt.hurried\""),
        ("keys", "/keys", "\"api_key.bots\""),
        ("either", "/either", "[\"api_key.bots\", \"jwt.mixed\"]"),
        ("tenant", "/t/{tenant}/*", "\"jwt.mixed\", \"authorize.members\""),
        ("writers", "/writers", "[\"api_key.bots\", \"jwt.mixed\"], \"authorize.writers\""),
        ("guarded", "/guarded/*", "\"jwt.mixed\", \"authorize.admins\", \"authorize.operators\""),
        ("pages", "/pages", "\"origin.pages\""),
        ("office", "/office", "\"firewall.office\""),
        ("devices", "/devices", "\"client_cert.devices\""),
    ]
    .map(|(name, path, stages)| format!("[route.{name}]\npath = \"{path}\"\npipeline = [{stages}]\nendpoint = \"ws://{backend}\"\n"))
    .concat()
}

/// The SHA-256 of a key, as `wsgate key hash` prints it.
fn sha256(key: &str) -> String {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut command = support::command(folder.path());
    command.args(["key", "hash", "--name", "x"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    let printed = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
    printed.split("sha256 = \"").nth(1).unwrap()[..64].to_owned()
}
