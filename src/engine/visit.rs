//! A connection on its way in: what is known of it so far, and why it may not become live.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Response};

use crate::gateway::Gateway;
use crate::gateway::admission::Against;
use crate::gateway::listener::Listener;
use crate::gateway::request::Target;
use crate::gateway::route::Route;
use crate::observe::event::{Attempt, Event};
use crate::stage::pipeline::Findings;
use crate::stage::slots::Permit;
use crate::stage::{Client, Peer, Refusal};
use crate::wire::deflate::Codec;
use crate::wire::extensions::Deflate;
use crate::wire::stream::Socket;
use crate::wire::upgrade::Upgrade;

use super::door::Door;
use super::live::{Carrier, Holdings};
use super::tickets::Enrolled;
use super::way::{Nearest, Way};
use super::worker::Load;

/// Why a connection does not become live.
pub(super) enum Stop {
    /// It is refused, and will be told.
    Refused(Box<Refusal>),
    /// The backend declined the upgrade: the client gets the backend's own answer where it can still get one over HTTP.
    Declined(Box<Refusal>, Box<Response<Bytes>>),
    /// It begins with HTTP/2, as all that was read of it does: refused where nobody takes it up.
    Preface(Box<Refusal>, Vec<u8>),
    /// It asked for something that is answered over plain HTTP: a probe, of which there is no line in the log.
    Answered(Box<Response<Bytes>>),
    /// The client has gone before it asked for anything.
    Gone,
}

impl From<Box<Refusal>> for Stop {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::Refused(refusal)
    }
}

/// Refused by this row, with nothing more to say.
pub(super) fn refused(refusal: Refusal) -> Stop {
    Stop::Refused(Box::new(refusal))
}

/// A connection on its way in: what is known of it so far.
pub(super) struct Visit {
    pub(super) gateway: Arc<Gateway>,
    pub(super) listener: Arc<Listener>,
    pub(super) peer: Peer,
    pub(super) way: Way,
    pub(super) id: u64,
    pub(super) began: Instant,
    pub(super) door: Door<Socket>,
    /// What it asks for, once its head is read.
    pub(super) asked: Option<Target>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) client: Option<Client>,
    /// The same while others see it too: an ordinary request is under way.
    pub(super) shared: Option<Arc<Client>>,
    /// What was known of the peer before its request named another.
    pub(super) nearest: Option<Nearest>,
    /// By whom its peer was greeted when it connected, until a request has come of it.
    pub(super) greeted: Option<Arc<Listener>>,
    /// What is held against whoever makes the first request.
    pub(super) against: Against,
    /// What its request settles, where it has been read.
    pub(super) terms: Option<Terms>,
    pub(super) findings: Findings,
    /// Where it was let in beyond a limit, to be read and turned away: what a probe is told then.
    pub(super) spare: Option<&'static str>,
    /// The place it has been read in then.
    pub(super) spare_place: Option<Permit>,
    /// How often live connections had been judged again when it was first judged.
    pub(super) rechecks: u64,
    pub(super) holdings: Holdings,
    /// The connection of HTTP/2 that it is, or is a stream of.
    pub(super) carrier: Option<Arc<Carrier>>,
    /// Where it is found by its ticket, from before its client is told of it.
    pub(super) ticket: Option<Box<Enrolled>>,
    /// Its place among the handshakes in progress.
    pub(super) handshake: Option<Permit>,
    /// Its worker, which counts it until all of the above has been given back.
    pub(super) worker: Load,
}

/// What an upgrade request settles, and what has been agreed on so far.
pub(super) struct Terms {
    pub(super) upgrade: Upgrade,
    pub(super) subprotocol: Option<HeaderValue>,
    /// permessage-deflate as the gateway itself has agreed to it, and what it reads and answers with.
    pub(super) deflate: Option<(Deflate, Box<Codec>)>,
}

impl Terms {
    /// Those of a request of which nothing has been answered.
    pub(super) fn new(upgrade: Upgrade) -> Self {
        Self { upgrade, subprotocol: None, deflate: None }
    }

    /// The gateway itself answers, and takes what it is offered; gives the words for it.
    pub(super) fn agree(&mut self) -> Option<HeaderValue> {
        self.deflate = self.upgrade.offer.accept().map(|deflate| (deflate, Box::new(deflate.codec())));
        self.deflate.as_ref().and_then(|(deflate, _)| deflate.header())
    }
}

impl Visit {
    /// Somebody has come, and nothing is known of it but where from.
    pub(super) fn new(worker: Load, (gateway, listener): (Arc<Gateway>, Arc<Listener>), peer: Peer, door: Door<Socket>) -> Self {
        Self {
            way: Way::of(&peer),
            worker,
            gateway,
            listener,
            peer,
            id: rand::random(),
            began: Instant::now(),
            door,
            asked: None,
            route: None,
            client: None,
            shared: None,
            nearest: None,
            greeted: None,
            against: Against::default(),
            terms: None,
            findings: Findings::default(),
            spare: None,
            spare_place: None,
            rechecks: 0,
            holdings: Holdings::default(),
            carrier: None,
            ticket: None,
            handshake: None,
        }
    }

    /// The facts, once there is a route.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref().or(self.shared.as_deref())
    }

    /// Reports what only would have been refused.
    pub(super) fn report_findings(&mut self) {
        let (found, _) = self.findings.take();
        for refusal in &found {
            self.worker.observer().report(&Event::WouldRefuse { attempt: self.attempt(), refusal });
        }
    }

    /// What is known of the connection, for the log.
    pub(super) fn attempt(&self) -> Attempt<'_> {
        let (route, asked) = (self.route.as_ref().map(|route| &*route.name), self.asked.as_ref());
        let (host, path) = (asked.map(|asked| &*asked.host), asked.map(|asked| &*asked.path));
        self.client().map_or(Attempt { route, host, path, ..Attempt::unread(self.id, &self.peer) }, Attempt::from)
    }
}
