//! A backend's answer as the client is to have it: the same fields, but for those of its own connection, which are ours.

use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{StatusCode, Version};

use crate::wire::answers;
use crate::wire::fields::{has_token, strip_hop_by_hop, write, write_field};

use super::framing::{Framing, is_bodiless};

/// What most heads fit in, in bytes.
const HEAD: usize = 512;

/// How a client is answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What the client speaks: of HTTP/1.0 it knows no chunks.
    pub version: Version,
    /// Whether the connection ends with the answer.
    pub closes: bool,
}

/// The head as bytes, and how the body behind it is to be framed.
pub fn encode(answer: Parts, body: Framing, manner: Manner) -> (Vec<u8>, Framing) {
    let (status, upgrades) = (answer.status, asks_to_upgrade(answer.status, &answer.headers));
    let framing = body.toward(manner.version);
    let mut headers = fields(answer, body);
    if framing != Framing::Chunked {
        headers.remove(header::TRAILER);
    }
    let mut head = begun(status, &headers);
    if framing == Framing::Chunked {
        write_field(&mut head, "transfer-encoding", b"chunked");
    }
    if upgrades {
        write_field(&mut head, "upgrade", b"websocket");
    }
    match (upgrades, manner.closes || framing == Framing::UntilEnd) {
        (true, true) => write_field(&mut head, "connection", b"Upgrade, close"),
        (true, false) => write_field(&mut head, "connection", b"Upgrade"),
        (false, true) => write_field(&mut head, "connection", b"close"),
        (false, false) => {}
    }
    head.extend_from_slice(b"\r\n");
    (head, framing)
}

/// Whether it asks for an upgrade that is to be had of this hop as well: a 426 has to say to what (RFC 9110 §15.5.22).
pub fn asks_to_upgrade(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UPGRADE_REQUIRED && has_token(headers, &header::UPGRADE, "websocket")
}

/// Its fields without those of its connection; its length is told where it is known.
pub fn fields(answer: Parts, body: Framing) -> HeaderMap {
    let Parts { status, mut headers, .. } = answer;
    // To a HEAD, and in a 304, it tells of a body that does not come (RFC 9110 §8.6).
    let told = headers.get(header::CONTENT_LENGTH).filter(|_| status == StatusCode::NOT_MODIFIED || !is_bodiless(status)).cloned();
    let announced = headers.get(header::TRAILER).filter(|_| body == Framing::Chunked).cloned();
    let length = match body {
        Framing::Length(length) => Some(HeaderValue::from(length)),
        Framing::Nothing => told,
        Framing::Chunked | Framing::UntilEnd => None,
    };
    strip_hop_by_hop(&mut headers);
    if !headers.contains_key(header::DATE) {
        // RFC 9110 §6.6.1: when it came.
        headers.extend(answers::dated(SystemTime::now()).map(|date| (header::DATE, date)));
    }
    headers.extend(announced.map(|names| (header::TRAILER, names)));
    headers.extend(length.map(|length| (header::CONTENT_LENGTH, length)));
    headers
}

/// An informational answer (RFC 9110 §15.2) as bytes.
pub fn informational(answer: Parts) -> Vec<u8> {
    let Parts { status, mut headers, .. } = answer;
    strip_hop_by_hop(&mut headers);
    let mut head = begun(status, &headers);
    head.extend_from_slice(b"\r\n");
    head
}

fn begun(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    write(&mut head, headers);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(status: u16, fields: &[(&str, &str)], body: Framing, manner: Manner) -> (String, Framing) {
        let mut response = http::Response::builder().status(status).header("date", "now");
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let (head, framing) = encode(response.body(()).unwrap().into_parts().0, body, manner);
        (String::from_utf8(head).unwrap(), framing)
    }

    #[test]
    fn a_head_tells_of_the_body_behind_it_and_of_nothing_that_was_another_hop_s() {
        let (new, old) = (Manner { version: Version::HTTP_11, closes: false }, Manner { version: Version::HTTP_10, closes: true });
        let chunked = [("transfer-encoding", "chunked"), ("trailer", "x-sum"), ("connection", "x-hop"), ("x-hop", "1"), ("x-end", "2")];
        let rows = [
            (200, &chunked[..], Framing::Chunked, new, "X-End: 2\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n"),
            (200, &chunked[..], Framing::Chunked, old, "X-End: 2\r\nConnection: close\r\n"),
            (200, &[("trailer", "x")], Framing::UntilEnd, new, "Transfer-Encoding: chunked\r\n"),
            (200, &[("content-length", "5")], Framing::Length(5), new, "Content-Length: 5\r\n"),
            (200, &[("content-length", "5")], Framing::Nothing, new, "Content-Length: 5\r\n"),
            (304, &[("content-length", "5")], Framing::Nothing, new, "Content-Length: 5\r\n"),
            (204, &[("content-length", "5")], Framing::Nothing, new, ""),
            (200, &[], Framing::Length(0), Manner { closes: true, ..new }, "Content-Length: 0\r\nConnection: close\r\n"),
            (426, &[("upgrade", "websocket")], Framing::Nothing, new, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
            (426, &[("upgrade", "websocket")], Framing::Nothing, old, "Upgrade: websocket\r\nConnection: Upgrade, close\r\n"),
            (426, &[("upgrade", "TLS/1.0")], Framing::Nothing, new, ""),
            (200, &[("upgrade", "websocket")], Framing::Nothing, new, ""),
        ];
        for (status, fields, body, manner, expected) in rows {
            let (head, _) = encoded(status, fields, body, manner);
            let (_, told) = head.split_once("\r\n").unwrap();
            assert_eq!(told, format!("Date: now\r\n{expected}\r\n"), "{status} {fields:?} {body:?} {manner:?}");
        }
    }
}
