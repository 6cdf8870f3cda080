//! A backend's answer to a request: its head is read and parsed, and where it declines an upgrade, its body.

use std::io;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use http::{Response, StatusCode, Version};
use tokio::io::AsyncRead;

use crate::wire::fields::strip_hop_by_hop;
use crate::wire::http::answer::asks_to_upgrade;
use crate::wire::http::decoder::{Decoder, Part};
use crate::wire::http::framing::Framing;
use crate::wire::http::source::Source;

use super::failure::Failure;

/// The largest head a backend may answer with, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The most headers it may have.
pub const MAX_HEADERS: usize = 128;
/// The largest body of a backend's own refusal that is passed on, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Read at a time; the usual 101 fits.
const CHUNK: usize = 1024;

const TOO_LARGE: Failure = Failure::Bad("an answer whose head is too large");
const NOT_HTTP: Failure = Failure::Bad("an answer that is not HTTP/1.1");

/// Reads the head of the answer to an upgrade: the first that is not informational (RFC 9110 §15.2). What came glued to it stays in the
/// source. Its fields share the head's memory, so they go before a relay starts. The deadline is the caller's.
///
/// # Errors
/// An end without an answer, or bytes that are none.
pub(super) async fn read<R: AsyncRead + Unpin>(source: &mut Source<R>) -> Result<Parts, Failure> {
    loop {
        let parts = head(source, Failure::from_exchange).await?;
        if !parts.status.is_informational() || parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(parts);
        }
    }
}

/// Reads the next head of an answer to an ordinary request, informational ones among them, and leaves what is behind it. The deadline is
/// the caller's.
///
/// Cancel-safe.
///
/// # Errors
/// The same as of [`read`].
pub(super) async fn next<R: AsyncRead + Unpin>(source: &mut Source<R>) -> Result<Parts, Failure> {
    head(source, |error| Failure::Unanswered(error.to_string())).await
}

async fn head<R: AsyncRead + Unpin>(source: &mut Source<R>, lost: impl Fn(&io::Error) -> Failure) -> Result<Parts, Failure> {
    let mut seen = 0;
    loop {
        let bytes = source.bytes();
        // A line that goes on tells nothing new; the first bytes tell whether it is HTTP at all.
        let is_news = seen == 0 || bytes.get(seen..).unwrap_or_default().contains(&b'\n');
        seen = bytes.len();
        if let Some(length) = if is_news && seen > 0 { length(bytes)? } else { None } {
            let head = Bytes::copy_from_slice(bytes.get(..length).unwrap_or_default());
            source.advance(length);
            return parse(&head).ok_or(NOT_HTTP);
        }
        if seen > MAX_HEAD {
            return Err(TOO_LARGE);
        }
        match source.fill(CHUNK).await {
            Ok(1..) => {}
            Ok(0) => return Err(Failure::Unanswered("the connection was closed".to_owned())),
            Err(error) => return Err(lost(&error)),
        }
    }
}

/// How long the head is that the bytes begin with; none where it is not whole.
fn length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::Response::new(&mut fields).parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length > MAX_HEAD => Err(TOO_LARGE),
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(TOO_LARGE),
        Err(_) => Err(NOT_HTTP),
    }
}

fn parse(head: &Bytes) -> Option<Parts> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(head).ok()?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(parsed.code?).ok()?;
    parts.version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?);
    }
    Some(parts)
}

/// A backend's own refusal. Of its body the client gets all or, where it is too large or broken, nothing, and then no fields on it. The
/// deadline is the caller's.
pub(super) async fn declined<R: AsyncRead + Unpin>(source: &mut Source<R>, parts: Parts) -> Response<Bytes> {
    let body = body(source, &parts).await;
    refusal(parts, body)
}

/// The refusal as the client gets it; `None` where its body is not had.
pub(super) fn refusal(mut parts: Parts, body: Option<Bytes>) -> Response<Bytes> {
    let upgrades = asks_to_upgrade(parts.status, &parts.headers);
    strip_hop_by_hop(&mut parts.headers);
    if upgrades {
        parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    if body.is_none() {
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_RANGE, header::CONTENT_LANGUAGE, header::ETAG] {
            parts.headers.remove(name);
        }
    }
    let mut response = Response::new(body.unwrap_or_default());
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}

/// The body of an answer; none where it is too large, broken, or could end in two places.
async fn body<R: AsyncRead + Unpin>(source: &mut Source<R>, parts: &Parts) -> Option<Bytes> {
    let mut decoder = Decoder::new(Framing::of_answer(parts, false).ok()?);
    let mut body = Vec::new();
    loop {
        match decoder.next(source.bytes()).ok()? {
            Part::Data { skip, length } => {
                source.advance(skip);
                body.extend_from_slice(source.bytes().get(..length).unwrap_or_default());
                source.advance(length);
                if body.len() > MAX_BODY {
                    return None;
                }
            }
            Part::End { .. } => return Some(body.into()),
            Part::More { skip } => {
                source.advance(skip);
                match source.fill(CHUNK).await {
                    Ok(1..) => {}
                    Ok(0) if decoder.ends_with_connection() => return Some(body.into()),
                    Ok(0) | Err(_) => return None,
                }
            }
        }
    }
}
