//! The request a backend is sent: the client's, without what concerns the client's connection alone, and with what is true of it.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, uri::PathAndQuery};

use crate::stage::fields::{is_spoofable, reads_as, take_out};
use crate::wire::extensions::Offer;
use crate::wire::fields::{pass_on, strip_hop_by_hop};
use crate::wire::hops::X_FORWARDED_FOR;
use crate::wire::proxy_protocol::Ends;
use crate::wire::upgrade::VERSION;

use super::server::Server;

/// Set truthfully where they are set at all; the client's own never pass.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Room for the fields that the gateway adds to a request, beside those that it leaves out.
const OWN: usize = 6;

/// Which `Host` a backend is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    #[default]
    Client,
    /// The server's own, from its URL.
    Server,
    /// This one.
    Fixed(HeaderValue),
}

/// What the gateway knows of a request beyond its fields.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address, as every stage goes by it.
    pub ip: IpAddr,
    /// The proxies that the request came through, the nearest last.
    pub hops: &'a [IpAddr],
    /// Both ends of the client's connection, for servers that are told them in a PROXY header.
    pub ends: Ends,
    /// The authenticated user's name, where there is one.
    pub user: Option<&'a str>,
    /// Whether the client came over TLS.
    pub secure: bool,
    /// The path as it was matched, and the query.
    pub target: &'a str,
    /// The extensions that the backend may be offered.
    pub offer: &'a Offer,
    /// Further fields, as claims, in place of the client's of the same names: those do not pass even where there is no value.
    pub extra: &'a [(HeaderName, Option<HeaderValue>)],
}

/// Makes the upgrade request for this server.
///
/// # Errors
/// Where the target is none: it was not the one matched.
pub(super) fn forward(
    client: &Parts,
    facts: &Facts<'_>,
    server: &Server,
    strip_prefix: Option<&str>,
    host_header: &HostHeader,
    key: &str,
) -> Result<Request<()>, http::Error> {
    let mut request = plain(client, facts, server, strip_prefix, host_header)?;
    let own = [
        (header::UPGRADE, Some(HeaderValue::from_static("websocket"))),
        (header::CONNECTION, Some(HeaderValue::from_static("Upgrade"))),
        (header::SEC_WEBSOCKET_KEY, Some(HeaderValue::try_from(key)?)),
        (header::SEC_WEBSOCKET_VERSION, Some(HeaderValue::from_static(VERSION))),
        (header::SEC_WEBSOCKET_EXTENSIONS, facts.offer.header()),
    ];
    let headers = request.headers_mut();
    for (name, value) in own {
        set(headers, name, value);
    }
    Ok(request)
}

/// Makes the request for this server without what is of its connection alone.
///
/// # Errors
/// The same.
pub(super) fn plain(
    client: &Parts,
    facts: &Facts<'_>,
    server: &Server,
    strip_prefix: Option<&str>,
    host_header: &HostHeader,
) -> Result<Request<()>, http::Error> {
    let client_host = client.headers.get(header::HOST);
    let host = match host_header {
        HostHeader::Client => client_host.unwrap_or(server.authority()),
        HostHeader::Server => server.authority(),
        HostHeader::Fixed(host) => host,
    };
    let ip = HeaderValue::try_from(facts.ip.to_canonical().to_string())?;
    let own = [
        (X_FORWARDED_FOR, Some(way(&ip, facts.hops)?)),
        (X_FORWARDED_HOST, client_host.cloned()),
        (X_FORWARDED_PROTO, Some(HeaderValue::from_static(if facts.secure { "https" } else { "http" }))),
        (X_REAL_IP, Some(ip)),
    ];
    // The host stands first, where some servers look for it (RFC 9110 §7.2).
    let mut headers = HeaderMap::with_capacity(client.headers.len() + OWN);
    headers.insert(header::HOST, host.clone());
    pass_on(&client.headers, &mut headers, |name| !is_withheld(name, facts.extra));
    for (name, value) in facts.extra.iter().filter(|(name, _)| *name != header::HOST) {
        headers.extend(value.clone().map(|value| (name.clone(), value)));
    }
    for (name, value) in own {
        set(&mut headers, name, value);
    }
    let target = target(facts.target, strip_prefix, server.base());
    let mut request = Request::builder().method(client.method.clone()).uri(PathAndQuery::try_from(target)?.as_str()).body(())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Sets a field, in place of any of this name, or removes it.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

/// The client and the proxies that it came through, as `X-Forwarded-For` lists them.
fn way(client: &HeaderValue, hops: &[IpAddr]) -> Result<HeaderValue, http::Error> {
    if hops.is_empty() {
        return Ok(client.clone());
    }
    let hops = hops.iter().flat_map(|hop| format!(", {hop}").into_bytes());
    Ok(HeaderValue::try_from(client.as_bytes().iter().copied().chain(hops).collect::<Vec<u8>>())?)
}

/// Fields that say who asks, and how a body is to be read: servers may take a trailer for a header, and these are judged there or not at
/// all (RFC 9110 §6.5.1).
const NO_TRAILERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::ORIGIN,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::CACHE_CONTROL,
];

/// Leaves only those of the trailers that may go on.
pub fn limit_trailers(trailers: &mut HeaderMap, extra: &[(HeaderName, Option<HeaderValue>)]) {
    strip_hop_by_hop(trailers);
    withhold(trailers, extra);
    for name in &NO_TRAILERS {
        take_out(trailers, name);
    }
}

/// Takes out what only the gateway may say.
fn withhold(headers: &mut HeaderMap, extra: &[(HeaderName, Option<HeaderValue>)]) {
    let withheld: Vec<HeaderName> = headers.keys().filter(|name| is_withheld(name, extra)).cloned().collect();
    for name in withheld {
        headers.remove(name);
    }
}

/// Whether only the gateway may say this.
fn is_withheld(name: &HeaderName, extra: &[(HeaderName, Option<HeaderValue>)]) -> bool {
    *name == header::HOST || is_spoofable(name.as_str()) || extra.iter().any(|(other, _)| reads_as(name.as_str(), other.as_str()))
}

/// The path without its prefix, behind the server's base; the query as it is. A prefix ends at a segment's end.
fn target(target: &str, prefix: Option<&str>, base: &str) -> String {
    let (path, query) = target.split_at_checked(target.find('?').unwrap_or(target.len())).unwrap_or((target, ""));
    let prefix = prefix.unwrap_or_default().trim_end_matches('/');
    let rest = path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
    let slash = if rest.is_empty() { "/" } else { "" };
    format!("{base}{slash}{rest}{query}")
}

#[cfg(test)]
mod tests;
