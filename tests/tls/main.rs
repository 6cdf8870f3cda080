//! TLS over real sockets, on both sides of the gateway.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod clients;
mod endings;
mod handshakes;
mod hostile;
mod identity;
mod names;
mod reloads;
mod resumed;
mod servers;
mod tools;
mod traffic;

use std::path::Path;

use certificates::{Authority, Issued};
use support::Gateway;
use tempfile::TempDir;

/// What every request here asks for; over which TLS, the test knows.
const URL: &str = "wss://localhost/echo";

/// A listener with this TLS and a route to an echo, and further tables. Edits take hold at once, and when the test says so.
fn listening(tls: &str, more: &str) -> String {
    format!(
        "[gateway]\nreload = {{ watch = false, spread = \"1ms\", rate = \"10000/s\" }}\n\
         [listener.public]\naddress = \"127.0.0.1:0\"\n{tls}\n[route.echo]\npath = \"/echo\"\nendpoint = \"echo\"\n{more}"
    )
}

/// Runs this file where `server.pem` and `server.key` are for localhost, and `ca.pem` is the authority's.
fn run(authority: &Authority, config: &str) -> Gateway {
    let folder = folder(authority);
    Gateway::run_in(folder, config)
}

fn folder(authority: &Authority) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
    write(folder.path(), "ca.pem", &authority.pem());
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// The key of a listener that shows `server.pem`.
const SERVER: &str = "tls = { cert = \"server.pem\", key = \"server.key\" }";

/// The same, where clients are asked for certificates of `ca.pem`: `"require"` or `"request"`.
fn asking(client_auth: &str) -> String {
    format!("tls = {{ cert = \"server.pem\", key = \"server.key\", client_ca = \"ca.pem\", client_auth = \"{client_auth}\" }}")
}

/// The first digits of a certificate's fingerprint, as OpenSSL and the log have them.
fn fingerprint(issued: &Issued) -> String {
    let read = wsgate::stage::certificate::Certificate::read(&[issued.der()]).unwrap();
    read.fingerprint.to_string()
}
