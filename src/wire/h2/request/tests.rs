use http::Request;

use super::super::super::head::{DEFAULT_MAX_HEAD, DEFAULT_MAX_HEADERS};
use super::*;

fn settled(uri: &str, fields: &[(&str, &str)], shape: impl FnOnce(&mut Parts)) -> Result<Parts, (&'static str, &'static str)> {
    let mut request = Request::builder().uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    shape(&mut parts);
    let limits = Limits::new(DEFAULT_MAX_HEAD, DEFAULT_MAX_HEADERS);
    let has_body = parts.method == Method::POST;
    judge(&mut parts, has_body, limits).map_err(|Flaw(outcome, rule)| (outcome.id, rule))?;
    Ok(parts)
}

fn extended(parts: &mut Parts) {
    parts.method = Method::CONNECT;
    parts.extensions.insert(Protocol::from_static("websocket"));
}

#[test]
fn an_extended_connect_reads_as_a_get_that_upgrades() {
    let parts = settled("https://Example.com:8443/chat?a=b", &[("sec-websocket-version", "13")], extended).unwrap();
    assert_eq!((parts.method, parts.uri.to_string()), (Method::GET, "/chat?a=b".to_owned()));
    let said = ["host", "upgrade", "connection", "sec-websocket-version"].map(|name| parts.headers[name].to_str().unwrap());
    assert_eq!(said, ["Example.com:8443", "websocket", "Upgrade", "13"]);
    assert!(parts.extensions.get::<Extended>().is_some() && parts.extensions.get::<Framing>().is_none());
}

#[test]
fn a_body_is_framed_by_its_length_or_in_chunks() {
    let post = |parts: &mut Parts| parts.method = Method::POST;
    let framing = |fields: &[(&str, &str)]| *settled("http://a/", fields, post).unwrap().extensions.get::<Framing>().unwrap();
    assert_eq!(framing(&[("content-length", "5")]), Framing::Length(5));
    assert_eq!(framing(&[]), Framing::Chunked);
}

#[test]
fn cookies_come_on_one_line_in_their_order() {
    let parts = settled("http://a/", &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")], |_| {}).unwrap();
    let cookies: Vec<_> = parts.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let rows: &[Row<'_>] = &[
        ("http://a/", &[("host", "b")], "a Host other than its :authority"),
        ("http://a/", &[("host", "a"), ("host", "a")], "two Host headers"),
        ("/", &[], "no :authority"),
        ("http://a@b/", &[], "a malformed :authority"),
        ("ftp://a/", &[], "a :scheme other than http and https"),
        ("http://a/", &[("x", "1 ")], "a blank around the value of a header"),
        ("http://a/", &[("content-length", "5"), ("content-length", "5")], "two Content-Length headers"),
        ("http://a/", &[("content-length", "+5")], "a malformed Content-Length"),
    ];
    for (uri, fields, rule) in rows {
        assert_eq!(settled(uri, fields, |_| {}).unwrap_err(), ("bad_handshake", *rule), "{uri} {fields:?}");
    }
    let other = settled("http://a/", &[], |parts| {
        parts.method = Method::CONNECT;
        parts.extensions.insert(Protocol::from_static("connect-udp"));
    });
    assert_eq!(other.unwrap_err(), ("bad_handshake", "a :protocol other than websocket"));
    assert_eq!(settled("http://a/", &[("content-length", "0")], extended).unwrap_err(), ("bad_handshake", "a body"));
    assert_eq!(settled("http://a/", &[], |parts| parts.method = Method::CONNECT).unwrap_err().0, "upgrade_required");
}

#[test]
fn a_host_that_says_what_the_authority_says_passes_and_so_does_one_in_its_place() {
    for (uri, host) in [("http://a:80/", "A:80"), ("/", "a:80")] {
        let parts = settled(uri, &[("host", host)], |_| {}).unwrap();
        assert_eq!(parts.headers.get_all("host").iter().count(), 1, "{uri}");
    }
}

#[test]
fn a_head_weighs_what_it_would_in_http_1_1() {
    let long = "x".repeat(DEFAULT_MAX_HEAD);
    assert_eq!(settled(&format!("http://a/{long}"), &[], |_| {}).unwrap_err().0, "uri_too_long");
    assert_eq!(settled("http://a/", &[("x", &long)], |_| {}).unwrap_err().0, "head_too_large");
    let value = &long[..DEFAULT_MAX_HEAD - "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len()];
    assert!(settled("http://a/", &[("x", value)], |_| {}).is_ok());
    assert_eq!(settled("http://a/_", &[("x", value)], |_| {}).unwrap_err().0, "head_too_large");
    let many = vec![("x", "1"); DEFAULT_MAX_HEADERS + 1];
    assert_eq!(settled("http://a/", &many, |_| {}).unwrap_err().0, "head_too_large");
    assert_eq!(settled("http://a/", &many[1..], |_| {}).unwrap_err().0, "head_too_large", "there is a Host");
    assert!(settled("http://a/", &many[2..], |_| {}).is_ok());
    let crumbs = vec![("cookie", "a=1"); DEFAULT_MAX_HEADERS + 1];
    assert!(settled("http://a/", &crumbs, |_| {}).is_ok(), "they are one line");
}
