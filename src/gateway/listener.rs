//! A listener of the snapshot: where it listens, what it asks of everybody, how much it takes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::stage::refusal::Verdict;
use crate::stage::slots::Slots;
use crate::stage::{Client, Pipeline};
use crate::wire::head::Limits;

use super::proxies::{Networks, TrustedProxies};
use super::tls::Termination;

/// One listener.
pub struct Listener {
    /// Its name, without its kind.
    pub name: Arc<str>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// What every connection to it passes.
    pub pipeline: Pipeline,
    /// How many connections are on it; they outlive a snapshot.
    pub slots: Arc<Slots>,
    /// How many may be; `None` is no limit.
    pub max_connections: Option<usize>,
    /// How long a client may take to send its request head, and each answer to be written.
    pub handshake_timeout: Duration,
    /// The bounds of a request head.
    pub head: Limits,
    /// Who is believed about where clients are, once their request is read.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Who has to begin with a PROXY header.
    pub proxy_protocol: Option<Networks>,
    /// How it ends TLS, where that is what it speaks.
    pub tls: Option<Arc<Termination>>,
    /// Whether HTTP/2 is spoken, too.
    pub http2: bool,
}

/// The slots are those of its name, whatever the file says.
impl PartialEq for Listener {
    fn eq(&self, other: &Self) -> bool {
        self.pipeline == other.pipeline && self.has_settings_of(other)
    }
}

impl Listener {
    /// Whether it is equal to another but for its pipeline.
    pub(super) fn has_settings_of(&self, other: &Self) -> bool {
        let Self {
            name,
            addresses,
            pipeline: _,
            slots: _,
            max_connections,
            handshake_timeout,
            head,
            trusted_proxies,
            proxy_protocol,
            tls,
            http2,
        } = self;
        *name == other.name
            && *addresses == other.addresses
            && *max_connections == other.max_connections
            && *handshake_timeout == other.handshake_timeout
            && *head == other.head
            && *trusted_proxies == other.trusted_proxies
            && *proxy_protocol == other.proxy_protocol
            && *tls == other.tls
            && *http2 == other.http2
    }

    /// Judges a live connection again by what is asked of it before its request: a certificate, where the listener asks for one.
    ///
    /// # Errors
    /// The refusal that ends it.
    pub fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.review(client, now))
    }

    /// The proxies that are believed, where one of them is at this address: the request it sends says for whom it speaks.
    pub fn proxies_at(&self, ip: IpAddr) -> Option<&TrustedProxies> {
        self.trusted_proxies.as_ref().filter(|proxies| proxies.contain(ip))
    }

    /// Whether an IPv4 address of this listener has the same port, so that the IPv6 one has to keep to itself.
    pub fn has_v4_twin(&self, address: SocketAddr) -> bool {
        has_v4_twin(&self.addresses, address)
    }
}

/// Whether one of these addresses is an IPv4 one of the same port as this IPv6 one.
pub(super) fn has_v4_twin(addresses: &[SocketAddr], address: SocketAddr) -> bool {
    address.is_ipv6() && addresses.iter().any(|other| other.is_ipv4() && other.port() == address.port() && other.port() != 0)
}
