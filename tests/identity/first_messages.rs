//! Attacks with first messages: what is sent behind the 101, and the close it comes to.

use std::sync::atomic::Ordering;

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::forged::{claims, hs256, mixed, token};
use super::support::{backend, now, raw};
use super::{counting, gateway};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// A message in fragments of so many bytes.
fn split(text: &str, length: usize) -> Vec<u8> {
    let chunks: Vec<&[u8]> = text.as_bytes().chunks(length).collect();
    let last = chunks.len() - 1;
    let first_byte = |at: usize| u8::from(at == 0) | if at == last { 0x80 } else { 0 };
    chunks.iter().enumerate().flat_map(|(at, chunk)| raw::frame(first_byte(at), chunk)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_first_message_that_proves_nothing_is_closed_and_told_why() {
    let (backend, reached) = counting().await;
    let mut gateway = gateway(backend);
    let good = mixed(&json!({}));
    let bad = format!("{}AAAA", &good[..good.len() - 4]);
    let other = token(r#"{"alg":"HS256"}"#, &claims().to_string(), &EncodingKey::from_secret(b"evil"), Algorithm::HS256);
    let over = hs256(r#"{"alg":"HS256"}"#, &json!({ "exp": now() - 600 }).to_string());
    let text = |text: &str| raw::frame(TEXT, text.as_bytes());
    let rows: [(&str, &str, Vec<u8>, &str, u16); 22] = [
        ("one that never comes", "/hurried", Vec::new(), "auth_timeout", 3008),
        ("one that is begun and never ended", "/hurried", raw::frame(0x01, &good.as_bytes()[..40]), "auth_timeout", 3008),
        ("a ping in its place", "/hurried", raw::frame(0x89, b"hi"), "auth_timeout", 3008),
        ("one over the limit", "/first", text(&"x".repeat(1025)), "message_too_large", 1009),
        ("one that says it has 1 GiB", "/first", vec![TEXT, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0], "message_too_large", 1009),
        ("one over the limit in fragments", "/first", split(&"x".repeat(2000), 16), "message_too_large", 1009),
        ("a good token and much behind it", "/first", text(&format!("{good}{}", " ".repeat(1024))), "message_too_large", 1009),
        ("a bad token", "/first", text(&bad), "token_invalid", 3000),
        ("a bad token in 100 fragments", "/first", split(&bad, bad.len().div_ceil(100)), "token_invalid", 3000),
        ("a token of another key", "/first", text(&other), "token_invalid", 3000),
        ("a token that has expired", "/first", text(&over), "token_expired", 3000),
        ("a token that is binary", "/first", raw::frame(BINARY, good.as_bytes()), "token_invalid", 3000),
        ("nothing", "/first", text(""), "token_invalid", 3000),
        ("blanks", "/first", text("  \n"), "token_invalid", 3000),
        ("JSON where the token is all of it", "/first", text(&format!("{{\"token\":\"{good}\"}}")), "token_invalid", 3000),
        ("two tokens in one", "/first", text(&format!("{good} {good}")), "token_invalid", 3000),
        ("a bad token, and a good one behind it", "/first", [text(&bad), text(&good)].concat(), "token_invalid", 3000),
        ("what is not UTF-8", "/first", raw::frame(TEXT, &[0xff, 0xfe]), "not_utf8", 1007),
        ("a frame without a mask", "/first", raw::unmasked(TEXT, good.as_bytes()), "protocol_error", 1002),
        ("a continuation of nothing", "/first", raw::frame(0x80, good.as_bytes()), "protocol_error", 1002),
        ("a reserved bit", "/first", raw::frame(TEXT | 0x40, good.as_bytes()), "protocol_error", 1002),
        ("a reserved opcode", "/first", raw::frame(0x83, good.as_bytes()), "protocol_error", 1002),
    ];
    let mut wrong = Vec::new();
    for (what, path, bytes, outcome, code) in &rows {
        let mut stream = raw::upgraded(gateway.address("public"), path).await;
        _ = stream.write_all(bytes).await;
        let read = raw::rest(&mut stream).await;
        let event = gateway.event("refused");
        if (raw::close_code(&read), event["outcome"].as_str().unwrap()) != (*code, *outcome) {
            wrong.push(format!("{what}: {} {event}", raw::close_code(&read)));
        }
        let told = |text: &str| good.split('.').any(|part| part.len() > 16 && text.contains(part));
        if told(&event.to_string()) || told(&String::from_utf8_lossy(&read)) {
            wrong.push(format!("{what} tells its secret: {event}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    // In 100 fragments it is as good as in one.
    let mut stream = raw::upgraded(gateway.address("public"), "/first").await;
    stream.write_all(&split(&good, good.len().div_ceil(100))).await.unwrap();
    gateway.event("open");
    assert_eq!(reached.load(Ordering::SeqCst), 1);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_request_does_not_stand_in_for_a_first_message() {
    let (backend, reached) = counting().await;
    let gateway = gateway(backend);
    let mut stream = tokio::net::TcpStream::connect(gateway.address("public")).await.unwrap();
    let lines = format!("Authorization: Bearer {}\r\n", mixed(&json!({})));
    stream.write_all(raw::upgrade("/hurried", &lines).as_bytes()).await.unwrap();
    let head = backend::read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw::close_code(&raw::rest(&mut stream).await), 3008);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}
