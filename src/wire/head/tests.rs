//! Heads, row by row: what is refused and as what, and that nothing else depends on how the bytes arrive.

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

async fn read(mut bytes: &[u8], limits: Limits) -> Result<Head, Unread> {
    Reader::new(limits).read(&mut bytes).await
}

/// The outcome's id and the rule; `""` where the head is taken.
async fn verdict(bytes: &[u8]) -> (String, String) {
    match read(bytes, Limits::default()).await {
        Ok(_) => (String::new(), String::new()),
        Err(Unread::Refused(refusal)) => (refusal.outcome.id.to_owned(), refusal.rule.unwrap_or_default().into()),
        Err(other) => (format!("{other:?}"), String::new()),
    }
}

/// The good head with its request line or a header line in place of the usual ones.
fn with(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}\r\n").into_bytes()
}

const LINE: &str = "GET /chat?x=1 HTTP/1.1";
const HOST: &str = "Host: a.example\r\n";

#[tokio::test]
async fn well_formed_heads_are_taken() {
    let lines = [
        LINE,
        "GET / HTTP/1.1",
        "GET //a HTTP/1.1",
        "GET /%C3%A9/~a?{}=/?&|^ HTTP/1.1",
        "GET /? HTTP/1.1",
        "HEAD / HTTP/1.1",
        "POST / HTTP/1.1",
        "get / HTTP/1.1",
    ];
    let headers = [
        "Host: a.example\r\n",
        "hOsT:a.example:8080\r\n",
        "Host: 127.0.0.1:80 \r\n",
        "Host: [::1]:65535\r\n",
        "Host: [2001:db8::7]\r\n",
        "Host: my_host-1~\r\n",
        "Host: a\r\nContent-Length: 0\r\n",
        "Host: a\r\nX-Empty:\r\nX-Blank: \t \r\nX-Inner: a\tb  c\r\n",
        "Host: a\r\nX-Latin: caf\u{e9}\r\n",
        "Host: a\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n",
        "Host: a\r\nExpect: 100-continue\r\n",
    ];
    for line in lines {
        assert_eq!(verdict(&with(line, HOST)).await.0, "", "{line}");
    }
    for lines in headers {
        assert_eq!(verdict(&with(LINE, lines)).await.0, "", "{lines:?}");
    }
}

#[tokio::test]
async fn request_lines_that_are_no_handshakes_are_refused_with_the_rule() {
    let rows = [
        ("CONNECT a:1 HTTP/1.1", "a method other than GET"),
        ("OPTIONS * HTTP/1.1", "a method other than GET"),
        ("G(T / HTTP/1.1", "a malformed method"),
        (" GET / HTTP/1.1", "a request line that is not `method target version`"),
        ("GET  / HTTP/1.1", "a request line that is not `method target version`"),
        ("GET / HTTP/1.1 ", "a request line that is not `method target version`"),
        ("GET /", "a request line that is not `method target version`"),
        ("GET", "a request line that is not `method target version`"),
        ("GET\t/ HTTP/1.1", "a request line that is not `method target version`"),
        ("GET / HTTP/1.2", "a version other than HTTP/1.1"),
        ("GET / HTTP/2", "a version other than HTTP/1.1"),
        ("GET / http/1.1", "a version other than HTTP/1.1"),
        ("GET / HTTP/11", "a version other than HTTP/1.1"),
        ("PRI * HTTP/2.0", "HTTP/2 where HTTP/1.1 is spoken"),
        ("GET http://a.example/ HTTP/1.1", "a target that does not begin with /"),
        ("GET * HTTP/1.1", "a target that does not begin with /"),
        ("GET chat HTTP/1.1", "a target that does not begin with /"),
        ("GET ?x HTTP/1.1", "a target that does not begin with /"),
        ("GET /#x HTTP/1.1", "a fragment in the target"),
        ("GET /a?b#c HTTP/1.1", "a fragment in the target"),
        ("GET /caf\u{e9} HTTP/1.1", "a byte in the target that must be percent-encoded"),
        ("GET /a\tb HTTP/1.1", "a byte in the target that must be percent-encoded"),
        ("GET /<a> HTTP/1.1", "a byte in the target that must be percent-encoded"),
        ("GET /a\0 HTTP/1.1", "a NUL"),
        ("GET /\x08 HTTP/1.1", "a control byte"),
        ("GET /\x7f HTTP/1.1", "a control byte"),
        ("", "an empty line before the request line"),
    ];
    for (line, rule) in rows {
        let id = if rule == "a method other than GET" { "upgrade_required" } else { "bad_handshake" };
        assert_eq!(verdict(&with(line, HOST)).await, (id.to_owned(), rule.to_owned()), "{line:?}");
    }
}

#[tokio::test]
async fn a_body_is_announced_in_one_way_whatever_the_method() {
    for (body, framing) in [
        ("", Framing::Nothing),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("Content-Length: 00\r\n", Framing::Length(0)),
        ("Content-Length: 5\r\n", Framing::Length(5)),
        ("Content-Length: 123456789012345678\r\n", Framing::Length(123_456_789_012_345_678)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding:\tChunked \r\n", Framing::Chunked),
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let head = read(&with(&format!("{method} / HTTP/1.1"), &format!("{HOST}{body}")), Limits::default()).await.unwrap();
            assert_eq!(head.framing, framing, "{method} {body}");
        }
    }
    assert!(read(&with("GET / HTTP/1.0", HOST), Limits::default()).await.is_ok());
    let chunked = with("GET / HTTP/1.0", &format!("{HOST}Transfer-Encoding: chunked\r\n"));
    assert_eq!(verdict(&chunked).await.1, "a Transfer-Encoding in HTTP/1.0");
}

#[tokio::test]
async fn header_lines_that_can_be_read_in_two_ways_are_refused_with_the_rule() {
    let rows = [
        ("", "no Host header"),
        ("Host: a\r\nHost: a\r\n", "two Host headers"),
        ("Host: a\r\nhost: b\r\n", "two Host headers"),
        ("Host:\r\n", "a malformed Host header"),
        ("Host: a, b\r\n", "a malformed Host header"),
        ("Host: a b\r\n", "a malformed Host header"),
        ("Host: a/b\r\n", "a malformed Host header"),
        ("Host: u@a\r\n", "a malformed Host header"),
        ("Host: [::1\r\n", "a malformed Host header"),
        ("Host: [::1]x\r\n", "a malformed Host header"),
        ("Host: [a.example]\r\n", "a malformed Host header"),
        ("Host: ::1\r\n", "a malformed Host header"),
        ("Host: a:\r\n", "a malformed Host header"),
        ("Host: a:b\r\n", "a malformed Host header"),
        ("Host: a:+80\r\n", "a malformed Host header"),
        ("Host: a:65536\r\n", "a malformed Host header"),
        ("Host: :80\r\n", "a malformed Host header"),
        ("Host: caf\u{e9}\r\n", "a malformed Host header"),
        ("Host: a\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n", "a Transfer-Encoding beside a Content-Length"),
        ("Host: a\r\nContent-Length: 0\r\ntransfer-encoding: chunked\r\n", "a Transfer-Encoding beside a Content-Length"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", "a Transfer-Encoding other than chunked"),
        ("Host: a\r\nTransfer-Encoding:\r\n", "a Transfer-Encoding other than chunked"),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "two Transfer-Encoding headers"),
        ("Host: a\r\nContent-Length: +5\r\n", "a malformed Content-Length"),
        ("Host: a\r\nContent-Length: 1234567890123456789\r\n", "a malformed Content-Length"),
        ("Host: a\r\nContent-Length:\r\n", "a malformed Content-Length"),
        ("Host: a\r\nContent-Length: 0, 0\r\n", "a malformed Content-Length"),
        ("Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n", "two Content-Length headers"),
        ("Host: a\r\n folded\r\n", "a folded header line"),
        ("Host: a\r\n\tfolded\r\n", "a folded header line"),
        (" Host: a\r\n", "a folded header line"),
        ("Host : a\r\n", "a blank between header name and colon"),
        ("Host: a\r\nX\t: b\r\n", "a blank between header name and colon"),
        ("Host: a\r\n: b\r\n", "a header without a name"),
        ("Host: a\r\nno colon\r\n", "a header line without a colon"),
        ("Host: a\r\nX(y): b\r\n", "a byte in a header name that no name can hold"),
        ("Host: a\r\nX y: b\r\n", "a byte in a header name that no name can hold"),
        ("Host: a\r\n\u{e9}: b\r\n", "a byte beyond ASCII in a header name"),
        ("Host: a\nX: b\r\n", "a bare LF"),
        ("Host: a\rX: b\r\n", "a bare CR"),
        ("Host: a\r\r\n", "a bare CR"),
        ("Host: a\r\nX: a\0b\r\n", "a NUL"),
        ("Host: a\r\nX: a\x0bb\r\n", "a control byte"),
        ("Host: a\r\nX: a\x7fb\r\n", "a control byte"),
    ];
    for (headers, rule) in rows {
        assert_eq!(verdict(&with(LINE, headers)).await, ("bad_handshake".to_owned(), rule.to_owned()), "{headers:?}");
    }
}

#[tokio::test]
async fn a_byte_that_no_head_can_hold_is_refused_without_waiting_for_more() {
    let rows: [(&[u8], &str); 4] = [
        (b"\x16\x03\x01\x02\x00\x01", "TLS where plain HTTP is spoken"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "a bare LF"),
        (b"\r\n", "an empty line before the request line"),
        (b"\0", "a NUL"),
    ];
    for (bytes, rule) in rows {
        let (mut client, mut server) = tokio::io::duplex(256);
        client.write_all(bytes).await.unwrap();
        let Err(Unread::Refused(refusal)) = Reader::new(Limits::default()).read(&mut server).await else { panic!("{rule}") };
        assert_eq!(refusal.rule.as_deref(), Some(rule));
    }
}

#[tokio::test]
async fn each_bound_has_its_own_refusal() {
    let limits = Limits::new(256, 4);
    let headers = |count: usize| "X: y\r\n".repeat(count);
    let rows = [
        (with(&format!("GET /{} HTTP/1.1", "a".repeat(300)), HOST), "uri_too_long"),
        (format!("GET /{}", "a".repeat(251)).into_bytes(), "uri_too_long"),
        (with(LINE, &format!("{HOST}X: {}\r\n", "a".repeat(300))), "head_too_large"),
        (with(LINE, &format!("{HOST}{}", headers(4))), "head_too_large"),
        (with(LINE, &format!("{HOST}{}", headers(3))), ""),
        (with(LINE, &format!("{HOST}X: {}\r\nY: \0", "a".repeat(300))), "head_too_large"),
    ];
    for (bytes, expected) in rows {
        // Read by and by, and with what came before it.
        let read = [read(&bytes, limits).await, Reader::begin_with(limits, bytes.clone()).read(&mut tokio::io::empty()).await];
        for read in read {
            let id = match read {
                Ok(_) => "",
                Err(Unread::Refused(refusal)) => refusal.outcome.id,
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(id, expected, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[tokio::test]
async fn a_head_of_exactly_the_bound_is_taken() {
    let head = with(LINE, HOST);
    assert!(read(&head, Limits::new(head.len(), 1)).await.is_ok());
    assert!(matches!(read(&head, Limits::new(head.len() - 1, 1)).await, Err(Unread::Refused(_))));
}

#[tokio::test]
async fn a_client_that_goes_is_told_apart_by_whether_it_had_begun() {
    assert!(matches!(read(b"", Limits::default()).await, Err(Unread::Nothing)));
    assert!(matches!(read(b"G", Limits::default()).await, Err(Unread::Cut)));
    assert!(matches!(read(b"GET / HTTP/1.1\r\nHost: a\r\n\r", Limits::default()).await, Err(Unread::Cut)));
}

#[tokio::test]
async fn what_came_behind_the_head_is_kept() {
    let head = read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x00\r\n\r\n", Limits::default()).await.unwrap();
    assert!(head.bytes.ends_with(b"a\r\n\r\n"));
    assert_eq!(head.surplus, b"\x81\x00\r\n\r\n");
    assert_eq!(head.lines, 2);
}

#[tokio::test]
async fn a_reader_that_was_cancelled_goes_on_where_it_stopped() {
    let (mut client, mut server) = tokio::io::duplex(256);
    let mut reader = Reader::new(Limits::default());
    assert!(reader.is_empty());
    for part in [&b"GET / HT"[..], b"TP/1.1\r", b"\nHost: a\r\n\r"] {
        client.write_all(part).await.unwrap();
        // Polled until it has read everything, then dropped.
        tokio::select! { biased; read = reader.read(&mut server) => panic!("{read:?}"), () = std::future::ready(()) => {} }
        assert!(!reader.is_empty());
    }
    client.write_all(b"\n").await.unwrap();
    assert_eq!(reader.read(&mut server).await.unwrap().bytes, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn limits_stay_within_what_can_be_carried() {
    assert_eq!(Limits::new(usize::MAX, usize::MAX), Limits::new(LARGEST_MAX_HEAD, LARGEST_MAX_HEADERS));
}

/// A head out of good and bad pieces.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"X: y\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_where_the_bytes_are_cut(bytes in pieces(), cut in 0usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = runtime.block_on(read(&bytes, Limits::default()));
        let cut = cut.min(bytes.len());
        let mut chained = bytes[..cut].chain(&bytes[cut..]);
        let parts = runtime.block_on(Reader::new(Limits::default()).read(&mut chained));
        match (whole, parts) {
            (Ok(whole), Ok(parts)) => prop_assert_eq!(whole.bytes, parts.bytes),
            (Err(Unread::Refused(whole)), Err(Unread::Refused(parts))) => prop_assert_eq!(whole.rule, parts.rule),
            (Err(Unread::Nothing), Err(Unread::Nothing)) | (Err(Unread::Cut), Err(Unread::Cut)) => {}
            (whole, parts) => prop_assert!(false, "{:?} and {:?}", whole, parts),
        }
    }
}
