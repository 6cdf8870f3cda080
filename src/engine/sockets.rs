//! The sockets a gateway listens on, and how an edit changes them: one that stays is never closed, not for a moment.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::gateway::Gateway;
use crate::observe::event::Event;

use super::accept::{self, Workers};
use super::{Shared, StartError};

/// The sockets that are open, each with an acceptor.
#[derive(Default)]
pub(super) struct Sockets {
    open: Vec<Open>,
    acceptors: JoinSet<()>,
}

/// One socket. The acceptor has a handle of its own to it, so that another can take its place.
struct Open {
    bound: Bound,
    acceptor: AbortHandle,
}

/// A socket that is bound, and whose connections it takes.
pub(super) struct Bound {
    listener: Arc<str>,
    /// As the file says it; the port may be 0.
    asked: SocketAddr,
    only_v6: bool,
    local: SocketAddr,
    socket: net::TcpListener,
    /// Whether it was open already, and under which listener's name.
    was: Option<Arc<str>>,
}

impl Sockets {
    /// Binds what this gateway listens on and is not open yet. Nothing that is open is touched.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub(super) fn bind(&self, gateway: &Gateway) -> Result<Vec<Bound>, StartError> {
        let mut left: Vec<&Bound> = self.open.iter().map(|open| &open.bound).collect();
        let mut all = Vec::new();
        for listener in gateway.listeners.values() {
            for &asked in &listener.addresses {
                let only_v6 = listener.has_v4_twin(asked);
                let is_it = |bound: &&&Bound| bound.asked == asked && bound.only_v6 == only_v6;
                let own = left.iter().position(|bound| is_it(&bound) && bound.listener == listener.name);
                // What another listener gives up; port 0 names no socket.
                let others = || left.iter().position(|bound| is_it(&bound) && asked.port() != 0);
                let taken = own.or_else(others).map(|index| left.swap_remove(index));
                let bound = match taken {
                    Some(bound) => bound.hand_over(&listener.name),
                    None => Bound::new(&listener.name, asked, only_v6),
                };
                all.push(bound.map_err(StartError::new(format!("cannot listen on {asked} (listener.{})", listener.name)))?);
            }
        }
        Ok(all)
    }

    /// Listens on these and no others from now on.
    ///
    /// # Errors
    /// The host refuses to watch a socket; what was open then is as it was.
    pub(super) fn listen(&mut self, all: Vec<Bound>, shared: &Arc<Shared>, workers: &Workers) -> Result<(), StartError> {
        let watched: Vec<_> = all.into_iter().map(|bound| Ok((bound.watch()?, bound))).collect::<Result<_, StartError>>()?;
        let before = std::mem::take(&mut self.open);
        for (socket, bound) in watched {
            if bound.was.is_none() {
                Event::Listening { listener: &bound.listener, address: bound.local }.emit();
            }
            let acceptor = accept::accept(socket, bound.listener.clone(), shared.clone(), workers.clone());
            self.open.push(Open { acceptor: self.acceptors.spawn(acceptor), bound });
        }
        for open in before {
            open.acceptor.abort();
            if !self.open.iter().any(|other| other.bound.local == open.bound.local) {
                Event::NoLongerListening { listener: &open.bound.listener, address: open.bound.local }.emit();
            }
        }
        while self.acceptors.try_join_next().is_some() {}
        Ok(())
    }

    /// Accepts nothing more.
    pub(super) async fn close(&mut self) {
        self.open.clear();
        self.acceptors.shutdown().await;
    }

    /// The addresses, with their listeners' names.
    pub(super) fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.open.iter().map(|open| (open.bound.listener.clone(), open.bound.local)).collect()
    }
}

impl Bound {
    fn new(listener: &Arc<str>, asked: SocketAddr, only_v6: bool) -> io::Result<Self> {
        let socket = accept::bind(asked, only_v6)?;
        Ok(Self { listener: listener.clone(), asked, only_v6, local: socket.local_addr()?, socket, was: None })
    }

    /// The same socket, for a listener that may be another.
    fn hand_over(&self, listener: &Arc<str>) -> io::Result<Self> {
        let (asked, only_v6, local) = (self.asked, self.only_v6, self.local);
        let (socket, was) = (self.socket.try_clone()?, Some(self.listener.clone()));
        Ok(Self { listener: listener.clone(), asked, only_v6, local, socket, was })
    }

    fn watch(&self) -> Result<TcpListener, StartError> {
        let failed = StartError::new(format!("cannot listen on {} (listener.{})", self.local, self.listener));
        self.socket.try_clone().and_then(TcpListener::from_std).map_err(failed)
    }
}
