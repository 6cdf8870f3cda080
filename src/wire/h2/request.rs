//! A request of HTTP/2 as HTTP/1.1 would have put it, held to the same rules: what judges requests, and the servers behind, know no other.
//!
//! The `h2` crate has judged what can be wrong with HTTP/2 itself: pseudo-header fields, names in upper case, fields of one connection, a body
//! of another length than told. It resets such a stream (RFC 9113 §8.1.1).

use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use crate::stage::Refusal;
use crate::stage::path::is_target;
use crate::stage::refusal::{BAD_HANDSHAKE, HEAD_TOO_LARGE, UPGRADE_REQUIRED, URI_TOO_LONG};

use super::super::flaw::Flaw;
use super::super::head::Limits;
use super::super::http::framing::{Framing, digits};
use super::super::strict::is_host;
use super::super::upgrade::OTHER_METHOD;

/// That a request asked for WebSocket by an extended CONNECT, which has no key (RFC 8441 §5). It reads as a GET that upgrades.
#[derive(Clone, Copy, Debug)]
pub struct Extended;

/// What a field weighs in a head beside its name and value: `: ` and the line's end.
const LINE: usize = 4;

/// Judges a request and makes of it what HTTP/1.1 would have said; `has_body` where its stream goes on behind its head.
///
/// # Errors
/// The refusal of one that is not well-formed, or larger than the limits.
pub fn settle(parts: &mut Parts, has_body: bool, limits: Limits) -> Result<(), Box<Refusal>> {
    Ok(judge(parts, has_body, limits)?)
}

fn judge(parts: &mut Parts, has_body: bool, limits: Limits) -> Result<(), Flaw> {
    parts.headers.insert(header::HOST, host(parts)?);
    join_cookies(&mut parts.headers)?;
    let target = parts.uri.path_and_query().filter(|_| parts.uri.authority().is_some() || parts.method != Method::CONNECT);
    let Some(target) = target.filter(|target| target.as_str().starts_with('/')).cloned() else {
        return Err(Flaw(UPGRADE_REQUIRED, OTHER_METHOD));
    };
    if !is_target(target.as_str().as_bytes()) {
        return bad("a byte in the target that must be percent-encoded");
    }
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return bad("a :scheme other than http and https");
    }
    let length = length(&parts.headers)?;
    match parts.extensions.remove::<Protocol>() {
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => extend(parts, length)?,
        Some(_) => return bad("a :protocol other than websocket"),
        None if parts.method == Method::CONNECT => return Err(Flaw(UPGRADE_REQUIRED, OTHER_METHOD)),
        None if has_body => drop(parts.extensions.insert(length.map_or(Framing::Chunked, Framing::Length))),
        None => {}
    }
    parts.uri = Uri::from(target);
    weigh(parts, limits)
}

fn bad<T>(rule: &'static str) -> Result<T, Flaw> {
    Err(Flaw(BAD_HANDSHAKE, rule))
}

/// Holds the head, as HTTP/1.1 would have put it, to what it weighs there.
fn weigh(parts: &Parts, limits: Limits) -> Result<(), Flaw> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = parts.method.as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len();
    if line > limits.max_head {
        return Err(Flaw(URI_TOO_LONG, "a request line longer than `max_head`"));
    }
    if parts.headers.len() > limits.max_headers {
        return Err(Flaw(HEAD_TOO_LARGE, "more headers than `max_headers`"));
    }
    let fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE).sum();
    if line + fields + "\r\n".len() > limits.max_head {
        return Err(Flaw(HEAD_TOO_LARGE, "a head larger than `max_head`"));
    }
    Ok(())
}

/// Whom the request is for: its `:authority`, and a `Host` beside it says the same (RFC 9113 §8.3.1).
fn host(parts: &Parts) -> Result<HeaderValue, Flaw> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let host = match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return bad("two Host headers"),
        (None, None, None) => return bad("no :authority"),
        (Some(authority), Some(host), None) if !authority.eq_ignore_ascii_case(host) => return bad("a Host other than its :authority"),
        (Some(host), _, None) | (None, Some(host), None) => host,
    };
    if !is_host(host) {
        return bad("a malformed :authority");
    }
    HeaderValue::from_bytes(host).map_err(|_| Flaw(BAD_HANDSHAKE, "a malformed :authority"))
}

/// Cookies may come on several lines in HTTP/2, and may not in HTTP/1.1 (RFC 9113 §8.2.3). No value begins or ends with a blank.
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Flaw> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if headers.values().any(|value| is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last())) {
        return bad("a blank around the value of a header");
    }
    if headers.get_all(header::COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| Flaw(BAD_HANDSHAKE, "a malformed Cookie"))?;
        headers.insert(header::COOKIE, cookie);
    }
    Ok(())
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Flaw> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => bad("two Content-Length headers"),
        (Some(line), None) => digits(line.as_bytes()).map(Some).ok_or(Flaw(BAD_HANDSHAKE, "a malformed Content-Length")),
    }
}

/// It is a GET that upgrades, but for the key.
fn extend(parts: &mut Parts, length: Option<u64>) -> Result<(), Flaw> {
    if length.is_some() {
        return bad("a body");
    }
    parts.method = Method::GET;
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.extensions.insert(Extended);
    Ok(())
}

#[cfg(test)]
mod tests;
