//! What goes in and comes out of an exchange, over an in-memory stream.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::stage::Refusal;
use crate::stage::refusal::{FORBIDDEN, UPGRADE_REQUIRED};
use crate::wire::answers;
use crate::wire::head::{Limits, Reader};

const REQUEST: &[u8] = b"GET /chat?a=b HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Content-Length: 0\r\nExpect: 100-continue\r\n\r\n";

async fn received(bytes: &[u8]) -> (DuplexStream, Parts, Exchange<DuplexStream>) {
    let (mut client, mut server) = duplex(64 * 1024);
    client.write_all(bytes).await.unwrap();
    let head = Reader::new(Limits::default()).read(&mut server).await.unwrap();
    let (parts, exchange) = receive(server, head).unwrap();
    (client, parts, exchange)
}

/// Everything up to the end of a head.
async fn head(client: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap().to_lowercase()
}

fn switching() -> Response<Bytes> {
    answers::switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", None, None, HeaderMap::new())
}

#[tokio::test]
async fn a_101_is_written_and_the_socket_comes_back_open() {
    let (mut client, parts, exchange) = received(REQUEST).await;
    assert_eq!(parts.uri, "/chat?a=b");
    let (mut server, early) = exchange.answer(switching()).await.unwrap();
    let answer = head(&mut client).await;
    assert!(answer.starts_with("http/1.1 101 switching protocols\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    assert!(early.is_empty());

    client.write_all(b"to").await.unwrap();
    server.write_all(b"fro").await.unwrap();
    let (mut to, mut fro) = ([0; 2], [0; 3]);
    server.read_exact(&mut to).await.unwrap();
    client.read_exact(&mut fro).await.unwrap();
    assert_eq!((&to, &fro), (b"to", b"fro"));
}

#[tokio::test]
async fn what_was_sent_behind_the_request_comes_back_in_order_whenever_it_was_sent() {
    let (mut client, _, exchange) = received(&[REQUEST, b"first "].concat()).await;
    client.write_all(b"second ").await.unwrap();
    let (mut server, early) = exchange.answer(switching()).await.unwrap();
    client.write_all(b"third").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert_eq!([early, rest].concat(), b"first second third");
}

#[tokio::test]
async fn a_client_that_asks_for_an_end_beside_the_upgrade_gets_its_101() {
    let (mut client, _, exchange) =
        received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\nx").await;
    let (mut server, early) = exchange.answer(switching()).await.unwrap();
    assert!(head(&mut client).await.starts_with("http/1.1 101"));
    assert_eq!(early, b"x");
    server.write_all(b"y").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'y');
}

#[tokio::test]
async fn a_refusal_is_written_whole_and_says_that_it_ends_the_connection() {
    for row in [FORBIDDEN, UPGRADE_REQUIRED] {
        let (mut client, _, exchange) = received(&[REQUEST, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
        let refusal = answers::refusal(&Refusal::new(row));
        let body = refusal.body().clone();
        drop(exchange.answer(refusal).await.unwrap());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", row.status.unwrap())), "{answer}");
        assert!(answer.contains("close\r\n"), "{answer}");
        assert!(answer.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
        assert!(answer.as_bytes().ends_with(&body), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_with_lengths_of_another_body_is_given_its_own() {
    let (mut client, _, exchange) = received(REQUEST).await;
    let response = Response::builder().status(403).header("content-length", "999").header("transfer-encoding", "chunked");
    drop(exchange.answer(response.body(Bytes::from_static(b"no")).unwrap()).await.unwrap());
    let answer = head(&mut client).await;
    assert!(answer.contains("\r\ncontent-length: 2\r\n") && !answer.contains("chunked") && !answer.contains("999"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_has_shut_down_its_writing_is_still_answered() {
    let (mut client, _, exchange) = received(REQUEST).await;
    client.shutdown().await.unwrap();
    drop(exchange.answer(answers::refusal(&Refusal::new(FORBIDDEN))).await.unwrap());
    assert!(head(&mut client).await.starts_with("http/1.1 403"));
}

#[tokio::test]
async fn a_client_that_is_gone_is_an_error_and_no_hang() {
    let (client, _, exchange) = received(REQUEST).await;
    drop(client);
    assert!(exchange.answer(switching()).await.is_err());
}

#[tokio::test]
async fn an_answer_larger_than_the_sockets_buffer_is_written_as_the_client_reads() {
    let (mut client, mut server) = duplex(64);
    let request = async {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let serve = async {
        let head = Reader::new(Limits::default()).read(&mut server).await.unwrap();
        let (_, exchange) = receive(server, head).unwrap();
        drop(exchange.answer(Response::new(Bytes::from(vec![b'x'; 40_000]))).await.unwrap());
    };
    let (answer, ()) = tokio::join!(request, serve);
    assert!(answer.ends_with(&[b'x'; 40_000]));
}

#[tokio::test]
async fn a_head_with_as_many_headers_as_a_listener_may_allow_is_received() {
    let headers = "X: y\r\n".repeat(1023);
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let (_client, server) = duplex(64 * 1024);
    let head = Reader::new(Limits::new(usize::MAX, usize::MAX)).read(&mut bytes.as_bytes()).await.unwrap();
    let (parts, exchange) = receive(server, head).unwrap();
    assert_eq!(parts.headers.len(), 1024);
    drop(exchange.answer(switching()).await.unwrap());
}

proptest! {
    #[test]
    fn the_parser_takes_every_head_that_passed_our_checks(target in "/[!-~\u{e9}]{0,20}", value in "[ -~\t\u{e9}]{0,20}", name in "[!-~]{1,10}") {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            if let Ok(head) = Reader::new(Limits::default()).read(&mut bytes.as_bytes()).await {
                let (_client, server) = duplex(1024);
                let (parts, exchange) = receive(server, head).unwrap();
                assert_eq!(parts.uri, target.as_str());
                assert_eq!(parts.headers.len(), 2);
                exchange.answer(switching()).await.unwrap();
            }
        });
    }
}
