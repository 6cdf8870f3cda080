//! The sockets a gateway listens on, and how an edit changes them: one that stays is never closed, not for a moment.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::gateway::Gateway;
use crate::observe::event::{self, Event};

use super::accept::{self, Name, Team};
use super::scrape::Scraper;
use super::{StartError, pages};

/// The sockets that are open, each with an acceptor: those of listeners, and those of pages of metrics.
#[derive(Default)]
pub(super) struct Sockets {
    open: Vec<Open>,
    acceptors: JoinSet<()>,
    pages: JoinSet<()>,
}

/// One socket. The acceptor has a handle of its own to it, so that another can take its place.
struct Open {
    bound: Bound,
    acceptor: AbortHandle,
    /// What the acceptor goes by, where it is a listener's.
    name: Option<Name>,
}

/// A socket that is bound, and whose connections it takes.
pub(super) struct Bound {
    owner: Owner,
    /// As the file says it; the port may be 0.
    asked: SocketAddr,
    only_v6: bool,
    local: SocketAddr,
    socket: net::TcpListener,
    /// For the acceptor; none where the one that has it stays.
    watched: Option<TcpListener>,
    /// Whether it was open already.
    was_open: bool,
}

/// Whose a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Listener(Arc<str>),
    Page(Arc<str>),
}

impl Owner {
    fn as_event(&self) -> event::Owner<'_> {
        match self {
            Self::Listener(name) => event::Owner::Listener(name),
            Self::Page(name) => event::Owner::Metrics(name),
        }
    }
}

impl Owner {
    /// Whether this one's acceptor does for that one: a listener is known by its name, which an acceptor can be given.
    fn hands_on(&self, next: &Self) -> bool {
        self == next || matches!((self, next), (Self::Listener(_), Self::Listener(_)))
    }

    /// Has the socket watched for its acceptor, which has a handle of its own to it.
    fn watch(&self, socket: &net::TcpListener, team: &Team) -> io::Result<TcpListener> {
        let socket = socket.try_clone()?;
        match self {
            Self::Listener(_) => team.watch(socket),
            Self::Page(_) => TcpListener::from_std(socket),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener.{name}"),
            Self::Page(name) => write!(f, "metrics.{name}"),
        }
    }
}

/// Every address of a gateway, whose it is, and whether it keeps to IPv6.
fn wanted(gateway: &Gateway) -> impl Iterator<Item = (Owner, SocketAddr, bool)> {
    let listeners = gateway.listeners.values().flat_map(|listener| {
        listener.addresses.iter().map(|asked| (Owner::Listener(listener.name.clone()), *asked, listener.has_v4_twin(*asked)))
    });
    let pages = gateway
        .metrics
        .iter()
        .flat_map(|page| page.addresses.iter().map(|asked| (Owner::Page(page.name.clone()), *asked, page.has_v4_twin(*asked))));
    listeners.chain(pages)
}

impl Sockets {
    /// Binds what this gateway listens on and is not open yet. Nothing that is open is touched; all that can fail has not failed then.
    ///
    /// # Errors
    /// An address that cannot be bound, or a socket that the host refuses to watch.
    pub(super) fn bind(&self, gateway: &Gateway, team: &Team) -> Result<Vec<Bound>, StartError> {
        let mut left: Vec<&Bound> = self.open.iter().map(|open| &open.bound).collect();
        let mut all = Vec::new();
        for (owner, asked, only_v6) in wanted(gateway) {
            let is_it = |bound: &&&Bound| bound.asked == asked && bound.only_v6 == only_v6;
            let own = left.iter().position(|bound| is_it(&bound) && bound.owner == owner);
            // What another gives up; port 0 names no socket.
            let others = || left.iter().position(|bound| is_it(&bound) && asked.port() != 0);
            let taken = own.or_else(others).map(|index| left.swap_remove(index));
            let failed = StartError::new(format!("cannot listen on {asked} ({owner})"));
            let bound = match taken {
                Some(bound) => bound.hand_over(owner, team),
                None => Bound::new(owner, asked, only_v6, team).map_err(|error| self.explain(error, asked, gateway)),
            };
            all.push(bound.map_err(failed)?);
        }
        Ok(all)
    }

    /// The address may be taken by a socket of ours that this edit gives up: that listens until the edit is in force, and two that cover
    /// each other cannot be bound at once. To have them share the port, both had to let any process of the same user do so.
    fn explain(&self, error: io::Error, asked: SocketAddr, gateway: &Gateway) -> io::Error {
        let covers = |other: SocketAddr| {
            other.port() == asked.port() && (other.ip() == asked.ip() || other.ip().is_unspecified() || asked.ip().is_unspecified())
        };
        let stays = |bound: &Bound| wanted(gateway).any(|(_, asked, only_v6)| bound.asked == asked && bound.only_v6 == only_v6);
        let own = self.open.iter().map(|open| &open.bound).find(|bound| covers(bound.local) && !stays(bound));
        match own.filter(|_| error.kind() == io::ErrorKind::AddrInUse) {
            Some(Bound { local, owner, .. }) => {
                let hint = "give it up in an edit of its own first, or restart";
                io::Error::new(error.kind(), format!("{error}: the gateway's own {local} ({owner}) is in its way; {hint}"))
            }
            None => error,
        }
    }

    /// Listens on these and no others from now on. A socket that stays with its owner is left to its acceptor, whatever that is at.
    pub(super) fn listen(&mut self, all: Vec<Bound>, scraper: &Arc<Scraper>, team: &Arc<Team>) {
        let mut before = std::mem::take(&mut self.open);
        for mut bound in all {
            if !bound.was_open {
                scraper.observer().report(&Event::Listening { of: bound.owner.as_event(), address: bound.local });
            }
            let stays = |open: &Open| open.bound.local == bound.local && open.bound.owner.hands_on(&bound.owner);
            let (acceptor, name) = match (bound.watched.take(), &bound.owner) {
                (None, _) => match before.iter().position(stays) {
                    Some(index) => {
                        let Open { acceptor, name, .. } = before.swap_remove(index);
                        if let (Some(name), Owner::Listener(new)) = (&name, &bound.owner) {
                            name.set(new.clone());
                        }
                        (acceptor, name)
                    }
                    None => continue,
                },
                (Some(socket), Owner::Listener(name)) => {
                    let name = Name::new(name.clone());
                    let accept = accept::accept(socket, name.clone(), scraper.shared().clone(), team.clone());
                    (team.spawn(&mut self.acceptors, accept), Some(name))
                }
                (Some(socket), Owner::Page(name)) => (self.pages.spawn(pages::serve(socket, name.clone(), scraper.clone())), None),
            };
            self.open.push(Open { acceptor, bound, name });
        }
        for open in before {
            open.acceptor.abort();
            if !self.open.iter().any(|other| other.bound.local == open.bound.local) {
                scraper.observer().report(&Event::NoLongerListening { of: open.bound.owner.as_event(), address: open.bound.local });
            }
        }
        while self.acceptors.try_join_next().is_some() {}
        while self.pages.try_join_next().is_some() {}
    }

    /// Accepts nothing more. Pages are served until this is dropped, so that a drain can be watched.
    pub(super) async fn close(&mut self) {
        self.open.retain(|open| matches!(open.bound.owner, Owner::Page(_)));
        self.acceptors.shutdown().await;
    }

    /// The addresses of listeners, with their names.
    pub(super) fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        let named = self.open.iter().filter_map(|open| match &open.bound.owner {
            Owner::Listener(name) => Some((name.clone(), open.bound.local)),
            Owner::Page(_) => None,
        });
        named.collect()
    }

    /// The addresses of pages of metrics, with their names.
    pub(super) fn metrics_addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        let named = self.open.iter().filter_map(|open| match &open.bound.owner {
            Owner::Page(name) => Some((name.clone(), open.bound.local)),
            Owner::Listener(_) => None,
        });
        named.collect()
    }
}

impl Bound {
    fn new(owner: Owner, asked: SocketAddr, only_v6: bool, team: &Team) -> io::Result<Self> {
        let socket = accept::bind(asked, only_v6)?;
        let (local, watched) = (socket.local_addr()?, Some(owner.watch(&socket, team)?));
        Ok(Self { owner, asked, only_v6, local, socket, watched, was_open: false })
    }

    /// The same socket, for an owner that may be another.
    fn hand_over(&self, owner: Owner, team: &Team) -> io::Result<Self> {
        let (asked, only_v6, local) = (self.asked, self.only_v6, self.local);
        let watched = if self.owner.hands_on(&owner) { None } else { Some(owner.watch(&self.socket, team)?) };
        Ok(Self { owner, asked, only_v6, local, socket: self.socket.try_clone()?, watched, was_open: true })
    }
}
