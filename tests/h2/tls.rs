//! HTTP/2 within TLS, chosen by ALPN (RFC 7301).

use std::sync::Arc;

use http::Method;
use rustls::ClientConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use super::bare::PREFACE;
use super::certificates::{Authority, client, dial};
use super::client::Client;
use super::support::{Gateway, ask, in_time};
use super::{config, nobody};

fn run(authority: &Authority, more: &str) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    Gateway::run_in(folder, &config(nobody(), more))
}

const TLS: &str = "tls = { cert = \"server.pem\", key = \"server.key\" }";

fn offering(config: &Arc<ClientConfig>, names: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = (**config).clone();
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn agreed<S>(stream: &TlsStream<S>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_chooses_http_2_speaks_it_and_who_does_not_speaks_http_1_1() {
    let authority = Authority::new("ca");
    let gateway = run(&authority, TLS);
    let address = gateway.address("public");
    let stream = dial(address, "localhost", &offering(&client(&authority, None), &[b"h2", b"http/1.1"])).await.unwrap();
    assert_eq!(agreed(&stream), Some(&b"h2"[..]));
    let mut over = Client::over(stream).await;
    let mut socket = over.socket("/echo", &[]).await;
    assert!(ask(&mut socket, &"x".repeat(100_000)).await.ends_with('x'));
    assert_eq!(over.answer(Method::GET, "/health/livez", &[]).await.0, 200);
    for offer in [&[&b"http/1.1"[..]][..], &[]] {
        let mut stream = dial(address, "localhost", &offering(&client(&authority, None), offer)).await.unwrap();
        assert_eq!(agreed(&stream), offer.first().copied());
        stream.write_all(PREFACE).await.unwrap();
        let mut answer = [0; 12];
        in_time(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400", "what was not agreed on is not spoken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_http_2_does_not_offer_it_and_an_edit_changes_that() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &format!("{TLS}\nhttp2 = false"));
    let offer = offering(&client(&authority, None), &[b"h2", b"http/1.1"]);
    let address = gateway.address("public");
    assert_eq!(agreed(&dial(address, "localhost", &offer).await.unwrap()), Some(&b"http/1.1"[..]));
    gateway.reload(&config(nobody(), TLS));
    assert_eq!(agreed(&dial(address, "localhost", &offer).await.unwrap()), Some(&b"h2"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_who_its_connections_certificate_says() {
    let authority = Authority::new("ca");
    let asking = "tls = { cert = \"server.pem\", key = \"server.key\", client_ca = \"ca.pem\" }\npipeline = [\"client_cert.all\"]";
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost"]).write(folder.path(), "server");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let mut gateway = Gateway::run_in(folder, &(config(nobody(), asking) + "[client_cert.all]\n"));
    let alice = client(&authority, Some(&authority.issue_to("alice")));
    let stream = dial(gateway.address("public"), "localhost", &offering(&alice, &[b"h2"])).await.unwrap();
    let mut over = Client::over(stream).await;
    for _ in 0..2 {
        let _socket = over.socket("/echo", &[]).await;
        let open = gateway.event("open");
        assert_eq!((&open["user"], &open["tls"]), (&json!("alice"), &json!("1.3")), "{open}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_chose_http_2_and_says_nothing_ends_with_the_handshake_s_time() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &format!("{TLS}\nhandshake_timeout = \"1s\""));
    let offer = offering(&client(&authority, None), &[b"h2"]);
    let mut stream = dial(gateway.address("public"), "localhost", &offer).await.unwrap();
    let mut all = Vec::new();
    _ = in_time(stream.read_to_end(&mut all)).await;
    assert_eq!(gateway.event("refused")["outcome"], "handshake_timeout");
}
