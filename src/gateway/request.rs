//! What a request asks for: host, path, origin, subprotocol.

use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::stage::client::Promised;
use crate::stage::path::normalise;
use crate::wire::fields::{elements, only};

/// Whom and what a request is for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host, lower case, without port and final dot.
    pub host: String,
    /// The port beside it, where there is one.
    pub port: Option<u16>,
    /// The path, in the one form.
    pub path: String,
}

impl Target {
    /// Reads it off a request head that passed every check.
    ///
    /// # Errors
    /// What is ambiguous about its path, and the target with the path as it came.
    pub fn of(parts: &Parts) -> Result<Self, (Self, &'static str)> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        Self::read(host, parts.uri.path())
    }

    /// Reads it off an authority and a path without query.
    ///
    /// # Errors
    /// The same as for a request head.
    pub fn read(authority: &str, path: &str) -> Result<Self, (Self, &'static str)> {
        let (host, port) = parted(authority);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match normalise(path) {
            Ok(path) => Ok(Self { host, port, path: path.into_owned() }),
            Err(why) => Err((Self { host, port, path: path.to_owned() }, why)),
        }
    }
}

/// What the backend is asked for: the path as it was matched, and the query with what stages have left of it.
pub fn sent(path: &str, request: &Parts) -> String {
    match request.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// The host and the port of an authority; an IPv6 address keeps its brackets.
fn parted(authority: &str) -> (&str, Option<u16>) {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority.get(end..).and_then(|rest| rest.find(':')).map_or(authority.len(), |colon| end + colon);
    let (host, port) = authority.split_at_checked(colon).unwrap_or((authority, ""));
    (host, port.strip_prefix(':').and_then(|port| port.parse().ok()))
}

/// The `Origin` as sent; one that is no text, or one of several, is none a stage could allow, and reads as empty.
pub fn origin(parts: &Parts) -> Option<Box<str>> {
    parts
        .headers
        .get(ORIGIN)
        .map(|_| only(&parts.headers, &ORIGIN).and_then(|origin| str::from_utf8(origin).ok()).unwrap_or_default().into())
}

/// Leaves only those of the client's subprotocols in the offer that the route allows; `None` allows all.
pub fn limit_subprotocols(headers: &mut HeaderMap, allowed: Option<&[String]>) {
    let Some(allowed) = allowed else { return };
    let offer: Vec<String> = offered(headers).into_iter().filter(|name| allowed.contains(name)).collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(offer) = HeaderValue::from_str(&offer.join(", "))
        && !offer.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
}

/// The subprotocol that a stage has promised the client, unless another is picked.
pub fn promised(request: &Parts) -> Option<HeaderValue> {
    HeaderValue::from_str(&request.extensions.get::<Promised>()?.0).ok()
}

/// Picks the subprotocol where the gateway has to before any backend can: the client's first that the route allows, or the one it was
/// promised. The offer is left with that one alone.
pub fn settle_subprotocol(request: Option<&mut Parts>, allowed: Option<&[String]>) -> Option<HeaderValue> {
    let request = request?;
    let promised = promised(request);
    let headers = &mut request.headers;
    let first = offered(headers).into_iter().find(|name| allowed.is_none_or(|allowed| allowed.contains(name)));
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let settled = first.and_then(|first| HeaderValue::from_str(&first).ok()).or(promised)?;
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
            ("Example.COM", "example.com", None),
            ("example.com:80", "example.com", Some(80)),
            ("example.com.", "example.com", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("[::1]", "[::1]", None),
        ];
        for (sent, matched, port) in rows {
            let (parts, ()) = http::Request::builder().uri("/a?b=%2f").header("host", sent).body(()).unwrap().into_parts();
            let target = Target::of(&parts).unwrap();
            assert_eq!((target.host.as_str(), target.port), (matched, port));
            assert_eq!(super::sent(&target.path, &parts), "/a?b=%2f");
        }
    }

    #[test]
    fn an_origin_is_one_line_of_text_or_none_that_could_be_allowed() {
        let rows: [(&[&[u8]], Option<&str>); 5] = [
            (&[], None),
            (&[b"https://example.com"], Some("https://example.com")),
            (&[b"https://example.com", b"https://example.com"], Some("")),
            (&[b"https://ex\xe4mple.com"], Some("")),
            (&[b""], Some("")),
        ];
        for (lines, read) in rows {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            for line in lines {
                parts.headers.append(ORIGIN, HeaderValue::from_bytes(line).unwrap());
            }
            assert_eq!(origin(&parts).as_deref(), read, "{lines:?}");
        }
    }

    #[test]
    fn the_promised_subprotocol_is_settled_on_where_no_other_may_be() {
        let allowed = ["chat".to_owned()];
        for (offer, settled) in [("marker, chat", "chat"), ("marker", "marker")] {
            let (mut parts, ()) = http::Request::builder().header("sec-websocket-protocol", offer).body(()).unwrap().into_parts();
            parts.extensions.insert(Promised("marker".into()));
            assert_eq!(settle_subprotocol(Some(&mut parts), Some(&allowed)).unwrap(), settled, "{offer}");
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
