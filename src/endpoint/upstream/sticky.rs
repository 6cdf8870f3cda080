//! Keeps a client with its server: by a value that leads to the same one each time, or by a cookie that names it.

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::request::Parts;

use crate::config::table::Sticky;
use crate::stage::cookies;
use crate::stage::query::{decoded, parameter};

use super::balance::Candidate;
use super::forward::Facts;
use super::rendezvous::{self, Digest};
use super::server::Server;

/// What ties a client to a server.
#[derive(Debug)]
pub(super) enum Tie {
    /// Nothing it has brought.
    None,
    /// A value it has in common with all who belong to the same server.
    Value(Digest),
    /// The ids of servers in its cookies; one, of an honest client.
    Named(Vec<Vec<u8>>),
}

impl Tie {
    /// What this client brings of what its upstream sticks by.
    pub(super) fn of(sticky: Option<&Sticky>, request: &Parts, facts: &Facts<'_>) -> Self {
        let value = match sticky {
            None => None,
            Some(Sticky::Cookie(name)) => return Self::Named(cookies::values(&request.headers, name)),
            Some(Sticky::Ip) => Some(network(facts.ip)),
            Some(Sticky::User) => facts.user.map(|user| user.as_bytes().to_vec()),
            Some(Sticky::Header(name)) => Some(header(name, request, facts)),
            Some(Sticky::Query(name)) => {
                let query = facts.target.split_once('?').map_or("", |(_, query)| query);
                query.split('&').find_map(|written| parameter(written, name)).map(decoded)
            }
        };
        value.filter(|value| !value.is_empty()).map_or(Self::None, |value| Self::Value(Digest::of(&value)))
    }

    /// The one of these servers that the client belongs to; of those a value leads to, the next where the first is not among them.
    pub(super) fn choose<'a>(&self, candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        match self {
            Self::None => None,
            Self::Value(digest) => {
                let scores = candidates.iter().map(|candidate| (digest.score(&candidate.1.server), *candidate));
                scores.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, candidate)| candidate)
            }
            Self::Named(ids) => {
                let named = |id: &Vec<u8>| candidates.iter().find(|(_, member)| rendezvous::id(&member.server).as_bytes() == id);
                ids.iter().find_map(named).copied()
            }
        }
    }

    fn names(&self, id: &str) -> bool {
        matches!(self, Self::Named(ids) if ids.iter().any(|named| named == id.as_bytes()))
    }
}

/// Has the client come back to the server that has answered, by a cookie among the fields of the 101. One that the backend sets by
/// the same name would undo it. A client that was tied to this server before is not told again.
pub(super) fn remember(sticky: Option<&Sticky>, tie: &Tie, server: &Server, secure: bool, fields: &mut HeaderMap) {
    let Some(Sticky::Cookie(name)) = sticky else { return };
    let sets_it =
        |line: &HeaderValue| line.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="));
    let others: Vec<HeaderValue> = fields.get_all(SET_COOKIE).iter().filter(|line| !sets_it(line)).cloned().collect();
    fields.remove(SET_COOKIE);
    fields.extend(others.into_iter().map(|line| (SET_COOKIE, line)));
    let id = rendezvous::id(server);
    if !tie.names(&id) {
        let secure = if secure { "; Secure" } else { "" };
        let cookie = HeaderValue::from_str(&format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}"));
        fields.extend(cookie.ok().map(|cookie| (SET_COOKIE, cookie)));
    }
}

/// Takes the gateway's own cookie out of a request for a backend, to which it would say nothing.
pub(super) fn withhold(sticky: Option<&Sticky>, headers: &mut HeaderMap) {
    if let Some(Sticky::Cookie(name)) = sticky {
        cookies::take(headers, name);
    }
}

/// An IPv4 address, or the network of an IPv6 one, within which a host changes its address from day to day (RFC 8981).
fn network(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().into_iter().take(8).collect(),
    }
}

/// A header as the backend is sent it, its lines one list (RFC 9110 §5.3).
fn header(name: &HeaderName, request: &Parts, facts: &Facts<'_>) -> Vec<u8> {
    let written = facts.extra.iter().find(|(other, _)| other == name);
    let lines: Vec<&[u8]> = match written {
        Some((_, value)) => value.iter().map(HeaderValue::as_bytes).collect(),
        None => request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect(),
    };
    lines.join(&b", "[..])
}

#[cfg(test)]
mod tests;
