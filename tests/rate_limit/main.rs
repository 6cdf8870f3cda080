//! Limits over real sockets, each with several connections. Rates are so low that nothing comes back while a test runs: no test
//! depends on how long it takes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod keys;
mod replacing;
mod traffic;

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use support::{Gateway, SECRET, Socket, token};
use tokio::net::TcpSocket;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const PUBLIC: &str = "[listener.public]\naddress = \"127.0.0.1:0\"\n[gateway.route]\nclose_timeout = \"200ms\"\n";

/// Who connects, and from where: loopback has many addresses.
#[derive(Clone, Copy)]
struct Who {
    ip: &'static str,
    path: &'static str,
    user: &'static str,
    tenant: &'static str,
}

const ALICE: Who = Who { ip: "127.0.0.1", path: "/", user: "alice", tenant: "acme" };

async fn connect(gateway: &Gateway, who: Who) -> Result<Socket, tungstenite::Error> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(who.ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
    let stream = support::in_time(socket.connect(gateway.address("public"))).await.unwrap();
    let mut request = gateway.url("public", who.path).into_client_request().unwrap();
    let headers = request.headers_mut();
    let claims = json!({ "sub": who.user, "exp": support::now() + 600, "team": { "id": who.tenant } });
    headers.insert("authorization", format!("Bearer {}", token(&claims)).parse().unwrap());
    headers.insert("x-tenant", who.tenant.parse().unwrap());
    support::in_time(tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(stream))).await.map(|(socket, _)| socket)
}

/// The stage that knows who [`connect`] says it is.
fn guard() -> String {
    format!("[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n")
}

/// The status, and the seconds of `Retry-After`, of a client that is turned away.
async fn refused(gateway: &Gateway, who: Who) -> (u16, Option<u64>) {
    match connect(gateway, who).await {
        Err(tungstenite::Error::Http(response)) => {
            let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            (response.status().as_u16(), after)
        }
        Err(error) => panic!("not refused but: {error}"),
        Ok(_) => panic!("let in"),
    }
}

/// Who decided, by which row and rule.
fn decided(event: &Value) -> Value {
    json!(["outcome", "stage", "rule"].map(|field| &event[field]))
}
