//! Clients that mean no good, or know no better: each is let go of, and leaves nothing behind.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConnection;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::certificates::{Authority, client, connect, refused};
use super::support::{ask, in_time, raw};
use super::{SERVER, URL, listening, run};

/// Bytes that are sent in one piece with the first that are written.
pub(crate) struct Before {
    bytes: Vec<u8>,
    tcp: TcpStream,
}

impl Before {
    pub(crate) fn new(bytes: &[u8], tcp: TcpStream) -> Self {
        Self { bytes: bytes.to_vec(), tcp }
    }
}

impl AsyncRead for Before {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Before {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.tcp).poll_write(cx, bytes);
        }
        let all = [&self.bytes, bytes].concat();
        match Pin::new(&mut self.tcp).poll_write(cx, &all) {
            Poll::Ready(Ok(count)) => {
                assert_eq!(count, all.len());
                self.bytes.clear();
                Poll::Ready(Ok(bytes.len()))
            }
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// The hello of an honest client.
fn hello(authority: &Authority) -> Vec<u8> {
    let mut session = ClientConnection::new(client(authority, None), "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

/// What a client sends, and then.
enum Then {
    /// It waits.
    Waits,
    /// It closes its direction.
    Ends,
}
use Then::{Ends, Waits};

/// The outcome and how its rule begins; none where nobody is told of it.
type Told = Option<(&'static str, &'static str)>;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_client_begins_with_it_holds_nothing_for_long_and_nobody_up() {
    let authority = Authority::new("ca");
    let tls = format!("{SERVER}\nhandshake_timeout = \"300ms\"\nmax_connections = 2");
    let mut gateway = run(&authority, &listening(&tls, ""));
    let (address, hello) = (gateway.address("public"), hello(&authority));
    let half = hello[..hello.len() / 2].to_vec();
    let mut broken = hello.clone();
    broken[60..].fill(0xff);
    let noise: Vec<u8> = (0..65_536_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut record = vec![0x16, 3, 1, 0x40, 0];
    record.extend_from_slice(&noise);
    let get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let rows: Vec<(&str, Vec<u8>, Then, Told)> = vec![
        ("nothing, and waits", Vec::new(), Waits, None),
        ("nothing", Vec::new(), Ends, None),
        ("half a hello, and waits", half.clone(), Waits, Some(("handshake_timeout", "TLS did not come about in time"))),
        ("half a hello", half, Ends, Some(("tls_failed", "cut: "))),
        ("a hello and no more, and waits", hello.clone(), Waits, Some(("handshake_timeout", "TLS did not come about in time"))),
        ("a hello and no more", hello.clone(), Ends, Some(("tls_failed", "cut: "))),
        ("a hello that is none", broken, Waits, Some(("tls_failed", "malformed: "))),
        ("one byte", vec![0x16], Waits, Some(("handshake_timeout", ""))),
        ("a record of noise", record, Waits, Some(("tls_failed", "malformed: "))),
        ("a record that is too long", vec![0x16, 3, 1, 0xff, 0xff], Waits, Some(("tls_failed", "malformed: "))),
        ("64 KiB of zeros", vec![0; 65_536], Waits, Some(("tls_failed", "no_tls: "))),
        ("an alert", vec![0x15, 3, 1, 0, 2, 2, 40], Waits, Some(("tls_failed", "no_tls: "))),
        ("a hello of SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], Waits, Some(("tls_failed", "no_tls: "))),
        ("an empty record", vec![0x16, 3, 1, 0, 0], Waits, Some(("tls_failed", "malformed: "))),
        ("two hellos", [hello.clone(), hello].concat(), Waits, Some(("tls_failed", "malformed: "))),
        ("plain HTTP", get.clone(), Waits, Some(("bad_handshake", "plain HTTP where TLS is spoken"))),
        ("plain HTTP, byte by byte", get[..1].to_vec(), Waits, Some(("bad_handshake", "plain HTTP where TLS is spoken"))),
    ];
    let mut settled = None;
    for (what, bytes, then, expected) in rows {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The gateway may have seen enough before it has seen it all.
        _ = stream.write_all(&bytes).await;
        if matches!(then, Ends) {
            _ = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        _ = in_time(stream.read_to_end(&mut answer)).await;
        drop(stream);
        assert_eq!(answer.starts_with(b"HTTP/1.1 400 "), expected.is_some_and(|(outcome, _)| outcome == "bad_handshake"), "{what}");
        if let Some((outcome, rule)) = expected {
            let event = gateway.event("refused");
            assert_eq!(event["outcome"], outcome, "{what}: {event}");
            assert!(event["rule"].as_str().unwrap_or_default().starts_with(rule), "{what}: {event}");
            assert_eq!(event["status"], if outcome == "bad_handshake" { Value::from(400) } else { Value::Null }, "{what}");
        }
        // Its place is free, and so is its descriptor: an honest client, and another beside it, find both.
        let config = client(&authority, None);
        let (mut one, mut two) = tokio::join!(connect_free(address, &config), connect_free(address, &config));
        assert_eq!((ask(&mut one, "one").await, ask(&mut two, "two").await), ("one".to_owned(), "two".to_owned()), "{what}");
        drop((one, two));
        gateway.event("close");
        gateway.event("close");
        let held = *settled.get_or_insert_with(|| gateway.descriptors());
        gateway.settles_at(held).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_in_its_handshake_takes_a_place_like_anybody_and_holds_up_nobody_of_the_only_thread() {
    let authority = Authority::new("ca");
    let tls = format!("{SERVER}\nhandshake_timeout = \"60s\"\nmax_connections = 65");
    let gateway = run(&authority, &listening(&tls, "").replace("[gateway]", "[gateway]\nthreads = 1"));
    let (address, hello) = (gateway.address("public"), hello(&authority));
    let mut dawdling = Vec::new();
    for count in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello[..hello.len() * count / 64]).await.unwrap();
        dawdling.push(stream);
    }
    let config = client(&authority, None);
    let mut socket = connect(address, &config, URL).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(refused(address, &config, URL).await, 503, "there is no place left");
    drop(dawdling);
    let mut another = connect_free(address, &config).await;
    assert_eq!(ask(&mut another, "hello").await, "hello");
    assert_eq!(ask(&mut socket, "still here").await, "still here");
}

/// Connects as soon as there is room.
async fn connect_free(address: std::net::SocketAddr, config: &Arc<rustls::ClientConfig>) -> super::certificates::Socket {
    in_time(async {
        loop {
            match connect(address, config, URL).await {
                Ok(socket) => return socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_and_its_tls_share_one_budget() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(&format!("{SERVER}\nhandshake_timeout = \"400ms\""), ""));
    let mut stream = super::certificates::dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
    stream.write_all(b"GET /echo HTTP/1.1\r\n").await.unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(gateway.event("refused")["outcome"], "handshake_timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_where_plain_http_is_spoken_is_refused_at_its_first_byte() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening("", ""));
    let answer = raw::exchange(gateway.address("public"), &hello(&authority)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(gateway.event("refused")["rule"], "TLS where plain HTTP is spoken");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_firewall_denies_costs_no_handshake_and_is_told_nothing() {
    let authority = Authority::new("ca");
    let denied = "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n";
    let tls = format!("{SERVER}\npipeline = [\"firewall.f\"]");
    let mut gateway = run(&authority, &listening(&tls, denied));
    let answer = raw::exchange(gateway.address("public"), &hello(&authority)).await;
    assert_eq!(answer, "");
    let refused = gateway.event("refused");
    assert_eq!((refused["outcome"].as_str(), refused["status"].as_u64()), (Some("ip_denied"), None));
    // Who says so in the file tells them all the same.
    let told = format!("{denied}[errors.e]\nreject = \"accept_close\"\n");
    gateway.reload(&listening(&tls.replace("\"firewall.f\"", "\"firewall.f\", \"errors.e\""), &told));
    let mut socket = connect(gateway.address("public"), &client(&authority, None), URL).await.unwrap();
    assert_eq!(super::support::closed(&mut socket).await.0, 3003);
}
