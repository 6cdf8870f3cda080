//! A peer that breaks a rule of the wire: nothing of the frame that breaks it goes on, and both ends are told.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{self, Gateway, backend, raw};
use super::{CLOSE, PING, TEXT, close, counts, ending, routes, told, url, witnessed};

const LIMITS: &str = "max_message = { client = \"1KiB\", upstream = \"1KiB\" }";

/// What one broken rule comes to: the bytes, the client's close code and reason, the row, the rule in the log.
type Row = (Vec<u8>, u16, &'static str, &'static str, &'static str);

/// What RFC 6455 forbids a client.
fn forbidden_to_clients() -> Vec<Row> {
    let rows: [(Vec<u8>, &str); 12] = [
        (raw::unmasked(TEXT, b"hi"), "frame is not masked"),
        (raw::frame(0xc1, b"hi"), "reserved bit set"),
        (raw::frame(0xa1, b"hi"), "reserved bit set"),
        (raw::frame(0x83, b"hi"), "reserved opcode"),
        (raw::frame(0x8b, b"hi"), "reserved opcode"),
        (raw::frame(0x09, b"hi"), "control frame is fragmented"),
        (raw::frame(PING, &[0; 126]), "control frame over 125 bytes"),
        (raw::frame(0x80, b"hi"), "continuation of nothing"),
        (b"\x81\xfe\x00\x02\0\0\0\0hi".to_vec(), "length not in its shortest form"),
        (b"\x81\xff\xff\0\0\0\0\0\0\0\0\0\0\0".to_vec(), "length over 63 bits"),
        (raw::frame(CLOSE, &raw::closing(1005, "")), "close code not allowed on the wire"),
        (raw::frame(CLOSE, b"\x03\xe8\xff"), "close reason is not UTF-8"),
    ];
    rows.map(|(bytes, rule)| (bytes, 1002, "protocol error", "protocol_error", rule)).into()
}

/// What a client must not do on any route: the forbidden, too much, and too often.
fn from_clients() -> Vec<Row> {
    let flood = raw::frame(PING, b"").repeat(201);
    let mut rows = forbidden_to_clients();
    rows.push((raw::frame(TEXT, &[b'x'; 1025]), 1009, "message too large", "message_too_large", "message over max_message"));
    rows.push((flood, 1008, "too many requests", "rate_limited", "over 200 control frames a second"));
    rows
}

fn assert_ending(event: &Value, (_, code, reason, outcome, rule): &Row) {
    assert_eq!(ending(event), [&json!("gateway"), &json!(outcome), &json!(code), &json!(rule)], "{event}");
    assert_eq!(event["reason"], *reason, "{event}");
    assert_eq!(event["stage"], Value::Null, "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_a_rule_is_closed_and_its_backend_gets_1001() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], LIMITS));
    let before = gateway.descriptors();
    for row in from_clients() {
        let (bytes, code, reason, _, rule) = &row;
        let received = told(&gateway, "/0", &[&raw::frame(TEXT, b"hello"), &bytes[..]].concat()).await;
        assert_eq!(raw::frames(&received), [close(*code, reason)], "{rule}");
        let passed = raw::frames(&witnessed(&mut seen).await);
        let (last, passed) = passed.split_last().unwrap();
        assert_eq!(*last, close(1001, ""), "{rule}");
        assert_eq!(passed[0], (TEXT, b"hello".to_vec()), "{rule}");
        let pings = if *code == 1008 { 200 } else { 0 };
        assert_eq!(passed[1..].iter().filter(|frame| **frame == (PING, Vec::new())).count(), pings, "{rule}: {passed:x?}");
        assert_eq!(passed.len(), 1 + pings, "{rule}");
        let event = gateway.event("close");
        assert_ending(&event, &row);
        assert_eq!(counts(&event), json!([1, 5, 0, 0]), "{rule}");
    }
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_gateways_own_endpoints_is_held_to_the_same_rules_and_to_utf_8() {
    let mut gateway = Gateway::run(&routes(["echo".to_owned()], LIMITS));
    let before = gateway.descriptors();
    let mut rows = from_clients();
    let not_utf8 = |bytes| (bytes, 1007, "text is not UTF-8", "not_utf8", "text is not UTF-8");
    rows.push(not_utf8(raw::frame(TEXT, b"\xed\xa0\x80")));
    // The first byte that shows it is enough, though more is promised.
    rows.push(not_utf8(b"\x01\xfe\x01\0\0\0\0\0\xff".to_vec()));
    let fragments = [raw::frame(0x02, b""), raw::frame(0x00, b"").repeat(131_072)].concat();
    rows.push((fragments, 1009, "too many fragments", "too_many_fragments", "over 131072 fragments"));
    for row in rows {
        let (bytes, code, reason, _, rule) = &row;
        let received = raw::frames(&told(&gateway, "/0", &[&raw::frame(TEXT, b"hello"), &bytes[..]].concat()).await);
        assert_eq!(received[0], (TEXT, b"hello".to_vec()), "{rule}");
        assert_eq!(*received.last().unwrap(), close(*code, reason), "{rule}");
        assert_eq!(received.len(), if *code == 1008 { 202 } else { 2 }, "{rule}: pings are answered, and nothing else");
        let event = gateway.event("close");
        assert_ending(&event, &row);
        assert_eq!(event["upstream_messages"], 1, "{rule}");
    }
    let mut socket = gateway.connect("public", "/0").await;
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
    drop(socket);
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_a_rule_is_told_which_kind_and_its_client_gets_1011() {
    let broken = |bytes: Vec<u8>, rule| (bytes, 1002, "backend broke the protocol", "upstream_protocol_error", rule);
    let too_large = (1009, "backend message too large", "upstream_message_too_large", "message over max_message");
    let rows: [(Vec<u8>, u16, &str, &str, &str); 6] = [
        broken(raw::frame(TEXT, b"hi"), "frame is masked"),
        broken(raw::unmasked(0xc1, b"hi"), "reserved bit set"),
        broken(raw::unmasked(0x80, b"hi"), "continuation of nothing"),
        broken(raw::unmasked(CLOSE, b"\x03"), "close payload of one byte"),
        broken(raw::unmasked(PING, b"").repeat(201), "over 200 control frames a second"),
        (raw::unmasked(0x82, &[0; 1025]), too_large.0, too_large.1, too_large.2, too_large.3),
    ];
    let mut backends = Vec::new();
    for (bytes, ..) in &rows {
        backends.push(backend::witness([raw::unmasked(TEXT, b"hello"), bytes.clone()].concat()).await);
    }
    let mut gateway = Gateway::run(&routes(backends.iter().map(|(address, _)| url(*address)), LIMITS));
    let before = gateway.descriptors();
    for (index, ((bytes, code, reason, outcome, rule), (_, seen))) in rows.into_iter().zip(&mut backends).enumerate() {
        let received = raw::frames(&told(&gateway, &format!("/{index}"), b"").await);
        assert_eq!(received[0], (TEXT, b"hello".to_vec()), "{rule}");
        assert_eq!(*received.last().unwrap(), close(1011, reason), "{rule}");
        assert_eq!(raw::frames(&witnessed(seen).await), [close(code, "")], "{rule}");
        let event = gateway.event("close");
        assert_ending(&event, &(bytes, 1011, reason, outcome, rule));
        assert_eq!(counts(&event), json!([0, 0, 1, 5]), "{rule}");
    }
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_exactly_the_limit_passes_and_its_fragments_count_together() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], LIMITS));
    let exact = [raw::frame(0x02, &[1; 1000]), raw::frame(PING, b"between"), raw::frame(0x80, &[2; 24])].concat();
    let over = [raw::frame(0x02, &[1; 1000]), raw::frame(0x80, &[2; 25])].concat();
    let received = told(&gateway, "/0", &[exact, over].concat()).await;
    assert_eq!(raw::frames(&received), [close(1009, "message too large")]);
    let lengths: Vec<_> = raw::frames(&witnessed(&mut seen).await).iter().map(|(first, payload)| (*first, payload.len())).collect();
    assert_eq!(lengths, [(0x02, 1000), (PING, 7), (0x80, 24), (0x02, 1000), (CLOSE, 2)]);
    assert_eq!(counts(&gateway.event("close")), json!([2, 2024, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_on_sending_after_its_end_still_reads_why() {
    let mut gateway = Gateway::run(&routes(["echo".to_owned()], ""));
    let mut client = raw::upgraded(gateway.address("public"), "/0").await;
    let (mut read, mut write) = client.split();
    let mut chunk = raw::unmasked(TEXT, b"not masked");
    chunk.resize(64 << 10, 0);
    let mut received = [0; 18];
    tokio::select! {
        read = support::in_time(read.read_exact(&mut received)) => assert_eq!(read.unwrap(), 18),
        () = async { while write.write_all(&chunk).await.is_ok() {} } => panic!("cut off before it was told"),
    }
    drop(client);
    assert_eq!(raw::frames(&received), [close(1002, "protocol error")]);
    assert_eq!(gateway.event("close")["outcome"], "protocol_error");
}
