//! How connections end over TLS: with the Close, then `close_notify`, then the FIN.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::certificates::{Authority, Spoken, client, connect, dial, server};
use super::servers::upgraded_over_tls;
use super::support::{ask, closed, in_time, raw};
use super::{SERVER, URL, listening, run};

/// Upgrades over TLS and gives the stream, its 101 read away.
async fn upgraded(gateway: &super::Gateway, authority: &Authority, path: &str) -> Spoken {
    let mut stream = dial(gateway.address("public"), "localhost", &client(authority, None)).await.unwrap();
    stream.write_all(raw::upgrade(path, "").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    stream
}

/// All that comes up to an end that was announced: one that was not would be an error.
async fn rest(stream: &mut Spoken) -> Vec<u8> {
    let mut all = Vec::new();
    in_time(stream.read_to_end(&mut all)).await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_answered_with_its_code_and_the_end_is_announced() {
    let authority = Authority::new("ca");
    let limited = listening(SERVER, "[route.small]\npath = \"/small\"\nendpoint = \"echo\"\nmax_message = { client = \"10B\" }\n");
    let mut gateway = run(&authority, &limited);
    let mut stream = upgraded(&gateway, &authority, "/small").await;
    stream.write_all(&raw::frame(0x81, b"more than ten bytes")).await.unwrap();
    assert_eq!(raw::frames(&rest(&mut stream).await), [(0x88, raw::closing(1009, "message too large"))]);
    drop(stream);
    assert_eq!(gateway.event("close")["outcome"], "message_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_is_answered_and_the_end_is_announced() {
    let authority = Authority::new("ca");
    let gateway = run(&authority, &listening(SERVER, ""));
    let mut stream = upgraded(&gateway, &authority, "/echo").await;
    stream.write_all(&raw::frame(0x88, &raw::closing(4001, "bye"))).await.unwrap();
    assert_eq!(raw::frames(&rest(&mut stream).await), [(0x88, raw::closing(4001, "bye"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_over_http_is_read_whole_and_the_end_is_announced() {
    let authority = Authority::new("ca");
    let gateway = run(&authority, &listening(SERVER, ""));
    let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
    // More behind it than anybody will read: to close with that unread would destroy the answer.
    let asks = raw::upgrade("/nowhere", "") + &"x".repeat(50_000);
    stream.write_all(asks.as_bytes()).await.unwrap();
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_with_1001() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &format!("{}[gateway.drain]\nover = \"10ms\"\n", listening(SERVER, "")));
    let mut socket = connect(gateway.address("public"), &client(&authority, None), URL).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    gateway.signal("TERM");
    assert_eq!(closed(&mut socket).await.0, 1001);
    drop(socket);
    assert!(gateway.wait().success());
}

/// A backend over TLS that tells what it reads to its end, and in which way that came.
async fn witness(authority: &Authority) -> (std::net::SocketAddr, mpsc::Receiver<(Vec<u8>, bool)>) {
    let (sender, seen) = mpsc::channel(4);
    let address = upgraded_over_tls(server(&authority.issue(&["127.0.0.1"]), None), move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            let is_announced = stream.read_to_end(&mut all).await.is_ok();
            sender.send((all, is_announced)).await.unwrap();
        }
    });
    (address.await, seen)
}

fn between(server: std::net::SocketAddr) -> String {
    let up = format!(
        "[upstream.up]\nservers = \"wss://{server}\"\ntls = {{ ca = \"ca.pem\" }}\n[route.up]\npath = \"/up\"\nendpoint = \"upstream.up\"\n"
    );
    listening(SERVER, &up)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_lost_is_reported_to_its_backend() {
    let authority = Authority::new("ca");
    let (address, mut seen) = witness(&authority).await;
    let mut gateway = run(&authority, &between(address));
    for is_announced in [true, false] {
        let mut stream = upgraded(&gateway, &authority, "/up").await;
        if is_announced {
            // An end that is announced, and yet no Close: WebSocket knows no other.
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        let (bytes, was_announced) = in_time(seen.recv()).await.unwrap();
        assert_eq!((raw::close_code(&raw::unmasked(0x88, &raw::frames(&bytes)[0].1)), was_announced), (1001, true));
        assert_eq!(gateway.event("close")["outcome"], "client_lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_lost_is_reported_to_its_client() {
    let authority = Authority::new("ca");
    let server = upgraded_over_tls(server(&authority.issue(&["127.0.0.1"]), None), |stream| async move { drop(stream) }).await;
    let mut gateway = run(&authority, &between(server));
    let mut socket = connect(gateway.address("public"), &client(&authority, None), "wss://localhost/up").await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1011);
    drop(socket);
    assert_eq!(gateway.event("close")["outcome"], json!("upstream_lost"));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_over_tls_is_asked_after_from_the_start() {
    let authority = Authority::new("ca");
    let (address, _seen) = witness(&authority).await;
    let gateway = run(&authority, &between(address));
    let _stream = upgraded(&gateway, &authority, "/up").await;
    assert!(crate::support::is_asked_after(address));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_backend_is_asked_is_lost_whether_it_announces_that_or_not() {
    let (sender, mut told) = mpsc::channel(1);
    let backend = super::support::backend::scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            super::support::backend::read_head(&mut stream).await;
            sender.send(()).await.unwrap();
            _ = stream.read_to_end(&mut Vec::new()).await;
            sender.send(()).await.unwrap();
        }
    })
    .await;
    let authority = Authority::new("ca");
    let slow = format!("[upstream.slow]\nservers = \"ws://{backend}\"\nhandshake_timeout = \"10m\"\n");
    let mut gateway = run(&authority, &listening(SERVER, &(slow + "[route.slow]\npath = \"/slow\"\nendpoint = \"upstream.slow\"\n")));
    for announces in [false, true] {
        let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
        stream.write_all(raw::upgrade("/slow", "").as_bytes()).await.unwrap();
        in_time(told.recv()).await.unwrap();
        if announces {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        in_time(told.recv()).await.unwrap();
        assert_eq!(gateway.event("refused")["outcome"], "client_lost", "{announces}");
    }
}
