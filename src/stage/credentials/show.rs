//! Where a client that is made up shows its credential: what `take` takes, put there.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::stage::json::Field;
use crate::stage::supposed::Shown;

use super::Source;

impl Source {
    /// A token as it stands here; `field` is where in a first message.
    pub(super) fn show(&self, token: &str, field: Option<&Field>) -> Shown {
        let header = |name: &str, value| Shown { header: Some((name.into(), value)), ..Shown::default() };
        match self {
            Self::Field(name) => header(name.as_str(), token.to_owned()),
            Self::Header => header("Authorization", format!("Bearer {token}")),
            Self::Query(name) => Shown { query: Some(format!("{name}={}", encoded(token))), ..Shown::default() },
            Self::Cookie(name) => header("Cookie", format!("{name}={token}")),
            Self::Subprotocol(marker) => header("Sec-WebSocket-Protocol", format!("{marker}, {token}")),
            Self::FirstMessage => {
                let message = field.map_or_else(|| token.to_owned(), |field| within(field, token));
                Shown { first_message: Some(message), ..Shown::default() }
            }
        }
    }
}

/// A JSON object with the token at this dotted path.
fn within(field: &Field, token: &str) -> String {
    field.way().iter().rev().fold(Value::from(token), |inner, name| Value::Object(Map::from_iter([(name.to_string(), inner)]))).to_string()
}

/// For a query: all but unreserved characters (RFC 3986 §2.3) as percent escapes.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes what is written"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::take;
    use super::*;
    use crate::stage::Message;

    #[test]
    fn what_is_shown_is_what_is_taken() {
        for source in ["header", "header:x-api-key", "query:access_token", "cookie:session", "subprotocol:bearer"] {
            let source: Source = source.parse().unwrap();
            let shown = source.show("to.ken-1_", None);
            let request = http::Request::get(format!("/?a=b&{}", shown.query.unwrap_or_default()));
            let request = shown.header.into_iter().fold(request, |request, (name, value)| request.header(&*name, value));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(source.take(&mut parts).unwrap().as_deref(), Some("to.ken-1_"), "{source}");
        }
        let query = Source::Query("t".into());
        let (mut parts, ()) = http::Request::get(format!("/?{}", query.show("ä b&c%", None).query.unwrap())).body(()).unwrap().into_parts();
        assert_eq!(query.take(&mut parts).unwrap().as_deref(), Some("ä b&c%"));
        for field in [None, Some("token"), Some("payload.token")] {
            let field: Option<Field> = field.map(|field| field.parse().unwrap());
            let message = Message::from(Source::FirstMessage.show("to.ken", field.as_ref()).first_message.unwrap());
            assert_eq!(take::first_message(&message, field.as_ref()).unwrap(), "to.ken", "{field:?}");
        }
    }
}
