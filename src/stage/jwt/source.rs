//! Where a token may stand, and how it is taken from there.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::stage::refusal::{Refusal, TOKEN_INVALID};
use crate::stage::traffic::Message;

/// A place where a token may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    Header,
    /// The first text message after the upgrade.
    FirstMessage,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        match written {
            "header" => Ok(Self::Header),
            "first_message" => Ok(Self::FirstMessage),
            _ => Err(format!("{written:?} is no place a token is read from; there are \"header\" and \"first_message\"")),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = String;

    #[allow(clippy::needless_pass_by_value, reason = "serde's try_from takes the value")]
    fn try_from(written: String) -> Result<Self, String> {
        written.parse()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::FirstMessage => "first_message",
        })
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "TokenSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["header", "first_message"] })
    }
}

/// The token of a request's `Authorization` header, which is taken out; none where it bears no such credential.
///
/// # Errors
/// `TOKEN_INVALID` where there are several such headers (RFC 9110 §5.3 allows one), or one that is no text.
pub(super) fn bearer(headers: &mut HeaderMap) -> Result<Option<String>, Box<Refusal>> {
    let invalid = |rule: &str| Err(Box::new(Refusal::new(TOKEN_INVALID).rule(rule)));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return invalid("more than one Authorization header");
    }
    let bytes = value.as_bytes();
    let (scheme, rest) = bytes.split_at(bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let Ok(token) = std::str::from_utf8(rest) else { return invalid("the Authorization header is not text") };
    let token = token.trim().to_owned();
    headers.remove(AUTHORIZATION);
    Ok(Some(token))
}

/// The token that a first message is.
///
/// # Errors
/// `TOKEN_INVALID` where the message is binary.
pub(super) fn first_message(message: &Message) -> Result<String, Box<Refusal>> {
    match message {
        Message::Text(text) => Ok(text.trim().to_owned()),
        Message::Binary(_) => Err(Box::new(Refusal::new(TOKEN_INVALID).rule("the first message is binary"))),
    }
}
