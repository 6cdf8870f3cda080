//! Where the client really is: what a balancer says before a connection's first byte, and a proxy in its request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::stage::refusal::BAD_PROXY_HEADER;
use crate::stage::{Peer, Refusal};
use crate::wire::head::Unread;
use crate::wire::proxy_protocol::{Ends, Reader};

use super::door::Door;
use super::visit::{Stop, Visit};

/// How long a balancer may take to say for whom it connects: it sends that with its first packet, and may have to send it again.
/// Never longer than `handshake_timeout`.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The way a connection has come, as far as it is known and believed.
#[derive(Clone)]
pub(super) struct Way {
    /// The client's end, and the one it connected to.
    pub(super) ends: Ends,
    /// The proxies that its request came through, the nearest last.
    pub(super) hops: Vec<IpAddr>,
    /// Whether the client came over TLS.
    pub(super) secure: bool,
}

impl Way {
    /// The way of one who speaks for itself.
    pub(super) fn of(peer: &Peer) -> Self {
        Self { ends: Ends { source: peer.address, destination: peer.local }, hops: Vec::new(), secure: false }
    }
}

/// What was known of a peer before a proxy was believed: its next request may be another client's.
pub(super) struct Nearest {
    ip: IpAddr,
    source: SocketAddr,
    secure: bool,
}

impl Visit {
    /// The socket is accepted. Who has to begin with a PROXY header begins with one; what follows it is given back, unread.
    pub(super) async fn read_proxy_header(&mut self) -> Result<Vec<u8>, Stop> {
        if !self.listener.proxy_protocol.as_ref().is_some_and(|balancers| balancers.contain(self.peer.ip)) {
            return Ok(Vec::new());
        }
        let Some(socket) = self.door.unread() else { return Err(Stop::Gone) };
        let mut reader = Reader::default();
        let read = tokio::select! {
            read = timeout(PROXY_HEADER_TIMEOUT.min(self.listener.handshake_timeout), reader.read(socket)) => read,
            // Nobody has asked for anything yet.
            () = self.worker.drain_begins() => return Err(Stop::Gone),
        };
        let refusal = match read {
            Ok(Ok((ends, early))) => {
                // Without them the balancer speaks for itself, as in its probes.
                if let Some(ends) = ends {
                    self.peer.ip = ends.source.ip().to_canonical();
                    self.way.ends = ends;
                }
                return Ok(early);
            }
            Ok(Err(Unread::Nothing | Unread::Cut)) => return Err(Stop::Gone),
            Err(_) if reader.is_empty() => return Err(Stop::Gone),
            Ok(Err(Unread::Refused(refusal))) => refusal,
            Err(_) => Box::new(Refusal::new(BAD_PROXY_HEADER).rule("a PROXY header that did not come in time")),
        };
        // Whoever it is does not speak our language: an answer would be read as something else.
        self.door = Door::Gone;
        Err(refusal.into())
    }

    /// The request of a peer that is a trusted proxy is read: from here on the client is who it says. Of another peer's nothing is
    /// believed.
    pub(super) fn believe(&mut self, headers: &HeaderMap) -> Result<(), Stop> {
        let Some(proxies) = self.listener.proxies_at(self.peer.ip) else { return Ok(()) };
        let said = proxies.resolve(self.peer.ip, headers)?;
        self.nearest = Some(Nearest { ip: self.peer.ip, source: self.way.ends.source, secure: self.way.secure });
        if !said.hops.is_empty() {
            self.way.ends.source = SocketAddr::new(said.ip, 0);
        }
        self.peer.ip = said.ip;
        self.way.hops = said.hops;
        // Of whoever says nothing of it, what is known is its own connection to us.
        self.way.secure = said.secure.unwrap_or(self.way.secure);
        Ok(())
    }

    /// Another request comes over the connection: who makes it is the peer again, until it says otherwise.
    pub(super) fn disbelieve(&mut self) {
        if let Some(Nearest { ip, source, secure }) = self.nearest.take() {
            self.peer.ip = ip;
            self.way.ends.source = source;
            self.way.hops.clear();
            self.way.secure = secure;
        }
    }

    /// The header that proxies are believed by, where it holds an address and nothing else: backends that go by it too get it from us
    /// alone, with the client's.
    pub(super) fn way_header(&self) -> Option<(HeaderName, Option<HeaderValue>)> {
        let header = self.listener.trusted_proxies.as_ref()?.address_header()?;
        Some((header.clone(), HeaderValue::try_from(self.peer.ip.to_string()).ok()))
    }
}
