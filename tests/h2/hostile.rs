//! Clients that abuse HTTP/2: each hurts itself alone.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::bare::*;
use super::client::Client;
use super::support::{Gateway, ask, backend, raw};
use super::{config, nobody};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn gateway() -> Gateway {
    Gateway::run(&config(nobody(), "handshake_timeout = \"1s\""))
}

async fn is_well(gateway: &Gateway) {
    let mut client = Client::to(gateway.address("public")).await;
    assert!(ask(&mut client.socket("/echo", &[]).await, "hello").await.ends_with("hello"));
}

/// The good request with some fields in the place of those of the same name, or in addition.
fn asking(changes: &[(&'static str, &'static str)]) -> Vec<u8> {
    asking_over(1, changes)
}

fn asking_over(stream: u32, changes: &[(&'static str, &'static str)]) -> Vec<u8> {
    let kept = EXTENDED.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| name == other));
    let (pseudo, plain): (Vec<_>, Vec<_>) =
        kept.chain(changes).copied().filter(|(_, value)| *value != "-").partition(|(name, _)| name.starts_with(':'));
    frame(HEADERS, END_HEADERS, stream, &fields(&[pseudo, plain].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_resets_its_stream() {
    let gateway = gateway();
    let rows: &[&[(&str, &str)]] = &[
        &[("connection", "Upgrade")],
        &[("upgrade", "websocket")],
        &[("transfer-encoding", "chunked")],
        &[("te", "gzip")],
        &[(":path", "-")],
        &[(":path", "")],
        &[(":scheme", "-")],
        &[(":method", "GET")],
        &[(":status", "200")],
    ];
    for row in rows {
        let mut bare = Bare::to(gateway.address("public")).await;
        bare.say(&asking(row)).await;
        let (stream, reason) = bare.next(RST_STREAM).await.unwrap_or_else(|| panic!("{row:?}"));
        assert_eq!((stream, reason), (1, PROTOCOL_ERROR.to_be_bytes().to_vec()), "{row:?}");
    }
    // What no field can be may have left both ends with different tables.
    for field in [("X-Upper", "1"), (":other", "1"), ("", "1"), ("x", "a\nb")] {
        let mut bare = Bare::to(gateway.address("public")).await;
        bare.say(&asking(&[field])).await;
        assert!(bare.goes_away().await.is_some(), "{field:?}");
    }
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http_2_lets_pass_and_http_1_1_does_not_is_refused_by_the_same_row() {
    let mut gateway = gateway();
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("host", "other")], "a Host other than its :authority"),
        (&[(":authority", "-")], "no :authority"),
        (&[(":authority", "a@b")], "a malformed :authority"),
        (&[(":scheme", "ftp")], "a :scheme other than http and https"),
        (&[(":protocol", "connect-udp")], "a :protocol other than websocket"),
        (&[("content-length", "0")], "a body"),
        (&[("x", " a")], "a blank around the value of a header"),
    ];
    for (row, rule) in rows {
        let mut bare = Bare::to(gateway.address("public")).await;
        bare.say(&asking(row)).await;
        let refused = gateway.event("refused");
        assert_eq!((&refused["outcome"], &refused["rule"], &refused["status"]), (&json!("bad_handshake"), &json!(rule), &json!(400)));
    }
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_too_large_is_answered_so() {
    let mut gateway = Gateway::run(&config(nobody(), "max_headers = 10"));
    let mut client = Client::to(gateway.address("public")).await;
    let many: Vec<(&str, &str)> = vec![("x", "1"); 10];
    let (status, _, body) = client.refusal("/echo", &many).await;
    assert!(status == 431 && body.contains("(head_too_large)"), "{body}");
    assert_eq!(gateway.event("refused")["rule"], "more headers than `max_headers`");
    let long = format!("/{}", "x".repeat(20_000));
    assert_eq!(client.answer(http::Method::GET, &long, &[]).await.0, 431, "beyond what HTTP/2 takes apart");
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_not_waited_for() {
    let mut gateway = gateway();
    let mut bare = Bare::to(gateway.address("public")).await;
    bare.say(&frame(HEADERS, 0, 1, &fields(&EXTENDED))).await;
    assert!(bare.goes_away().await.is_some());
    assert_eq!(gateway.event("refused")["outcome"], "handshake_timeout");
    // Fed all the time, it is too much instead.
    let mut bare = Bare::to(gateway.address("public")).await;
    bare.say(&frame(HEADERS, 0, 1, &fields(&EXTENDED))).await;
    for _ in 0..100_000 {
        if bare.0.write_all(&frame(CONTINUATION, 0, 1, &fields(&[("x", "1")]))).await.is_err() {
            break;
        }
    }
    let refused = gateway.event("refused");
    assert_eq!(
        (&refused["outcome"], refused["rule"].as_str().unwrap().starts_with("HTTP/2: ")),
        (&json!("protocol_error"), true),
        "{refused}"
    );
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_and_silence_ends_when_a_handshake_would() {
    let mut gateway = gateway();
    let settings = frame(SETTINGS, 0, 0, &[]);
    for begun in [&PREFACE[..5], &PREFACE[..20], PREFACE, &[PREFACE, &settings].concat()] {
        let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
        stream.write_all(begun).await.unwrap();
        raw::rest(&mut stream).await;
        assert_eq!(gateway.event("refused")["outcome"], "handshake_timeout", "{begun:?}");
    }
    let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nxx\r\n\r\n").await.unwrap();
    raw::rest(&mut stream).await;
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_carry_nothing_are_too_many_at_some_point() {
    let mut gateway = gateway();
    let rows = [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("unknown", frame(0xfe, 0, 0, &[])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ];
    for (name, bytes) in rows {
        let mut bare = Bare::to(gateway.address("public")).await;
        bare.say(&asking(&[])).await;
        assert!(bare.next(HEADERS).await.is_some(), "{name}: a socket that goes with the connection");
        let bytes = bytes.repeat(100);
        let (mut read, mut write) = bare.0.split();
        let flood = async { while write.write_all(&bytes).await.is_ok() {} };
        let heard = async {
            let mut all = Vec::new();
            _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all).await;
        };
        super::support::in_time(async {
            tokio::select! { () = flood => {}, () = heard => {} }
        })
        .await;
        // One of the two comes first.
        let told = [(); 2].map(|()| gateway.event_of(&["close", "refused"], |_| true));
        let [close, refused] = ["close", "refused"].map(|name| told.iter().find(|event| event["event"] == name).unwrap());
        assert_eq!(
            (&refused["outcome"], refused["rule"].as_str().unwrap().contains("carry nothing")),
            (&json!("protocol_error"), true),
            "{name}"
        );
        assert_eq!((&close["by"], &close["outcome"]), (&json!("gateway"), &json!("protocol_error")), "{name}: {close}");
    }
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_as_fast_as_they_are_opened_are_too_many_at_some_point() {
    let mut gateway = gateway();
    let mut bare = Bare::to(gateway.address("public")).await;
    let block = fields(&EXTENDED);
    let mut sent = 0_u32;
    for stream in (1..200_000).step_by(2) {
        let pair = [frame(HEADERS, END_HEADERS, stream, &block), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat();
        if bare.0.write_all(&pair).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 90_000, "{sent}");
    let refused = gateway.event_where("refused", |event| event["outcome"] == "protocol_error");
    assert!(refused["rule"].as_str().unwrap().starts_with("HTTP/2: "), "{refused}");
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_are_offered_are_refused_one_by_one() {
    let gateway = gateway();
    let mut bare = Bare::to(gateway.address("public")).await;
    let block = fields(&EXTENDED);
    for stream in 0..101 {
        bare.say(&frame(HEADERS, END_HEADERS, 2 * stream + 1, &block)).await;
    }
    let (stream, reason) = bare.next(RST_STREAM).await.unwrap();
    assert_eq!((stream, reason), (201, REFUSED_STREAM.to_be_bytes().to_vec()));
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_cannot_be_are_errors_of_the_connection_or_the_stream() {
    let mut gateway = gateway();
    let huge = 0x7fff_ffff_u32.to_be_bytes();
    let rows = [
        ("an increment of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Some(PROTOCOL_ERROR)),
        ("more than a window can be", frame(WINDOW_UPDATE, 0, 0, &huge), Some(FLOW_CONTROL_ERROR)),
        ("data on a stream that is none", frame(DATA, 0, 5, b"x"), Some(PROTOCOL_ERROR)),
        ("a first window that cannot be", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), Some(PROTOCOL_ERROR)),
    ];
    for (name, bytes, error) in rows {
        let mut bare = Bare::to(gateway.address("public")).await;
        bare.say(&bytes).await;
        assert_eq!(bare.goes_away().await, error, "{name}");
        assert_eq!(gateway.event("refused")["outcome"], "protocol_error", "{name}");
    }
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_sent_more_than_its_window_is_reset_and_no_other() {
    let silent = backend::scripted(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let gateway = Gateway::run(&config(silent, ""));
    let mut bare = Bare::to(gateway.address("public")).await;
    // What it may send holds once it has heard of it and said so.
    assert_eq!(bare.next(WINDOW_UPDATE).await.map(|(stream, _)| stream), Some(0));
    bare.say(&frame(SETTINGS, 1, 0, &[])).await;
    // Its backend has not answered, and nothing of it is read: four are its window.
    bare.say(&asking_over(1, &[(":path", "/relay")])).await;
    bare.say(&frame(DATA, 0, 1, &[0x7f; 16_384]).repeat(4)).await;
    bare.say(&[asking_over(3, &[]), frame(DATA, 0, 3, &raw::frame(0x81, b"hello"))].concat()).await;
    assert_eq!(bare.next(DATA).await.map(|(stream, _)| stream), Some(3), "within its window");
    bare.say(&frame(DATA, 0, 1, b"x")).await;
    assert_eq!(bare.next(RST_STREAM).await, Some((1, FLOW_CONTROL_ERROR.to_be_bytes().to_vec())));
    bare.say(&frame(DATA, 0, 3, &raw::frame(0x81, b"again"))).await;
    assert!(bare.next(DATA).await.unwrap().1.ends_with(b"again"));
    is_well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_before_the_200_is_kept_as_bytes_behind_an_upgrade_are() {
    let (address, _) = backend::echo().await;
    let gateway = Gateway::run(&config(address, ""));
    for path in ["/echo", "/relay"] {
        let mut bare = Bare::to(gateway.address("public")).await;
        let early = frame(DATA, 0, 1, &raw::frame(0x81, b"early"));
        bare.say(&[asking(&[(":path", path)]), early].concat()).await;
        let (_, payload) = bare.next(DATA).await.unwrap();
        assert!(payload.ends_with(b"early"), "{path}: {payload:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_frame_of_data_is_nothing_and_many_are_too_many() {
    let gateway = gateway();
    let mut bare = Bare::to(gateway.address("public")).await;
    bare.say(&asking(&[])).await;
    bare.say(&frame(DATA, 0, 1, b"").repeat(2000)).await;
    assert_eq!(bare.goes_away().await, Some(ENHANCE_YOUR_CALM));
    let mut bare = Bare::to(gateway.address("public")).await;
    bare.say(&asking(&[])).await;
    bare.say(&[frame(DATA, 0, 1, b""), frame(DATA, 0, 1, &raw::frame(0x81, b"hello"))].concat()).await;
    assert!(bare.next(DATA).await.unwrap().1.ends_with(b"hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_full_of_frames_of_one_byte_leave_the_other_streams_alone_and_are_read_once_there_is_somebody() {
    let (answer, is_answered) = tokio::sync::watch::channel(false);
    let backend = backend::scripted(move |mut stream: TcpStream| {
        let mut is_answered = is_answered.clone();
        async move {
            let head = backend::read_head(&mut stream).await;
            is_answered.wait_for(|is_answered| *is_answered).await.unwrap();
            stream.write_all(backend::switching(&head).as_bytes()).await.unwrap();
            let sent = raw::next_frame(&mut stream).await;
            stream.write_all(&raw::unmasked(0x81, format!("{} bytes", sent.1.len()).as_bytes())).await.unwrap();
            raw::rest(&mut stream).await;
        }
    })
    .await;
    let gateway = Gateway::run(&config(backend, ""));
    let mut bare = Bare::to(gateway.address("public")).await;
    // Nobody reads them: their backend has not answered.
    let message = raw::frame(0x82, &[1; 60_000]);
    for stream in [1, 3] {
        let asks = asking_over(stream, &[(":path", "/relay")]);
        let bytes: Vec<u8> = message.iter().flat_map(|byte| frame(DATA, 0, stream, &[*byte])).collect();
        bare.say(&[asks, bytes].concat()).await;
    }
    let hello = frame(DATA, 0, 5, &raw::frame(0x81, b"hello"));
    bare.say(&[asking_over(5, &[]), hello].concat()).await;
    let (stream, answered) = bare.next(DATA).await.unwrap();
    assert!(stream == 5 && answered.ends_with(b"hello"), "{stream}: {answered:?}");
    answer.send_replace(true);
    for _ in [1, 3] {
        let (stream, answered) = bare.next(DATA).await.unwrap();
        assert!(stream < 5 && answered.ends_with(b"60000 bytes"), "{stream}: {answered:?}");
    }
}
