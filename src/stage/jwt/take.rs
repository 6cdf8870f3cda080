//! Takes tokens out of a request: what goes on to a backend, and whatever is logged, is without them.

use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use serde_json::Value;

use crate::stage::client::{Promised, claim};
use crate::stage::refusal::{Refusal, TOKEN_INVALID, TOKEN_MISSING};
use crate::stage::traffic::Message;

use super::source::Source;

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
            Self::Query(name) => query(request, name),
            Self::Cookie(name) => cookie(&mut request.headers, name),
            Self::Subprotocol(marker) => subprotocol(request, marker),
            Self::FirstMessage => Ok(None),
        }
    }
}

pub(super) fn invalid(rule: impl Into<Box<str>>) -> Box<Refusal> {
    Box::new(Refusal::new(TOKEN_INVALID).rule(rule))
}

/// The token that a first message is, or that stands in this field of it.
///
/// # Errors
/// `TOKEN_MISSING` where it is a JSON object without that field, `TOKEN_INVALID` where nothing of it could be a token.
pub(super) fn first_message(message: &Message, field: Option<&str>) -> Result<String, Box<Refusal>> {
    let Message::Text(text) = message else { return Err(invalid("the first message is binary")) };
    let Some(field) = field else { return Ok(text.trim().to_owned()) };
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => match claim(&object, field) {
            Some(Value::String(token)) => Ok(token.clone()),
            Some(Value::Null) | None => Err(Box::new(Refusal::new(TOKEN_MISSING).rule(format!("no {field} in the first message")))),
            Some(_) => Err(invalid(format!("{field} of the first message is not text"))),
        },
        _ => Err(invalid("the first message is not a JSON object")),
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

/// What stands before the first blank, and the rest.
fn scheme(credentials: &[u8]) -> (&[u8], &[u8]) {
    credentials.split_at(credentials.iter().position(|byte| *byte == b' ').unwrap_or(credentials.len()))
}

/// The value of a query's parameter. Names are compared as a server would read them, and the rest of the query stays as it is.
fn query(request: &mut Parts, name: &str) -> Taken {
    let Some(query) = request.uri.query() else { return Ok(None) };
    let is_it = |parameter: &str| decoded(parameter.split_once('=').map_or(parameter, |(name, _)| name)) == name.as_bytes();
    let (taken, left): (Vec<&str>, Vec<&str>) = query.split('&').partition(|parameter| is_it(parameter));
    let [first, more @ ..] = &*taken else { return Ok(None) };
    let token = match more {
        [] => String::from_utf8(decoded(first.split_once('=').map_or("", |(_, value)| value)))
            .map_err(|_| invalid(format!("the {name} of the query is not text"))),
        _ => Err(invalid(format!("more than one {name} in the query"))),
    };
    let question = if left.is_empty() { "" } else { "?" };
    request.uri = with_target(&request.uri, &format!("{}{question}{}", request.uri.path(), left.join("&")))?;
    token.map(Some)
}

fn with_target(uri: &Uri, target: &str) -> Result<Uri, Box<Refusal>> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| invalid("the query cannot be read"))?);
    Uri::from_parts(parts).map_err(|_| invalid("the query cannot be read"))
}

/// Without its percent escapes; a broken one stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, behind)),
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*first, behind));
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The value of a cookie (RFC 6265 §5.4); the others stay as they are.
fn cookie(headers: &mut HeaderMap, name: &str) -> Taken {
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    let mut found = Vec::new();
    let mut left = Vec::new();
    for line in &lines {
        let is_it = |pair: &&[u8]| pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="));
        let (taken, kept): (Vec<&[u8]>, Vec<&[u8]>) = line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii).partition(is_it);
        found.extend(taken.into_iter().map(<[u8]>::to_vec));
        left.push(kept.join(&b"; "[..]));
    }
    let [first, more @ ..] = &*found else { return Ok(None) };
    put(headers, &COOKIE, left);
    if !more.is_empty() {
        return Err(invalid(format!("more than one cookie {name}")));
    }
    let value = first.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default().trim_ascii();
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    str::from_utf8(value).map(|token| Some(token.to_owned())).map_err(|_| invalid(format!("the cookie {name} is not text")))
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

/// Writes the lines of a header anew, those left empty not at all.
fn put(headers: &mut HeaderMap, name: &HeaderName, lines: Vec<Vec<u8>>) {
    headers.remove(name);
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if let Ok(value) = HeaderValue::try_from(line) {
            headers.append(name, value);
        }
    }
}
