//! What a client is answered over HTTP: the 101, and refusals, the latter from one source in two forms.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::stage::Refusal;
use crate::stage::refusal::{self, Body};

use super::fields::{has_token, write, write_field};
use super::upgrade::VERSION;

/// `Retry-After` where a refusal that will pass says no time of its own, before its jitter.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// At most so many seconds are added to it, so that those refused together do not come back together.
pub const RETRY_JITTER: u64 = 5;

/// The 101 that completes a handshake (RFC 6455 §4.2.2).
///
/// `headers` are further fields of the answer, as a backend's own; those that the upgrade itself needs are set here.
#[must_use]
pub fn switching(
    accept: &str,
    subprotocol: Option<HeaderValue>,
    extensions: Option<HeaderValue>,
    mut headers: HeaderMap,
) -> Response<Bytes> {
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    // An accept key is base64, which every field value can hold.
    let accept = HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static(""));
    let own = [
        (header::SEC_WEBSOCKET_ACCEPT, Some(accept)),
        (header::SEC_WEBSOCKET_PROTOCOL, subprotocol),
        (header::SEC_WEBSOCKET_EXTENSIONS, extensions),
    ];
    for (name, value) in own {
        headers.remove(&name);
        headers.extend(value.map(|value| (name, value)));
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}

/// A refusal, to be written by an [`Exchange`](super::handshake::Exchange).
///
/// The refusal's id is told in the body. A row without a status should not get here; it is answered 500.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Response<Bytes> {
    refusal_as(refusal, refusal.outcome.status, UPGRADE_HINT)
}

/// The same over HTTP/2.
#[must_use]
pub fn refusal_over_h2(refusal: &Refusal) -> Response<Bytes> {
    let mut response = refusal_as(refusal, status_over_h2(refusal), CONNECT_HINT);
    if refusal.outcome.id == refusal::UPGRADE_REQUIRED.id {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("CONNECT"));
    }
    if refusal.outcome.id == refusal::BAD_VERSION.id {
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    }
    response
}

/// The status of a refusal over HTTP/2. There is nothing to upgrade there, so no 426: what is at such an address knows one method, the
/// extended CONNECT (RFC 8441 §4), and one version.
#[must_use]
pub fn status_over_h2(refusal: &Refusal) -> Option<u16> {
    match refusal.outcome.id {
        id if id == refusal::UPGRADE_REQUIRED.id => Some(StatusCode::METHOD_NOT_ALLOWED.as_u16()),
        id if id == refusal::BAD_VERSION.id => Some(StatusCode::BAD_REQUEST.as_u16()),
        _ => refusal.outcome.status,
    }
}

fn refusal_as(refusal: &Refusal, status: Option<u16>, hint: &str) -> Response<Bytes> {
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (content_type, body) = body(status, refusal, hint);
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    match status {
        StatusCode::UNAUTHORIZED => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge(refusal)))),
        StatusCode::FORBIDDEN if refusal.outcome.id == refusal::SCOPE_INSUFFICIENT.id => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="insufficient_scope""#));
        }
        StatusCode::METHOD_NOT_ALLOWED => drop(headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"))),
        StatusCode::UPGRADE_REQUIRED => {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade, close"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        }
        _ => {}
    }
    if let Some(seconds) = retry_after(status, refusal.retry_after) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(words) = &refusal.telling.words {
        *response.status_mut() = words.status;
        *response.body_mut() = words.body.clone();
        let headers = response.headers_mut();
        for name in words.headers.keys() {
            headers.remove(name);
        }
        headers.extend(words.headers.clone());
        if words.body.is_empty() {
            headers.remove(header::CONTENT_TYPE);
        }
    }
    response
}

/// The same refusal as bytes, for a client whose head was never parsed.
#[must_use]
pub fn raw(refused: &Refusal) -> Vec<u8> {
    encode(refusal(refused), refused.telling.bodiless)
}

/// An answer as bytes. The fields of its length are its body's, and it says that the connection ends with it, unless it is a 101; the
/// answer to a HEAD has the length without the body (RFC 9110 §9.3.2).
pub(super) fn encode(response: Response<Bytes>, is_bodiless: bool) -> Vec<u8> {
    let (Parts { status, mut headers, .. }, body) = response.into_parts();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER] {
        headers.remove(name);
    }
    let mut bytes = Vec::with_capacity(ANSWER + body.len());
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(status.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(status.canonical_reason().unwrap_or("Refused").as_bytes());
    bytes.extend_from_slice(b"\r\n");
    write(&mut bytes, &headers);
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if !has_token(&headers, &header::CONNECTION, "close") {
            write_field(&mut bytes, "connection", b"close");
        }
        // RFC 9110 §8.6: a 204 has no body, and no length of one.
        if status != StatusCode::NO_CONTENT {
            write_field(&mut bytes, "content-length", body.len().to_string().as_bytes());
        }
        if let Some(date) = date(SystemTime::now()).filter(|_| !headers.contains_key(header::DATE)) {
            write_field(&mut bytes, "date", date.as_bytes());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    if !is_bodiless {
        bytes.extend_from_slice(&body);
    }
    bytes
}

/// What an ordinary request is told beside its refusal, in either version of HTTP.
const UPGRADE_HINT: &str = "Connect with a WebSocket client: the request needs `Connection: Upgrade` and `Upgrade: websocket`.\n";
const CONNECT_HINT: &str =
    "Connect with a WebSocket client: over HTTP/2 the request is a CONNECT with `:protocol` \"websocket\" (RFC 8441).\n";

/// What most answers fit in, without their body, in bytes.
const ANSWER: usize = 256;

/// The body and its type.
fn body(status: StatusCode, refusal: &Refusal, hint: &str) -> (&'static str, String) {
    let (id, reason) = (refusal.outcome.id, &refusal.reason);
    match refusal.telling.body {
        Body::Json => ("application/json", json!({ "error": id, "message": reason }).to_string() + "\n"),
        Body::Text => {
            let hint = if id == refusal::UPGRADE_REQUIRED.id { hint } else { "" };
            ("text/plain; charset=utf-8", format!("{} {reason} ({id})\n{hint}", status.as_u16()))
        }
    }
}

/// How a 401 asks for a credential (RFC 6750 §3.1): without an error where none was sent.
fn challenge(refusal: &Refusal) -> &'static str {
    let bad = [refusal::TOKEN_EXPIRED.id, refusal::TOKEN_INVALID.id].contains(&refusal.outcome.id);
    if bad { r#"Bearer error="invalid_token""# } else { "Bearer" }
}

/// Whole seconds, rounded up, where the refusal says when to come back or its status promises that it will pass.
fn retry_after(status: StatusCode, told: Option<Duration>) -> Option<u64> {
    let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match (told, status) {
        (Some(time), _) => Some(seconds(time).max(1)),
        (None, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            Some(seconds(RETRY_AFTER) + rand::random_range(0..=RETRY_JITTER))
        }
        _ => None,
    }
}

/// A moment as the value of a `Date`.
pub(super) fn dated(now: SystemTime) -> Option<HeaderValue> {
    HeaderValue::try_from(date(now)?).ok()
}

/// A moment as `Date` writes it (RFC 9110 §5.6.7): RFC 2822's form, with `GMT` for its offset.
fn date(now: SystemTime) -> Option<String> {
    let text = OffsetDateTime::from(now).format(&Rfc2822).ok()?;
    Some(text.strip_suffix("+0000")?.to_owned() + "GMT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::refusal::*;

    fn told(refusal: &Refusal) -> (u16, String) {
        let response = super::refusal(refusal);
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    fn field<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn every_row_is_answered_with_its_status_and_its_id() {
        for row in TABLE {
            let (status, body) = told(&Refusal::new(*row));
            assert_eq!(status, row.status.unwrap_or(500), "{}", row.id);
            assert!(body.contains(&format!("({})", row.id)), "{body}");
        }
    }

    #[test]
    fn a_text_body_is_a_line_that_a_person_can_read() {
        assert_eq!(told(&Refusal::new(IP_DENIED)), (403, "403 forbidden (ip_denied)\n".to_owned()));
    }

    #[test]
    fn a_json_body_holds_the_id_and_the_words_whatever_they_are() {
        let mut refusal = Refusal::new(FORBIDDEN);
        refusal.telling.body = Body::Json;
        refusal.reason = "\"no\"\r\nX: y".into();
        let body: serde_json::Value = serde_json::from_str(&told(&refusal).1).unwrap();
        assert_eq!(body, json!({ "error": "forbidden", "message": "\"no\"\r\nX: y" }));
    }

    #[test]
    fn a_401_says_whether_there_was_a_token() {
        let rows = [
            (TOKEN_MISSING, "Bearer"),
            (TOKEN_EXPIRED, r#"Bearer error="invalid_token""#),
            (TOKEN_INVALID, r#"Bearer error="invalid_token""#),
            (SCOPE_INSUFFICIENT, r#"Bearer error="insufficient_scope""#),
            (Outcome { id: "plugin", status: Some(401), ..FORBIDDEN }, "Bearer"),
        ];
        for (row, expected) in rows {
            assert_eq!(field(&super::refusal(&Refusal::new(row)), "www-authenticate"), Some(expected), "{}", row.id);
        }
        assert_eq!(field(&super::refusal(&Refusal::new(IP_DENIED)), "www-authenticate"), None);
    }

    #[test]
    fn a_426_says_what_to_upgrade_to() {
        for row in [UPGRADE_REQUIRED, BAD_VERSION] {
            let response = super::refusal(&Refusal::new(row));
            assert_eq!(field(&response, "upgrade"), Some("websocket"));
            assert_eq!(field(&response, "connection"), Some("Upgrade, close"));
            assert_eq!(field(&response, "sec-websocket-version"), Some("13"));
        }
    }

    #[test]
    fn a_405_says_what_is_allowed() {
        assert_eq!(field(&super::refusal(&Refusal::new(METHOD_NOT_ALLOWED)), "allow"), Some("GET, HEAD"));
    }

    #[test]
    fn refusals_that_pass_say_when_to_come_back() {
        let seconds = |refusal: &Refusal| field(&super::refusal(refusal), "retry-after").map(|value| value.parse::<u64>().unwrap());
        for row in [RATE_LIMITED, OVERLOADED, SHUTTING_DOWN] {
            assert!((5..=10).contains(&seconds(&Refusal::new(row)).unwrap()), "{}", row.id);
        }
        assert_eq!(seconds(&Refusal::new(IP_DENIED)), None);
        for (told, expected) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            let refusal = Refusal { retry_after: Some(Duration::from_millis(told)), ..Refusal::new(RATE_LIMITED) };
            assert_eq!(seconds(&refusal), Some(expected), "{told} ms");
        }
    }

    #[test]
    fn the_raw_form_is_the_same_answer() {
        for row in TABLE.iter().filter(|row| row.status.is_some()) {
            let refused = Refusal { retry_after: Some(Duration::from_secs(3)), ..Refusal::new(*row) };
            let bytes = raw(&refused);
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut parsed = httparse::Response::new(&mut fields);
            let end = parsed.parse(&bytes).unwrap().unwrap();
            let expected = super::refusal(&refused);
            assert_eq!(parsed.code, row.status);
            assert_eq!(bytes[end..], expected.body()[..]);
            for (name, value) in expected.headers() {
                assert!(
                    parsed.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name.as_str()) && field.value == value.as_bytes()),
                    "{name}"
                );
            }
            let length = parsed.headers.iter().find(|field| field.name == "Content-Length").unwrap();
            assert_eq!(length.value, (bytes.len() - end).to_string().as_bytes());
        }
    }

    #[test]
    fn a_date_is_written_as_http_writes_it() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date(moment).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn the_101_keeps_a_backends_own_fields_but_not_its_handshake() {
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", HeaderValue::from_static("a=b"));
        headers.insert("sec-websocket-extensions", HeaderValue::from_static("x"));
        headers.insert("connection", HeaderValue::from_static("close"));
        let response = switching("abc=", Some(HeaderValue::from_static("chat")), None, headers);
        assert_eq!(response.status(), 101);
        assert_eq!(field(&response, "set-cookie"), Some("a=b"));
        assert_eq!(field(&response, "sec-websocket-accept"), Some("abc="));
        assert_eq!(field(&response, "sec-websocket-protocol"), Some("chat"));
        assert_eq!(field(&response, "sec-websocket-extensions"), None);
        assert_eq!(field(&response, "connection"), Some("Upgrade"));
    }
}
