//! Close frames: which codes may go on the wire, what a peer's Close says, how a reason is cut to fit.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::stage::refusal::MAX_REASON;

use super::violation::Violation;

/// The code that stands for a Close without one; never on the wire (RFC 6455 §7.1.5).
pub const NO_CODE: u16 = 1005;

/// The code that stands for no Close at all; never on the wire (RFC 6455 §7.1.5).
pub const NO_CLOSE: u16 = 1006;

/// Bad gateway: registered with IANA after tungstenite's list was written.
const BAD_GATEWAY: u16 = 1014;

/// What a Close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// The code; none where the payload was empty.
    pub code: Option<u16>,
    /// The reason, at most [`MAX_REASON`] bytes.
    pub reason: Box<str>,
}

impl Close {
    /// Reads a Close frame's payload, unmasked.
    ///
    /// # Errors
    /// The rule of RFC 6455 §5.5.1 or §7.4 that it breaks.
    pub fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Self::default()) } else { Err(Violation::CloseCut) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_sendable(code) {
            return Err(Violation::CloseCode);
        }
        let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
        Ok(Self { code: Some(code), reason: reason.into() })
    }
}

/// Whether this code may stand in a Close frame (RFC 6455 §7.4, and the IANA registry).
pub fn is_sendable(code: u16) -> bool {
    code == BAD_GATEWAY || CloseCode::from(code).is_allowed()
}

/// The longest beginning of a reason that fits a Close frame and ends with a whole character.
pub fn cut(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire_are_those_of_the_registry() {
        let allowed = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(is_sendable(code), allowed(code), "{code}");
        }
    }

    #[test]
    fn a_close_payload_is_empty_or_a_code_and_a_reason() {
        let close = |code, reason: &str| Ok(Close { code, reason: reason.into() });
        for (payload, said) in [
            (&b""[..], close(None, "")),
            (b"\x03\xe8", close(Some(1000), "")),
            (b"\x03\xf6bad gateway", close(Some(1014), "bad gateway")),
            (b"\x03", Err(Violation::CloseCut)),
            (b"\x03\xed", Err(Violation::CloseCode)),
            (b"\x03\xe8\xff", Err(Violation::CloseReason)),
        ] {
            assert_eq!(Close::parse(payload), said, "{payload:?}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(200)).len(), 123);
        assert_eq!(cut(&"é".repeat(100)), "é".repeat(61));
    }
}
