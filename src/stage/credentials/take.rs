//! Takes tokens out of a request: what goes on to a backend, and whatever is logged, is without them.

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::stage::client::Promised;
use crate::stage::cookies;
use crate::stage::fields::put;
use crate::stage::json::{self, Field, Json, Value};
use crate::stage::query;
use crate::stage::refusal::{Refusal, TOKEN_INVALID, TOKEN_MISSING};
use crate::stage::traffic::Message;

use super::Source;

/// A token where one is there, or why what is there cannot be one.
type Taken = Result<Option<String>, Box<Refusal>>;

impl Source {
    /// The token that stands here, which is taken out; also where it is no good. A first message is no part of a request.
    ///
    /// # Errors
    /// `TOKEN_INVALID` where it stands here twice, or is no text.
    pub(super) fn take(&self, request: &mut Parts) -> Taken {
        match self {
            Self::Header => bearer(&mut request.headers),
            Self::Field(name) => field(&mut request.headers, name),
            Self::Query(name) => parameter(request, name),
            Self::Cookie(name) => cookie(&mut request.headers, name),
            Self::Subprotocol(marker) => subprotocol(request, marker),
            Self::FirstMessage => Ok(None),
        }
    }
}

fn invalid(rule: impl Into<Box<str>>) -> Box<Refusal> {
    Box::new(Refusal::new(TOKEN_INVALID).rule(rule))
}

/// The token that a first message is, or that stands in this field of it.
///
/// # Errors
/// `TOKEN_MISSING` where it is a JSON object without that field, `TOKEN_INVALID` where nothing of it could be a token, or where a backend
/// that is sent it too may find another one there.
pub(super) fn first_message(message: &Message<'_>, field: Option<&Field>) -> Result<String, Box<Refusal>> {
    let Message::Text(text) = message else { return Err(invalid("the first message is binary")) };
    let Some(field) = field else { return Ok(text.trim().to_owned()) };
    let json = json::read::<Json<'_>>(text).ok().filter(|json| matches!(json.0, Value::Object(_)));
    // What is wrong with it is not told: it may stand in the token.
    let json = json.ok_or_else(|| invalid("the first message is not a JSON object that has each name once"))?;
    match json.find(field).map(|found| &found.0) {
        Some(Value::Text(token)) => Ok(token.clone().into_owned()),
        Some(Value::Null) | None => Err(Box::new(Refusal::new(TOKEN_MISSING).rule(format!("no {field} in the first message")))),
        Some(_) => Err(invalid(format!("{field} of the first message is not text"))),
    }
}

/// The token of the `Authorization` header; RFC 9110 §5.3 allows one such header.
fn bearer(headers: &mut HeaderMap) -> Taken {
    let lines: Vec<HeaderValue> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
    let is_bearer = |line: &HeaderValue| scheme(line.as_bytes()).0.eq_ignore_ascii_case(b"bearer");
    if !lines.iter().any(is_bearer) {
        return Ok(None);
    }
    headers.remove(AUTHORIZATION);
    let [line] = &*lines else { return Err(invalid("more than one Authorization header")) };
    let token = str::from_utf8(scheme(line.as_bytes()).1).map_err(|_| invalid("the Authorization header is not text"))?;
    Ok(Some(token.trim().to_owned()))
}

/// All of a header's value.
fn field(headers: &mut HeaderMap, name: &HeaderName) -> Taken {
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    match &*lines {
        [] => Ok(None),
        [line] => match str::from_utf8(line.as_bytes()) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(_) => Err(invalid(format!("the header {name} is not text"))),
        },
        _ => Err(invalid(format!("more than one header {name}"))),
    }
}

/// What stands before the first blank, and the rest.
fn scheme(credentials: &[u8]) -> (&[u8], &[u8]) {
    credentials.split_at(credentials.iter().position(|byte| *byte == b' ').unwrap_or(credentials.len()))
}

/// The value of a query's parameter. Names are compared as a server would read them, and the rest of the query stays as it is.
fn parameter(request: &mut Parts, name: &str) -> Taken {
    let mut taken = query::take(request, name);
    match (taken.pop(), &*taken) {
        (None, _) => Ok(None),
        (Some(token), []) => String::from_utf8(token).map(Some).map_err(|_| invalid(format!("the {name} of the query is not text"))),
        _ => Err(invalid(format!("more than one {name} in the query"))),
    }
}

/// The value of a cookie; the others stay as they are.
fn cookie(headers: &mut HeaderMap, name: &str) -> Taken {
    match &*cookies::take(headers, name) {
        [] => Ok(None),
        [value] => str::from_utf8(value).map(|token| Some(token.to_owned())).map_err(|_| invalid(format!("the cookie {name} is not text"))),
        _ => Err(invalid(format!("more than one cookie {name}"))),
    }
}

/// What the client offers right behind the marker. The marker stays in the offer, and the client is promised it.
fn subprotocol(request: &mut Parts, marker: &str) -> Taken {
    let lines: Vec<HeaderValue> = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect();
    let offered = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut offered = offered.filter(|name| !name.is_empty());
    let (mut tokens, mut left) = (Vec::new(), Vec::new());
    while let Some(name) = offered.next() {
        left.push(name);
        if name == marker.as_bytes() {
            tokens.extend(offered.next());
        }
    }
    let [token, more @ ..] = &*tokens else { return Ok(None) };
    put(&mut request.headers, &SEC_WEBSOCKET_PROTOCOL, vec![left.join(&b", "[..])]);
    request.extensions.insert(Promised(marker.into()));
    if !more.is_empty() {
        return Err(invalid(format!("{marker} is offered more than once")));
    }
    str::from_utf8(token).map(|token| Some(token.to_owned())).map_err(|_| invalid(format!("what is offered behind {marker} is not text")))
}
