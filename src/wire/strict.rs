//! Judges a whole request head by its bytes, before any parser that would be lenient sees it.
//!
//! The line ends and control bytes have been judged while the head was read; what is left is the grammar of RFC 9112 §3 and §5,
//! narrowed to what a WebSocket handshake needs: no body, one host, one way to read it.

use std::net::Ipv6Addr;

use crate::stage::refusal::{BAD_HANDSHAKE, UPGRADE_REQUIRED};

use super::fields::{is_token, is_token_byte};
use super::flaw::Flaw;
use super::upgrade::OTHER_METHOD;

type Check<T = ()> = Result<T, Flaw>;

fn bad<T>(rule: &'static str) -> Check<T> {
    Err(Flaw(BAD_HANDSHAKE, rule))
}

/// Judges a head that ends with its empty line.
pub(super) fn check(head: &[u8]) -> Check {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let method = request_line(lines.next().unwrap_or_default())?;
    let is_get = method == b"GET";

    let mut host = None;
    let mut has_length = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            if host.replace(value).is_some() {
                return bad("two Host headers");
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return if is_get { bad("a Transfer-Encoding") } else { Err(Flaw(UPGRADE_REQUIRED, OTHER_METHOD)) };
        } else if name.eq_ignore_ascii_case(b"content-length") {
            match (value, has_length) {
                (b"0", false) => has_length = true,
                (_, true) => return bad("two Content-Length headers"),
                // A body that nobody will read: whatever such a request is answered ends the connection.
                (length, false) if !is_get && is_length(length) => has_length = true,
                _ => return bad("a Content-Length other than 0"),
            }
        }
    }
    match host {
        None => bad("no Host header"),
        Some(host) if !is_host(host) => bad("a malformed Host header"),
        Some(_) => Ok(()),
    }
}

/// `GET target HTTP/1.1`, one space between (RFC 9112 §3); gives the method. One other than GET is let through where the target is a
/// path: whether it is answered there is known once it is routed.
fn request_line(line: &[u8]) -> Check<&[u8]> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return bad("a request line that is not `method target version`");
    };
    match (method, version) {
        (b"PRI", b"HTTP/2.0") => return bad("HTTP/2 where HTTP/1.1 is spoken"),
        (_, b"HTTP/1.0") => return bad("HTTP/1.0"),
        (_, b"HTTP/1.1") => {}
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
    if !target.iter().all(u8::is_ascii_graphic) || http::uri::PathAndQuery::try_from(target).is_err() {
        return bad("a byte in the target that must be percent-encoded");
    }
    Ok(method)
}

/// A header line's name and value, without the blanks around the value (RFC 9112 §5).
fn field(line: &[u8]) -> Check<(&[u8], &[u8])> {
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
        None => Ok((name, value.get(1..).unwrap_or_default().trim_ascii())),
    }
}

/// Whether this is `host` or `host:port` (RFC 9110 §7.2), the host a name, an IPv4 or a bracketed IPv6 address. Narrower than the
/// RFC: a name is made of letters, digits and `-._~`, so that no later reader can see another host in it; a port has digits.
fn is_host(value: &[u8]) -> bool {
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

/// Whether this is a length that any parser takes (RFC 9110 §8.6).
fn is_length(digits: &[u8]) -> bool {
    (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

fn is_port(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && std::str::from_utf8(digits).is_ok_and(|port| port.parse::<u16>().is_ok())
}

/// Splits before the first such byte.
fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    bytes.iter().position(|other| *other == byte).and_then(|at| bytes.split_at_checked(at))
}
