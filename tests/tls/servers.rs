//! Backends over TLS, and what is wrong with some of them.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::{Authority, expired, server};
use super::support::{Gateway, ask, backend, command};
use super::{folder, listening, write};

/// An echo over TLS.
pub(crate) async fn over_tls(config: Arc<ServerConfig>) -> SocketAddr {
    scripted(config, |stream| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// A server that upgrades over TLS, and whose every connection runs `script` then.
pub(crate) async fn upgraded_over_tls<F>(
    config: Arc<ServerConfig>,
    script: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    scripted(config, move |mut stream| {
        let script = script.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(backend::switching(&String::from_utf8(head).unwrap()).as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            script(stream).await;
        }
    })
    .await
}

async fn scripted<F>(config: Arc<ServerConfig>, script: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, script) = (TlsAcceptor::from(config.clone()), script.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    script(stream).await;
                }
            });
        }
    });
    address
}

/// The tables of a route to this upstream.
fn routed(servers: &str, more: &str) -> String {
    format!("[upstream.up]\nservers = {servers}\n{more}\n[route.up]\npath = \"/up\"\nendpoint = \"upstream.up\"\n")
}

/// Runs a gateway before this server, with these keys, where `client.pem` is a client's certificate.
fn before(authority: &Authority, server: SocketAddr, keys: &str) -> Gateway {
    let folder = folder(authority);
    authority.issue_to("gateway").write(folder.path(), "client");
    let config = listening("", &routed(&format!("\"wss://{server}\""), keys));
    Gateway::run_in(folder, &config)
}

const CA: &str = "tls = { ca = \"ca.pem\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_over_tls_that_proves_who_it_is() {
    let authority = Authority::new("ca");
    let by_address = over_tls(server(&authority.issue(&["127.0.0.1"]), None)).await;
    let by_name = over_tls(server(&authority.issue(&["chat.internal"]), None)).await;
    let asking = over_tls(server(&authority.issue(&["127.0.0.1"]), Some(&authority))).await;
    for (server, keys) in [
        (by_address, CA),
        (by_name, "tls = { ca = \"ca.pem\", server_name = \"chat.internal\" }"),
        (asking, "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }"),
    ] {
        let mut gateway = before(&authority, server, keys);
        let mut socket = gateway.connect("public", "/up").await;
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        assert_eq!(gateway.event("open")["upstream"], format!("wss://{server}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_is_refused_and_the_log_says_why() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("another"));
    let local = authority.issue(&["127.0.0.1"]);
    let asking = over_tls(server(&local, Some(&authority))).await;
    let plain = backend::scripted(|mut stream| async move {
        // It has seen enough with the first byte, and says so in its own language.
        _ = stream.read_u8().await;
        _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let rows = [
        (
            over_tls(server(&authority.issue(&["a.internal", "b.internal"]), None)).await,
            "TLS: its certificate is for a.internal, b.internal, not for 127.0.0.1",
        ),
        (over_tls(server(&stranger.issue(&["127.0.0.1"]), None)).await, "TLS: its certificate's issuer is not trusted"),
        (over_tls(server(&authority.issue_as(expired), None)).await, "TLS: its certificate has expired"),
        (asking, "TLS: it asks for a certificate of ours (alert CertificateRequired)"),
        (plain, "TLS: what it sends is not TLS"),
    ];
    for (server, detail) in rows {
        let mut gateway = before(&authority, server, CA);
        let (status, _) = gateway.refusal(gateway.url("public", "/up")).await;
        let event = gateway.event("refused");
        assert_eq!((status, &event["outcome"]), (502, &json!("upstream_refused")), "{detail}: {event}");
        assert_eq!(event["rule"], format!("wss://{server}: {detail}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_so_is_passed_over_and_rests() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("another"));
    let bad = over_tls(server(&stranger.issue(&["127.0.0.1"]), None)).await;
    let good = over_tls(server(&authority.issue(&["127.0.0.1"]), None)).await;
    let config = listening("", &routed(&format!("[\"wss://{bad}\", \"wss://{good}\"]"), &format!("{CA}\nbalance = \"round_robin\"")));
    let mut gateway = Gateway::run_in(folder(&authority), &config);
    for _ in 0..6 {
        let mut socket = gateway.connect("public", "/up").await;
        assert_eq!(ask(&mut socket, "hello").await, "hello");
    }
    let failed = gateway.event("upstream_failed");
    assert_eq!(
        (&failed["outcome"], &failed["detail"]),
        (&json!("upstream_refused"), &json!("TLS: its certificate's issuer is not trusted"))
    );
    assert_eq!(gateway.event("upstream_resting")["server"], format!("wss://{bad}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_does_not_come_about_in_time_is_no_connection() {
    let authority = Authority::new("ca");
    let silent = backend::scripted(|mut stream| async move { _ = stream.read_to_end(&mut Vec::new()).await }).await;
    let mut gateway = before(&authority, silent, &format!("{CA}\nconnect_timeout = \"200ms\"\ntries = 1"));
    assert_eq!(gateway.refusal(gateway.url("public", "/up")).await.0, 504);
    assert_eq!(gateway.event("refused")["outcome"], "upstream_timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_the_client_before_tls_begins() {
    let authority = Authority::new("ca");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let acceptor = TlsAcceptor::from(server(&authority.issue(&["127.0.0.1"]), None));
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n") {
            header.push(tcp.read_u8().await.unwrap());
        }
        let mut socket = tokio_tungstenite::accept_async(acceptor.accept(tcp).await.unwrap()).await.unwrap();
        let message = socket.next().await.unwrap().unwrap();
        socket.send(message).await.unwrap();
        String::from_utf8(header).unwrap()
    });
    let gateway = before(&authority, address, &format!("{CA}\nproxy_protocol = \"v1\""));
    let mut socket = gateway.connect("public", "/up").await;
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert!(seen.await.unwrap().starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_more_is_taken_in_and_nobody_has_to_move() {
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let old = over_tls(server(&authority.issue(&["127.0.0.1"]), None)).await;
    let mut gateway = before(&authority, old, CA);
    let mut socket = gateway.connect("public", "/up").await;
    assert_eq!(ask(&mut socket, "before").await, "before");
    write(gateway.folder.path(), "ca.pem", &next.pem());
    let config = listening("", &routed(&format!("\"wss://{old}\""), CA));
    let came = gateway.reload(&config);
    assert_eq!((&came["changed"], &came["connections_closed"]), (&json!("route.up, upstream.up"), &json!(0)), "{came}");
    assert_eq!(ask(&mut socket, "after").await, "after");
    assert_eq!(gateway.refusal(gateway.url("public", "/up")).await.0, 502);
}

#[test]
fn without_an_authority_of_its_own_a_server_is_believed_by_the_machine_s() {
    let authority = Authority::new("ca");
    let folder = folder(&authority);
    write(folder.path(), "none.pem", "");
    write(folder.path(), "gateway.toml", &listening("", &routed("\"wss://chat.internal\"", "")));
    for (authorities, code, said) in [("ca.pem", 0, ""), ("none.pem", 2, "this machine trusts no authority to say who servers are")] {
        let mut check = command(folder.path());
        let done = check.arg("check").env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR").output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{told}");
        assert!(told.contains(said), "{told}");
    }
}
