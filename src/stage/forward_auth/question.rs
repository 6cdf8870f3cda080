//! What a service is told of a client that wants in.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::stage::Client;
use crate::stage::fields::{bound, is_spoofable};

/// Fields that concern one connection and never the next (RFC 9110 §7.6.1), and those of a body that is not sent.
const LEFT_OUT: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of the question: these of the client's, or all that do not belong to its connection or its handshake; and who asks for
/// what, as proxies say it, which no client says for itself.
pub(super) fn headers(client: &Client, request: &Parts, only: Option<&[HeaderName]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let is_sent = only.is_none_or(|only| only.contains(name));
        if is_sent && may_go(name) && !bound(&request.headers).any(|other| other.eq_ignore_ascii_case(name.as_str().as_bytes())) {
            headers.append(name, value.clone());
        }
    }
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let own = [
        ("x-forwarded-method", HeaderValue::from_str(request.method.as_str()).ok()),
        ("x-forwarded-proto", Some(HeaderValue::from_static(if client.peer.tls.is_some() { "https" } else { "http" }))),
        ("x-forwarded-host", request.headers.get(header::HOST).cloned()),
        ("x-forwarded-uri", HeaderValue::from_str(target).ok()),
        ("x-forwarded-for", HeaderValue::from_str(&client.peer.ip.to_canonical().to_string()).ok()),
    ];
    headers.extend(own.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), value?))));
    headers
}

/// Whether a header of a client's may go to the service at all.
pub(super) fn may_go(name: &HeaderName) -> bool {
    let name = name.as_str();
    !LEFT_OUT.contains(&name) && !name.starts_with("sec-websocket-") && !is_spoofable(name)
}
