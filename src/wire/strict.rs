//! Judges a whole request head by its bytes, before any parser that would be lenient sees it.
//!
//! The line ends and control bytes have been judged while the head was read; what is left is the grammar of RFC 9112 §3, §5 and §6,
//! narrowed to what has one reading: one host, and one place where the body ends.

use std::net::Ipv6Addr;

use crate::stage::path::is_target;
use crate::stage::refusal::{BAD_HANDSHAKE, UPGRADE_REQUIRED};

use super::fields::{is_token, is_token_byte};
use super::flaw::Flaw;
use super::http::framing::{Framing, digits};
use super::upgrade::OTHER_METHOD;

type Check<T = ()> = Result<T, Flaw>;

fn bad<T>(rule: &'static str) -> Check<T> {
    Err(Flaw(BAD_HANDSHAKE, rule))
}

/// Judges a head that ends with its empty line, and tells how its body is delimited.
pub(super) fn check(head: &[u8]) -> Check<Framing> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let version = request_line(lines.next().unwrap_or_default())?;

    let (mut host, mut length, mut coding) = (None, None, None);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = field(line)?;
        for (field, found, twice) in [
            ("host", &mut host, "two Host headers"),
            ("content-length", &mut length, "two Content-Length headers"),
            ("transfer-encoding", &mut coding, "two Transfer-Encoding headers"),
        ] {
            if name.eq_ignore_ascii_case(field.as_bytes()) && found.replace(value).is_some() {
                return bad(twice);
            }
        }
    }
    match host {
        None => return bad("no Host header"),
        Some(host) if !is_host(host) => return bad("a malformed Host header"),
        Some(_) => {}
    }
    match (length, coding) {
        (None, None) => Ok(Framing::Nothing),
        (Some(_), Some(_)) => bad("a Transfer-Encoding beside a Content-Length"),
        (Some(length), None) => digits(length).map(Framing::Length).ok_or(Flaw(BAD_HANDSHAKE, "a malformed Content-Length")),
        (None, Some(_)) if version == b"HTTP/1.0" => bad("a Transfer-Encoding in HTTP/1.0"),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, Some(_)) => bad("a Transfer-Encoding other than chunked"),
    }
}

/// `GET target HTTP/1.1`, one space between (RFC 9112 §3); gives the version. A method other than GET and HTTP/1.0 are let through where
/// the target is a path: whether they are answered there is known once it is routed.
fn request_line(line: &[u8]) -> Check<&[u8]> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return bad("a request line that is not `method target version`");
    };
    match (method, version) {
        (b"PRI", b"HTTP/2.0") => return bad("HTTP/2 where HTTP/1.1 is spoken"),
        (_, b"HTTP/1.0" | b"HTTP/1.1") => {}
        _ => return bad("a version other than HTTP/1.1"),
    }
    if !is_token(method) {
        return bad("a malformed method");
    }
    if !target.starts_with(b"/") {
        return if method == b"GET" { bad("a target that does not begin with /") } else { Err(Flaw(UPGRADE_REQUIRED, OTHER_METHOD)) };
    }
    if target.contains(&b'#') {
        return bad("a fragment in the target");
    }
    if !is_target(target) {
        return bad("a byte in the target that must be percent-encoded");
    }
    Ok(version)
}

/// A header line's name and value, without the blanks around the value (RFC 9112 §5).
pub(super) fn field(line: &[u8]) -> Check<(&[u8], &[u8])> {
    let Some((name, value)) = line.iter().position(|byte| *byte == b':').and_then(|colon| line.split_at_checked(colon)) else {
        return bad("a header line without a colon");
    };
    match name.last() {
        None => return bad("a header without a name"),
        Some(b' ' | b'\t') => return bad("a blank between header name and colon"),
        Some(_) => {}
    }
    match name.iter().find(|byte| !is_token_byte(**byte)) {
        Some(0x80..) => bad("a byte beyond ASCII in a header name"),
        Some(_) => bad("a byte in a header name that no name can hold"),
        None => Ok((name, without_blanks(value.get(1..).unwrap_or_default()))),
    }
}

/// Without the blanks around it. A CR or a form feed is none, and what is left of it is no value.
fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether this is `host` or `host:port` (RFC 9110 §7.2), the host a name, an IPv4 or a bracketed IPv6 address. Narrower than the
/// RFC: a name is made of letters, digits and `-._~`, so that no later reader can see another host in it; a port has digits.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, rest) = match value.strip_prefix(b"[") {
        Some(bracketed) => {
            let Some((address, rest)) = split_at_byte(bracketed, b']') else { return false };
            let is_address = std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
            (is_address, rest.get(1..).unwrap_or_default())
        }
        None => {
            let (name, rest) = split_at_byte(value, b':').unwrap_or((value, b""));
            (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)), rest)
        }
    };
    host && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

fn is_port(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && std::str::from_utf8(digits).is_ok_and(|port| port.parse::<u16>().is_ok())
}

/// Splits before the first such byte.
fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    bytes.iter().position(|other| *other == byte).and_then(|at| bytes.split_at_checked(at))
}
