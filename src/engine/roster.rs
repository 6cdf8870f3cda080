//! Every live connection of every worker, for whoever looks on from outside while the engine works.

use std::sync::Arc;
use std::time::SystemTime;

use crate::gateway::Gateway;
use crate::observe::Observer;

use super::Shared;
use super::judge::Haste;
use super::recheck::Rechecks;
use super::registry::Record;
use super::worker::Worker;

/// Places of a registry that are looked at before others get their turn.
const AT_A_TIME: usize = 256;

/// The connections of an engine.
#[derive(Clone)]
pub(crate) struct Roster {
    shared: Arc<Shared>,
    workers: Arc<[Arc<Worker>]>,
}

/// A walk over every connection, a few at a time; one that lives through it is met once.
pub(super) struct Walk<'a> {
    workers: std::slice::Iter<'a, Arc<Worker>>,
    worker: Option<&'a Arc<Worker>>,
    place: usize,
}

impl Roster {
    pub(super) fn new(shared: Arc<Shared>, workers: Vec<Arc<Worker>>) -> Self {
        Self { shared, workers: workers.into() }
    }

    /// The snapshot in force.
    pub(super) fn gateway(&self) -> Arc<Gateway> {
        self.shared.gateway.load_full()
    }

    /// Whom facts are told.
    pub(super) fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// How often these were to be judged again.
    pub(super) fn rechecks(&self) -> &Rechecks {
        &self.shared.rechecks
    }

    /// How many snapshots have been in force with the one that is.
    pub(super) fn generation(&self) -> u64 {
        self.shared.ages.current()
    }

    /// The last snapshot whose rules a connection goes by.
    pub(super) fn generation_of(&self, record: &Record) -> u64 {
        self.shared.ages.of(&record.policy())
    }

    /// How many parts of earlier snapshots live on because connections use them.
    pub(super) fn parts_aside(&self) -> usize {
        self.shared.ages.aside()
    }

    /// Connections and handshakes in progress.
    pub(super) fn load(&self) -> usize {
        self.workers.iter().map(|worker| worker.load()).sum()
    }

    /// How many connections an edit has ended that wait for their turn.
    pub(super) fn leaving(&self) -> usize {
        self.shared.pacer.waiting().len()
    }

    /// Has these end in their turn, if they are still to go by then.
    pub(super) fn end_in_turn(&self, leaving: Vec<Arc<Record>>, haste: Haste) {
        self.shared.pacer.add(leaving, haste, &self.gateway().reload);
    }

    /// Why no clients should be sent here, if they should not.
    pub(super) fn unready(&self) -> Option<&'static str> {
        if self.workers.iter().any(|worker| worker.is_stopping() || worker.is_draining()) {
            return Some("draining");
        }
        let gateway = self.gateway();
        gateway.max_connections.is_some_and(|max| gateway.slots.taken() >= max).then_some("no room: at max_connections")
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        let mut workers = self.workers.iter();
        let worker = workers.next();
        Walk { workers, worker, place: 0 }
    }
}

impl Iterator for Walk<'_> {
    type Item = Vec<Arc<Record>>;

    /// The next few; there may be none among so many places.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(some) = self.worker?.registry.some(self.place, AT_A_TIME) {
                self.place += AT_A_TIME;
                return Some(some);
            }
            (self.worker, self.place) = (self.workers.next(), 0);
        }
    }
}

/// How old a connection is, in seconds.
pub(super) fn age(record: &Record, now: SystemTime) -> f64 {
    now.duration_since(record.client.peer.accepted).unwrap_or_default().as_secs_f64()
}
