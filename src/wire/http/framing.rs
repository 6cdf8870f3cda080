//! How the body of a message is delimited (RFC 9112 §6).

use http::header::{self, HeaderMap};
use http::response::Parts;
use http::{StatusCode, Version};

use crate::wire::fields::{elements, has_token};

/// How a body is delimited. A request's is left in its extensions where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// By its length in bytes.
    Length(u64),
    /// By chunks, of which the last is empty.
    Chunked,
    /// By the end of the connection; an answer's only.
    UntilEnd,
}

impl Framing {
    /// Whether there is anything to read.
    pub fn has_body(self) -> bool {
        !matches!(self, Self::Nothing | Self::Length(0))
    }

    /// How a body that comes so is framed towards a client that speaks this version: HTTP/1.0 knows no chunks.
    pub fn toward(self, version: Version) -> Self {
        match self {
            Self::Nothing | Self::Length(_) => self,
            Self::Chunked | Self::UntilEnd if version == Version::HTTP_10 => Self::UntilEnd,
            Self::Chunked | Self::UntilEnd => Self::Chunked,
        }
    }

    /// Of an answer, which is to a HEAD or not.
    ///
    /// # Errors
    /// The rule it breaks, where two readers could see two ends of it.
    pub fn of_answer(answer: &Parts, to_head: bool) -> Result<Self, &'static str> {
        let Parts { status, headers, version, .. } = answer;
        let length = length(headers)?;
        let mut codings = elements(headers, &header::TRANSFER_ENCODING);
        let coding = match (codings.next(), codings.next()) {
            (None, _) => None,
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Some(Self::Chunked),
            _ => return Err("an answer whose Transfer-Encoding is not `chunked` alone"),
        };
        if coding.is_some() && length.is_some() {
            return Err("an answer with a Transfer-Encoding beside a Content-Length");
        }
        if coding.is_some() && *version != Version::HTTP_11 {
            return Err("an answer of HTTP/1.0 with a Transfer-Encoding");
        }
        if to_head || is_bodiless(*status) {
            return Ok(Self::Nothing);
        }
        Ok(coding.or(length.map(Self::Length)).unwrap_or(Self::UntilEnd))
    }
}

/// Whether an answer of this status never has a body (RFC 9110 §6.4.1).
pub fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// The length that the head tells, where it tells one.
fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(line), more) = (lines.next(), lines.next()) else { return Ok(None) };
    match (digits(line.as_bytes()), more) {
        (_, Some(_)) => Err("an answer with two Content-Length headers"),
        (None, None) => Err("an answer with a malformed Content-Length"),
        (length, None) => Ok(length),
    }
}

/// The value of a Content-Length that every reader takes for the same number (RFC 9110 §8.6).
pub(in crate::wire) fn digits(value: &[u8]) -> Option<u64> {
    let is_length = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_length)?.parse().ok()
}

/// Whether the sender of this head keeps the connection open behind its message (RFC 9112 §9.3); one of HTTP/1.0 is not held to it.
pub fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11 && !has_token(headers, &header::CONNECTION, "close")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(status: u16, head: &[(&str, &str)], to_head: bool) -> Result<Framing, &'static str> {
        let mut response = http::Response::builder().status(status);
        for (name, value) in head {
            response = response.header(*name, *value);
        }
        Framing::of_answer(&response.body(()).unwrap().into_parts().0, to_head)
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        type Row<'a> = (u16, &'a [(&'a str, &'a str)], Framing);
        let rows: [Row<'_>; 9] = [
            (200, &[("content-length", "5")], Framing::Length(5)),
            (200, &[("content-length", "0")], Framing::Length(0)),
            (200, &[("transfer-encoding", "Chunked")], Framing::Chunked),
            (200, &[], Framing::UntilEnd),
            (404, &[], Framing::UntilEnd),
            (204, &[("content-length", "5")], Framing::Nothing),
            (304, &[("content-length", "5")], Framing::Nothing),
            (304, &[("transfer-encoding", "chunked")], Framing::Nothing),
            (103, &[], Framing::Nothing),
        ];
        for (status, head, expected) in rows {
            assert_eq!(framing(status, head, false), Ok(expected), "{status} {head:?}");
            assert_eq!(framing(status, head, true), Ok(Framing::Nothing), "{status} {head:?}");
        }
    }

    #[test]
    fn an_answer_that_could_end_in_two_places_is_none() {
        let rows: [&[(&str, &str)]; 9] = [
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5, 5")],
            &[("content-length", "+5")],
            &[("content-length", "")],
            &[("content-length", "1234567890123456789")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "xchunked")],
        ];
        for head in rows {
            assert!(framing(200, head, false).is_err(), "{head:?}");
        }
    }
}
