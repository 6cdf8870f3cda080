//! What a request asks for: host, path, origin, subprotocol.

use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::gateway::path::normalise;
use crate::wire::fields::elements;

/// Whom and what a request is for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The host, lower case, without port and final dot.
    pub(super) host: String,
    /// The path, in the one form.
    pub(super) path: String,
    /// The path in that form with the query as it came: what the backend is sent.
    pub(super) sent: String,
}

impl Target {
    /// Reads it off a request head that passed every check.
    ///
    /// # Errors
    /// What is ambiguous about its path, and the target with the path as it came.
    pub(super) fn of(parts: &Parts) -> Result<Self, (Self, &'static str)> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        match normalise(parts.uri.path()) {
            Ok(path) => {
                let sent = parts.uri.query().map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
                Ok(Self { host, path: path.into_owned(), sent })
            }
            Err(why) => Err((Self { host, path: parts.uri.path().to_owned(), sent: String::new() }, why)),
        }
    }
}

/// The host of an authority; an IPv6 address keeps its brackets.
fn without_port(authority: &str) -> &str {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let port = authority.get(end..).and_then(|rest| rest.find(':')).map_or(authority.len(), |colon| end + colon);
    authority.get(..port).unwrap_or(authority)
}

/// The `Origin` as sent; one that is no text is none a stage could allow, and reads as empty.
pub(super) fn origin(parts: &Parts) -> Option<Box<str>> {
    parts.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default().into())
}

/// Leaves only those of the client's subprotocols in the offer that the route allows; `None` allows all.
pub(super) fn limit_subprotocols(headers: &mut HeaderMap, allowed: Option<&[String]>) {
    let Some(allowed) = allowed else { return };
    let offer: Vec<String> = offered(headers).into_iter().filter(|name| allowed.contains(name)).collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(offer) = HeaderValue::from_str(&offer.join(", "))
        && !offer.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
}

/// Picks the subprotocol where the gateway has to before any backend can: the client's first that the route allows. The offer is
/// left with that one alone.
pub(super) fn settle_subprotocol(request: Option<&mut Parts>, allowed: Option<&[String]>) -> Option<HeaderValue> {
    let headers = &mut request?.headers;
    let first = offered(headers).into_iter().find(|name| allowed.is_none_or(|allowed| allowed.contains(name)));
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let settled = HeaderValue::from_str(&first?).ok()?;
    headers.insert(SEC_WEBSOCKET_PROTOCOL, settled.clone());
    Some(settled)
}

fn offered(headers: &HeaderMap) -> Vec<String> {
    elements(headers, &SEC_WEBSOCKET_PROTOCOL).filter_map(|name| std::str::from_utf8(name).ok().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_matched_without_its_port_and_case() {
        let rows = [
            ("Example.COM", "example.com"),
            ("example.com:80", "example.com"),
            ("example.com.", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ];
        for (sent, matched) in rows {
            let (parts, ()) = http::Request::builder().uri("/a?b=%2f").header("host", sent).body(()).unwrap().into_parts();
            let target = Target::of(&parts).unwrap();
            assert_eq!((target.host.as_str(), target.sent.as_str()), (matched, "/a?b=%2f"));
        }
    }

    #[test]
    fn the_first_offered_subprotocol_that_is_allowed_is_settled_on() {
        let allowed = ["chat".to_owned(), "mqtt".to_owned()];
        let rows =
            [("a, mqtt, chat", Some(&allowed), Some("mqtt")), ("a", Some(&allowed), None), ("a, b", None, Some("a")), ("", None, None)];
        for (offer, allowed, settled) in rows {
            let (mut parts, ()) = http::Request::builder().header("sec-websocket-protocol", offer).body(()).unwrap().into_parts();
            let found = settle_subprotocol(Some(&mut parts), allowed.map(<[String; 2]>::as_slice));
            assert_eq!(found.as_ref().map(|found| found.to_str().unwrap()), settled, "{offer}");
            assert_eq!(parts.headers.get("sec-websocket-protocol"), found.as_ref());
        }
    }
}
