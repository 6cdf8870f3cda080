//! What the connections of one worker share: its wheel, its registry, its load.

use std::io;
use std::net;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::gateway::Gateway;
use crate::gateway::listener::Listener;
use crate::observe::Observer;
use crate::stage::Peer;
use crate::stage::Refusal;
use crate::stage::client::Counters;
use crate::stage::refusal::SHUTTING_DOWN;
use crate::stage::slots::Slots;
use crate::wire::tick::TICK;

use super::Shared;
use super::registry::Registry;
use super::wheel::Wheel;

/// How many clients may be shown out at a time; beyond, their sockets are closed without a word, so that a flood of clients that
/// are turned away holds no more than this.
const MAX_COURTESY: usize = 1024;

/// How many connections beyond `max_connections` are read before they are refused, so that a probe among them gets its answer.
const MAX_SPARE: usize = 16;

/// A socket fresh from a listener.
pub(super) struct Accepted {
    pub(super) socket: Fresh,
    pub(super) peer: Peer,
    pub(super) listener: Arc<Listener>,
    pub(super) gateway: Arc<Gateway>,
}

/// How a worker is handed sockets.
pub(super) type Inbox = mpsc::Sender<(Accepted, Load)>;

/// A socket that its worker has not taken up.
pub(super) enum Fresh {
    /// Accepted on the worker's own runtime.
    Here(TcpStream),
    /// On another, and free of it: a socket stays with the runtime that watches it.
    Elsewhere(net::TcpStream),
}

impl Fresh {
    /// Takes it up, on the worker's runtime.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn settle(self) -> io::Result<TcpStream> {
        match self {
            Self::Here(socket) => Ok(socket),
            Self::Elsewhere(socket) => TcpStream::from_std(socket),
        }
    }
}

/// What a worker's connections share.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) wheel: Wheel,
    pub(super) registry: Arc<Registry>,
    index: usize,
    /// Connections and handshakes on this worker.
    load: AtomicUsize,
    stopping: AtomicBool,
    draining: watch::Sender<bool>,
    /// Clients that are being told why they are turned away, over HTTP.
    pub(super) courtesy: Arc<Slots>,
    /// Connections for which there is no room, and that may be probes.
    pub(super) spare: Arc<Slots>,
}

/// Counts one connection or handshake on its worker, and is how that one has it.
pub(super) struct Load(Arc<Worker>);

impl Deref for Load {
    type Target = Arc<Worker>;

    fn deref(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    /// A worker without connections.
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Self {
        Self {
            shared,
            index,
            wheel: Wheel::new(),
            registry: Arc::default(),
            load: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            courtesy: Arc::new(Slots::new(Some(MAX_COURTESY))),
            spare: Arc::new(Slots::new(Some(MAX_SPARE))),
        }
    }

    /// Counts one more connection; the acceptor takes it when it chooses the worker, so that a burst spreads.
    pub(super) fn take_load(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(self.clone())
    }

    /// Connections and handshakes on this worker.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Whom its connections tell what happens to them.
    pub(super) fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// Counters for a connection of this route on this worker.
    pub(super) fn counters(&self, route: &str) -> Counters {
        Counters::adding_to(self.observer().metrics().traffic(route, self.index))
    }

    /// A stop has been asked for: probes are told to send nobody here any more, while whoever comes is let in.
    pub(super) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether a stop has been asked for.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether connections are no longer let in.
    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Returns when connections are no longer let in.
    pub(super) async fn drain_begins(&self) {
        // The sender lives as long as the worker, so it does begin or this never returns.
        _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Ends every connection with `shutting_down`, evenly over `over` from now on; returns when all have been told or have left.
    /// One that is only being let in is told by whoever lets it in.
    pub(super) async fn drain(&self, over: Duration) {
        self.draining.send_replace(true);
        let records = self.registry.all();
        let (begun, over) = (Instant::now(), over.max(TICK));
        let mut clock = tokio::time::interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        while told < records.len() && !self.registry.is_empty() {
            clock.tick().await;
            let due = (records.len() as u128 * begun.elapsed().as_millis() / over.as_millis()).saturating_add(1);
            let due = usize::try_from(due).unwrap_or(usize::MAX).min(records.len());
            for record in records.get(told..due).unwrap_or_default() {
                record.end(Box::new(Refusal::new(SHUTTING_DOWN)));
            }
            told = due;
        }
    }
}
