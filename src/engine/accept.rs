//! Acceptors: one per address; each socket goes to the least loaded worker.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::select_ok;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::SendError};
use tokio::task::{AbortHandle, JoinSet, yield_now};

use crate::gateway::Gateway;
use crate::gateway::listener::Listener;
use crate::observe::event::Event;
use crate::stage::Peer;
use crate::wire::socket;

use super::Shared;
use super::thread::Thread;
use super::worker::{Accepted, Fresh, Inbox, Load, Worker};

/// Connections the kernel keeps for us while we are busy; it may keep fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// How long accepting rests when the host has no descriptors or memory left; doubled up to `LONGEST_REST`.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// So many errors in a row, of whichever kind, are the host's too: accepting rests instead of spinning.
const FAILURES: u32 = 64;

/// The name of the listener that an acceptor works for, which an edit may change.
#[derive(Clone)]
pub(super) struct Name(Arc<Mutex<Arc<str>>>);

impl Name {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self(Arc::new(Mutex::new(name)))
    }

    pub(super) fn set(&self, name: Arc<str>) {
        *self.lock() = name;
    }

    fn now(&self) -> Arc<str> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers an acceptor hands its sockets to.
pub(super) struct Team {
    workers: Box<[(Arc<Worker>, Inbox)]>,
    /// The runtime of the only worker, where there is one: its sockets are accepted there, and need not change threads.
    home: Option<Handle>,
}

impl Team {
    /// These workers.
    pub(super) fn of(threads: &[Thread]) -> Self {
        let workers = threads.iter().map(|thread| (thread.worker.clone(), thread.inbox.clone())).collect();
        let home = if let [only] = threads { Some(only.runtime.clone()) } else { None };
        Self { workers, home }
    }

    /// Has a socket watched where its acceptor will run.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn watch(&self, socket: net::TcpListener) -> io::Result<TcpListener> {
        let _home = self.home.as_ref().map(Handle::enter);
        TcpListener::from_std(socket)
    }

    /// A socket that was accepted, for a worker: freed of this runtime where the worker has another.
    fn ready(&self, socket: TcpStream) -> io::Result<Fresh> {
        if self.home.is_some() { Ok(Fresh::Here(socket)) } else { socket.into_std().map(Fresh::Elsewhere) }
    }

    /// Has an acceptor run.
    pub(super) fn spawn(&self, acceptors: &mut JoinSet<()>, accept: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        match &self.home {
            Some(home) => acceptors.spawn_on(accept, home),
            None => acceptors.spawn(accept),
        }
    }

    async fn take(&self, accepted: Accepted) {
        // There is none only while the engine stops: the socket closes.
        if let Some((worker, place)) = self.place().await {
            place.send((accepted, worker.take_load()));
        }
    }

    /// A place in the inbox of the least loaded worker that has one.
    async fn place(&self) -> Option<(&Arc<Worker>, mpsc::Permit<'_, (Accepted, Load)>)> {
        let (least, inbox) = self.workers.iter().min_by_key(|(worker, _)| worker.load())?;
        if let Ok(place) = inbox.try_reserve() {
            return Some((least, place));
        }
        let mut all: Vec<_> = self.workers.iter().map(|(worker, inbox)| (worker, inbox)).collect();
        all.sort_by_cached_key(|(worker, _)| worker.load());
        first_place(all).await
    }
}

/// A place in the first of these inboxes that has one; where all are full, in the first to have one again: a worker that is stuck keeps
/// nobody waiting for the others. None where nobody takes anything any more.
async fn first_place<'a, W, T>(inboxes: Vec<(W, &'a mpsc::Sender<T>)>) -> Option<(W, mpsc::Permit<'a, T>)> {
    if inboxes.is_empty() {
        return None;
    }
    // In this order, too, are they asked.
    let places =
        inboxes.into_iter().map(|(worker, inbox)| Box::pin(async move { Ok::<_, SendError<()>>((worker, inbox.reserve().await?)) }));
    select_ok(places).await.ok().map(|(found, _)| found)
}

/// Binds one address. `only_v6` keeps a `[::]` from taking the IPv4 addresses too.
///
/// # Errors
/// What the host says.
pub(super) fn bind(address: SocketAddr, only_v6: bool) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // What is accepted takes over how this is set up.
    socket::tune(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until its task is dropped.
pub(super) async fn accept(sockets: TcpListener, name: Name, shared: Arc<Shared>, team: Arc<Team>) {
    let (mut rest, mut failures) = (None, 0);
    // Where it listens at one address, each of its connections has come there.
    let bound = sockets.local_addr().ok().filter(|bound| !bound.ip().is_unspecified());
    loop {
        match sockets.accept().await {
            Ok((socket, address)) => {
                failures = 0;
                if rest.take().is_some() {
                    shared.observer.report(&Event::AcceptResumed { listener: &name.now() });
                }
                let (gateway, listener) = in_force(&shared, &name).await;
                // A socket that refuses has been reset already.
                let Ok(local) = bound.map_or_else(|| socket.local_addr(), Ok) else { continue };
                let ip = address.ip().to_canonical();
                let peer =
                    Peer { address, ip, local, listener: listener.name.clone(), accepted: SystemTime::now(), tls: None, http2: false };
                if let Ok(socket) = team.ready(socket) {
                    team.take(Accepted { socket, peer, listener, gateway }).await;
                }
            }
            Err(error) if socket::is_exhaustion(&error) || failures >= FAILURES => {
                if rest.is_none() {
                    shared.observer.report(&Event::AcceptPaused { listener: &name.now(), error: &error });
                }
                let pause = rest.map_or(FIRST_REST, |before: Duration| (before * 2).min(LONGEST_REST));
                rest = Some(pause);
                tokio::time::sleep(pause).await;
            }
            // The client gave up between the kernel's accept and ours, or the network was at fault: nothing of ours.
            Err(_) => failures += 1,
        }
    }
}

/// The listener as it is in force. An edit that renames it has the snapshot in place before the name, and one that removes it has this
/// acceptor ended soon after.
async fn in_force(shared: &Shared, name: &Name) -> (Arc<Gateway>, Arc<Listener>) {
    loop {
        let gateway = shared.gateway.load_full();
        if let Some(listener) = gateway.listeners.get(&name.now()).cloned() {
            return (gateway, listener);
        }
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_stuck_keeps_nobody_waiting_for_the_others() {
        let (stuck, _stuck) = mpsc::channel::<u32>(1);
        let (full, mut busy) = mpsc::channel(1);
        let (free, mut idle) = mpsc::channel(2);
        let (gone, _) = mpsc::channel(1);
        stuck.send(0).await.unwrap();
        full.send(0).await.unwrap();
        let all = || vec![("stuck", &stuck), ("gone", &gone), ("full", &full), ("free", &free)];
        for number in 1..=2 {
            let (name, place) = first_place(all()).await.unwrap();
            assert_eq!(name, "free");
            place.send(number);
        }
        assert_eq!((idle.recv().await, idle.recv().await), (Some(1), Some(2)));
        idle.close();
        let takes = async { busy.recv().await };
        let (found, taken) = tokio::join!(first_place(all()), takes);
        assert_eq!((found.map(|(name, _)| name), taken), (Some("full"), Some(0)));
        assert!(first_place(vec![("gone", &gone)]).await.is_none() && first_place::<(), u32>(Vec::new()).await.is_none());
    }
}
