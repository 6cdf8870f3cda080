//! The facts of one connection that stages judge by.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::asked::AskedFor;
use super::certificate::Certificate;
use super::holdings::Holdings;
use super::identities::Identities;
use super::proof::Proof;
use super::tls::Tls;
use super::traffic::{Message, Side};

/// What is known of a connection before its request is read.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The socket's other end.
    pub address: SocketAddr,
    /// The client's address that every stage, log and header goes by; an IPv4-mapped IPv6 address is unmapped.
    pub ip: IpAddr,
    /// Our end of the socket.
    pub local: SocketAddr,
    /// The listener's name, without its kind.
    pub listener: Arc<str>,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// How it speaks TLS; none where it does not, and before its handshake is done.
    pub tls: Option<Arc<Tls>>,
    /// Whether it speaks HTTP/2: each stream of such a connection is a client of its own.
    pub http2: bool,
}

/// One connection as stages see it. It outlives the handshake, so it holds copies of what is needed and nothing of the request's buffers.
#[derive(Debug)]
pub struct Client {
    /// The connection's id, the same in all its log lines.
    pub id: u64,
    /// Addresses and listener.
    pub peer: Peer,
    /// The route's name, without its kind.
    pub route: Arc<str>,
    /// The host and path asked for, and the origin: see [`Client::host`], [`Client::path`] and [`Client::origin`].
    pub asked: AskedFor,
    /// The port asked for, where the `Host` header names one.
    pub port: Option<u16>,
    /// What it asks for.
    pub asks: Asks,
    /// The method of its request.
    pub method: http::Method,
    /// The subprotocol that was agreed on; none while its request is not answered.
    pub subprotocol: Option<Box<str>>,
    /// The named segments of the route's host and path.
    pub params: Box<[(Arc<str>, Box<str>)]>,
    /// Who it is, by each stage that has authenticated it, in the order they did; see [`Client::prove`].
    pub identities: Identities,
    /// What has passed so far.
    pub counters: Counters,
    /// What stages hold for it.
    pub holdings: Holdings,
    /// The request, until it is answered: what will go to the backend. A stage that takes a credential out of it removes it here.
    pub request: Option<Box<http::request::Parts>>,
    /// The message a stage asked for with [`FirstMessage`](super::FirstMessage), while the handshake is judged again.
    pub first_message: Option<Box<Message<'static>>>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// A WebSocket, or what a health endpoint tells.
    #[default]
    Upgrade,
    /// One answer: it has come with an ordinary HTTP request, to a route with `http`.
    Answer,
    /// Whether a page may ask (CORS preflight): an ordinary request in which browsers send no credential, on a route that lets it pass without.
    Leave,
}

/// A proven identity.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The stage that proved it, as the file names it.
    pub by: Arc<str>,
    /// The user's name, from the first of the stage's `user` claims that is there.
    pub user: Option<Arc<str>>,
    /// The verified claims, as JSON text of at most 4 KiB.
    pub claims: Box<str>,
    /// When the identity ends: the token's `exp` plus the stage's `grace`.
    pub expires: Option<SystemTime>,
    /// By what it is proven.
    pub proof: Arc<Proof>,
}

/// Left in a request's extensions by a stage that took a token out of the subprotocols it offers: the one the client is told where
/// nobody picks another. A browser fails a connection that picks none of those it offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised(pub Box<str>);

/// Left in a request's extensions by a stage that the first message has served: the backend needs that message too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardFirst;

impl Client {
    /// The host asked for, lower case, without port.
    pub fn host(&self) -> &str {
        self.asked.host()
    }

    /// The path asked for, normalised, without query.
    pub fn path(&self) -> &str {
        self.asked.path()
    }

    /// The `Origin` header, as sent; empty where it is not one line of text, and so no origin at all.
    pub fn origin(&self) -> Option<&str> {
        self.asked.origin()
    }

    /// Keeps what a stage has proven, in place of what it had proven before.
    pub fn prove(&mut self, identity: Identity) {
        self.identities.prove(identity);
    }

    /// The client's own certificate, which its listener has verified.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.peer.tls.as_ref()?.certificate.as_deref()
    }

    /// What this stage has proven, by its name in the file.
    pub fn identity(&self, by: &str) -> Option<Arc<Identity>> {
        self.identities.by(by)
    }

    /// The user's name: of those that stages have found, the last.
    pub fn user(&self) -> Option<&str> {
        self.identities.user()
    }

    /// The first moment after this one, or of all, at which one of the identities ends.
    pub fn expires(&self, after: Option<SystemTime>) -> Option<SystemTime> {
        self.identities.iter().filter_map(|identity| identity.expires).filter(|expires| Some(*expires) > after).min()
    }

    /// A verified claim, by its name or by the dotted path to it; none before a stage has authenticated the client. Where several
    /// have, the last one's claims are looked through first.
    ///
    /// It reads the kept text anew each time: for handshakes and reviews, not for messages.
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.identities.iter().rev().find_map(|identity| {
            let claims: Map<String, Value> = serde_json::from_str(&identity.claims).ok()?;
            claim(&claims, name).cloned()
        })
    }
}

/// The claim of this name, or at this dotted path. A claim whose own name has dots, as `"https://example.com/role"`, is found too.
pub fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

/// Messages and bytes that a connection has passed on. One writer, any reader.
#[derive(Debug, Default)]
pub struct Counters {
    own: Traffic,
    /// Where all connections of its route on this thread add up, if anybody wants to know.
    sum: Option<Arc<Traffic>>,
}

/// Messages and bytes from both sides. One thread writes, any reads.
#[derive(Debug, Default)]
pub struct Traffic {
    client: Tally,
    upstream: Tally,
}

/// Messages and bytes from one side.
#[derive(Debug, Default)]
pub struct Tally {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// Counters of a connection that adds to this sum too; nobody but this thread does.
    pub fn adding_to(sum: Arc<Traffic>) -> Self {
        Self { own: Traffic::default(), sum: Some(sum) }
    }

    /// What came from this side.
    pub fn from(&self, side: Side) -> &Tally {
        self.own.from(side)
    }

    /// Counts messages and payload bytes from this side; called by the connection's own task only, so that loads and stores do.
    pub fn add(&self, side: Side, messages: u64, bytes: u64) {
        self.own.from(side).add(messages, bytes);
        if let Some(sum) = &self.sum {
            sum.from(side).add(messages, bytes);
        }
    }
}

impl Traffic {
    /// What came from this side.
    pub fn from(&self, side: Side) -> &Tally {
        match side {
            Side::Client => &self.client,
            Side::Upstream => &self.upstream,
        }
    }
}

impl Tally {
    fn add(&self, messages: u64, bytes: u64) {
        self.messages.store(self.messages.load(Ordering::Relaxed) + messages, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    /// Messages so far; a message counts at its first frame.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Payload bytes of data frames so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_its_dotted_path() {
        let claims = serde_json::json!({ "sub": "alice", "realm": { "roles": ["a"], "x.y": 1 }, "https://example.com/role": "admin" });
        for (name, found) in [
            ("sub", Some("\"alice\"")),
            ("realm.roles", Some("[\"a\"]")),
            ("realm.x.y", Some("1")),
            ("https://example.com/role", Some("\"admin\"")),
            ("realm.missing", None),
            ("sub.sub", None),
            ("", None),
        ] {
            assert_eq!(claim(claims.as_object().unwrap(), name).map(Value::to_string).as_deref(), found, "{name}");
        }
    }

    #[test]
    fn the_last_identity_speaks_first_and_one_that_is_proven_again_is_replaced() {
        let mut client = crate::stage::sample::client(&[]);
        for (by, user, claims) in [
            ("jwt.user", "old", "{\"role\":\"old\"}"),
            ("jwt.device", "d7", "{\"role\":\"device\",\"serial\":7}"),
            ("jwt.user", "alice", "{\"role\":\"admin\"}"),
        ] {
            let (user, key) = (Some(user.into()), "k".into());
            client.prove(Identity {
                by: by.into(),
                user,
                claims: claims.into(),
                expires: None,
                proof: Proof { key, kid: None, key_set: None, algorithm: "HS256" }.into(),
            });
        }
        assert_eq!(client.identities.iter().map(|identity| identity.by.to_string()).collect::<Vec<_>>(), ["jwt.device", "jwt.user"]);
        assert_eq!((client.user(), client.expires(None)), (Some("alice"), None));
        assert_eq!((client.claim("role"), client.claim("serial")), (Some("admin".into()), Some(7.into())));
        assert_eq!(client.claim("missing"), None);
    }
}
