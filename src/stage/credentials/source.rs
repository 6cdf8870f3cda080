//! Where a credential may stand, as the file writes it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::config::nearest::nearest;
use crate::config::table::ClaimHeader;
use crate::config::units::text_schema;
use crate::stage::fields::is_spoofable;

/// A place where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    Header,
    /// The header of this name, all of its value.
    Field(HeaderName),
    /// The parameter of this name in the query.
    Query(Box<str>),
    /// The cookie of this name.
    Cookie(Box<str>),
    /// What the client offers behind this subprotocol.
    Subprotocol(Box<str>),
    /// The first text message after the upgrade.
    FirstMessage,
}

const FORMS: [&str; 6] = ["header", "header:NAME", "query:NAME", "cookie:NAME", "subprotocol:MARKER", "first_message"];

impl FromStr for Source {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let (kind, name) = written.split_once(':').map_or((written, None), |(kind, name)| (kind, Some(name)));
        match (kind, name) {
            ("header", None) => Ok(Self::Header),
            ("first_message", None) => Ok(Self::FirstMessage),
            ("query", Some(name)) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#%+".contains(&byte)) => {
                Ok(Self::Query(name.into()))
            }
            ("cookie", Some(name)) if is_token(name) => Ok(Self::Cookie(name.into())),
            ("subprotocol", Some(marker)) if is_token(marker) => Ok(Self::Subprotocol(marker.into())),
            ("query" | "cookie" | "subprotocol", Some(_)) => {
                Err(format!("{written:?} names no {kind}; a name is letters, digits and dashes, as \"{kind}:token\""))
            }
            ("query" | "cookie" | "subprotocol", None) => Err(format!("{written:?} does not say which; write \"{kind}:token\"")),
            ("header", Some(name)) if name.eq_ignore_ascii_case("authorization") => {
                Err(format!("what stands in Authorization is a Bearer token; write \"header\" instead of {written:?}"))
            }
            ("header", Some(name)) => field(name),
            _ => {
                let forms = FORMS.map(|form| format!("\"{form}\"")).join(", ");
                let hint = match nearest(kind, ["header", "query", "cookie", "subprotocol", "first_message"]) {
                    Some(near) => format!("did you mean \"{near}{}\"?", name.map(|name| format!(":{name}")).unwrap_or_default()),
                    None => format!("there are {forms}"),
                };
                Err(format!("{written:?} is no place a token is read from; {hint}"))
            }
        }
    }
}

/// A header that is a client's own to send: not of the handshake, and not one that others read credentials from.
fn field(written: &str) -> Result<Source, String> {
    let name: ClaimHeader = written.parse()?;
    match name.as_str() {
        "cookie" => Err("a cookie is taken by its own name; write \"cookie:NAME\"".to_owned()),
        name if is_spoofable(name) => Err(format!("the header {written} is a proxy's to write; choose a name of its own, as X-API-Key")),
        name => HeaderName::from_bytes(name.as_bytes()).map(Source::Field).map_err(|_| format!("{written:?} is not the name of a header")),
    }
}

/// Whether this is a token in the sense of RFC 9110 §5.6.2: what names cookies, subprotocols and headers alike.
fn is_token(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok()
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
        match self {
            Self::Header => f.write_str("header"),
            Self::Field(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Subprotocol(marker) => write!(f, "subprotocol:{marker}"),
            Self::FirstMessage => f.write_str("first_message"),
        }
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
        text_schema(
            "a place: \"header\", \"header:NAME\", \"query:NAME\", \"cookie:NAME\", \"subprotocol:MARKER\", \"first_message\"",
            Some("^(header|first_message|(header|query|cookie|subprotocol):.+)$"),
        )
    }
}
