//! Judges whether a well-formed request asks for WebSocket (RFC 6455 §4.2.1); called once it is routed, so that an unknown path is 404.

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::stage::Refusal;
use crate::stage::refusal::{BAD_HANDSHAKE, BAD_VERSION, UPGRADE_REQUIRED};

use super::extensions::{Compression, Offer};
use super::fields::{has_token, only};
use super::flaw::Flaw;
use super::h2::request::Extended;
use super::http::framing::Framing;

/// The one protocol version there is.
pub const VERSION: &str = "13";

/// Upgrades are asked for with GET (RFC 6455 §4.1).
pub(super) const OTHER_METHOD: &str = "a method other than GET";

/// What a client's upgrade request settles.
#[derive(Debug)]
pub struct Upgrade {
    /// The `Sec-WebSocket-Accept` that answers its key; empty where it has none.
    pub accept: String,
    /// The compression it offers, as far as the route lets it.
    pub offer: Offer,
}

impl Upgrade {
    /// Judges the request's fields.
    ///
    /// # Errors
    /// `upgrade_required` where it is an ordinary HTTP request, `bad_version` where it asks for another version, `bad_handshake`
    /// where it has a body, or the key or the extensions are malformed.
    pub fn check(request: &Parts, compression: Compression) -> Result<Self, Box<Refusal>> {
        let headers = &request.headers;
        if request.method != Method::GET {
            return Err(Flaw(UPGRADE_REQUIRED, OTHER_METHOD).into());
        }
        if request.version == Version::HTTP_10 {
            return Err(Flaw(BAD_HANDSHAKE, "HTTP/1.0").into());
        }
        if request.extensions.get::<Framing>().is_some() {
            return Err(Flaw(BAD_HANDSHAKE, "a body").into());
        }
        asks_for_websocket(headers)?;
        // An extended CONNECT has no key, and its answer nothing that it could be derived to.
        let accept = if request.extensions.get::<Extended>().is_some() { String::new() } else { accept(headers)? };
        let offer = Offer::read(headers, compression).map_err(|_| Flaw(BAD_HANDSHAKE, "a malformed Sec-WebSocket-Extensions"))?;
        Ok(Self { accept, offer })
    }
}

/// Whether a request names WebSocket among what it would upgrade to; whether it asks for it well is another question. One that does
/// is nothing else, so that no server behind us can upgrade what was passed on as an ordinary request.
pub fn names_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

fn asks_for_websocket(headers: &HeaderMap) -> Result<(), Flaw> {
    if !names_websocket(headers) {
        return Err(Flaw(UPGRADE_REQUIRED, "no `Upgrade: websocket`"));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(Flaw(UPGRADE_REQUIRED, "no `Connection: Upgrade`"));
    }
    match only(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == VERSION.as_bytes() => Ok(()),
        Some(_) => Err(Flaw(BAD_VERSION, "another Sec-WebSocket-Version")),
        None => Err(Flaw(BAD_VERSION, "not exactly one Sec-WebSocket-Version")),
    }
}

fn accept(headers: &HeaderMap) -> Result<String, Flaw> {
    match only(headers, &header::SEC_WEBSOCKET_KEY) {
        Some(key) if is_key(key) => Ok(derive_accept_key(key)),
        Some(_) => Err(Flaw(BAD_HANDSHAKE, "a Sec-WebSocket-Key that is not 16 bytes in base64")),
        None => Err(Flaw(BAD_HANDSHAKE, "not exactly one Sec-WebSocket-Key")),
    }
}

/// Sixteen bytes in base64: 22 digits and two pads. The last digit's four spare bits are not looked at; nothing depends on them.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn outcome(lines: &[(&str, &str)]) -> Result<String, &'static str> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        for (name, value) in lines {
            parts.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Upgrade::check(&parts, Compression::Pass).map(|upgrade| upgrade.accept).map_err(|refusal| refusal.outcome.id)
    }

    /// The good handshake with some lines replaced: an empty value takes the line out.
    fn changed(changes: &[(&str, &str)]) -> Result<String, &'static str> {
        let good = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13"), ("sec-websocket-key", KEY)];
        let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| name == other));
        let lines: Vec<_> = kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect();
        outcome(&lines)
    }

    #[test]
    fn the_key_of_the_rfc_is_answered_as_the_rfc_says() {
        assert_eq!(changed(&[]).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_asks_for_websocket_in_other_words_passes() {
        let rows: &[&[(&str, &str)]] = &[
            &[("upgrade", "WebSocket")],
            &[("upgrade", "h2c, websocket")],
            &[("connection", "keep-alive, Upgrade")],
            &[("connection", "keep-alive"), ("connection", "UPGRADE")],
            &[("sec-websocket-version", " 13 ")],
            &[("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-other")],
            &[("sec-websocket-protocol", "chat, superchat")],
        ];
        for row in rows {
            assert!(changed(row).is_ok(), "{row:?}");
        }
    }

    #[test]
    fn what_does_not_ask_for_websocket_well_gets_its_row() {
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[("upgrade", "")], "upgrade_required"),
            (&[("upgrade", "h2c")], "upgrade_required"),
            (&[("upgrade", "websocket2")], "upgrade_required"),
            (&[("connection", "")], "upgrade_required"),
            (&[("connection", "keep-alive")], "upgrade_required"),
            (&[("sec-websocket-version", "")], "bad_version"),
            (&[("sec-websocket-version", "8")], "bad_version"),
            (&[("sec-websocket-version", "13, 8")], "bad_version"),
            (&[("sec-websocket-version", "13"), ("sec-websocket-version", "13")], "bad_version"),
            (&[("sec-websocket-key", "")], "bad_handshake"),
            (&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)], "bad_handshake"),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], "bad_handshake"),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=")], "bad_handshake"),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQa==")], "bad_handshake"),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ-==")], "bad_handshake"),
            (&[("sec-websocket-extensions", "permessage-deflate; =")], "bad_handshake"),
        ];
        for (row, expected) in rows {
            assert_eq!(changed(row), Err(*expected), "{row:?}");
        }
    }
}
