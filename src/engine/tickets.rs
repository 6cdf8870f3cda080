//! The tickets of live connections: which connection, on whatever worker, a request means that shows one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::stage::renewal::Attempts;
use crate::stage::ticket::Ticket;

use super::Shared;
use super::registry::Record;

/// The most connections that one ticket is kept for. A page that comes back with its own has two for a while, until the gateway notices
/// that the first is gone.
const MOST: usize = 4;

/// Where live connections are found by their tickets. One that has none is not here.
#[derive(Default)]
pub(super) struct Tickets {
    /// Of each ticket, the newest connection last.
    all: Mutex<HashMap<Ticket, Vec<Holder>>>,
    /// Told when a connection that was on its way is there, or is no more.
    settled: Notify,
}

struct Holder {
    connection: u64,
    /// None while its client is being told of the ticket: it is live in a moment.
    record: Option<Weak<Record>>,
    attempts: Attempts,
}

/// A connection that was found, and whether a credential may be shown for it now, or when.
type Found = (Arc<Record>, Result<(), Duration>);

impl Tickets {
    fn all(&self) -> MutexGuard<'_, HashMap<Ticket, Vec<Holder>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest connection of those meant that has this ticket, for which a credential is shown. One that is about to be live is waited
    /// for: no longer than its client may take for its 101.
    ///
    /// Cancel-safe: who is dropped has shown nothing.
    pub(super) async fn spend(&self, ticket: Ticket, is_meant: impl Fn(&Record) -> bool) -> Option<Found> {
        loop {
            // From here on it hears of what settles.
            let settled = self.settled.notified();
            match self.look_for(ticket, &is_meant) {
                Ok(found) => return found,
                Err(OnItsWay) => settled.await,
            }
        }
    }

    fn look_for(&self, ticket: Ticket, is_meant: impl Fn(&Record) -> bool) -> Result<Option<Found>, OnItsWay> {
        let mut all = self.all();
        for holder in all.get_mut(&ticket).into_iter().flatten().rev() {
            let record = holder.record.as_ref().ok_or(OnItsWay)?.upgrade();
            if let Some(record) = record.filter(|record| is_meant(record)) {
                return Ok(Some((record, holder.attempts.spend(Instant::now()))));
            }
        }
        Ok(None)
    }
}

/// The newest connection with a ticket is not live yet.
struct OnItsWay;

/// A connection's entry, from before its client is told of its ticket for as long as it lives.
pub(super) struct Enrolled {
    shared: Arc<Shared>,
    ticket: Ticket,
    connection: u64,
}

impl Enrolled {
    /// Announces a connection. A page that comes back with the ticket it had is found by it, even if its old connection has not ended.
    pub(super) fn announce(shared: &Arc<Shared>, ticket: Ticket, connection: u64) -> Self {
        let mut all = shared.tickets.all();
        let holders = all.entry(ticket).or_default();
        if holders.len() >= MOST {
            holders.remove(0);
        }
        // Nearly every ticket is one connection's.
        holders.reserve_exact(1);
        holders.push(Holder { connection, record: None, attempts: Attempts::default() });
        drop(all);
        Self { shared: shared.clone(), ticket, connection }
    }

    /// The connection is live.
    pub(super) fn leads_to(&self, record: &Arc<Record>) {
        let mut all = self.shared.tickets.all();
        let own = all.get_mut(&self.ticket).and_then(|holders| holders.iter_mut().find(|holder| holder.connection == self.connection));
        if let Some(own) = own {
            own.record = Some(Arc::downgrade(record));
        }
        drop(all);
        self.shared.tickets.settled.notify_waiters();
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        if let Entry::Occupied(mut holders) = self.shared.tickets.all().entry(self.ticket) {
            holders.get_mut().retain(|holder| holder.connection != self.connection);
            if holders.get().is_empty() {
                holders.remove();
            }
        }
        self.shared.tickets.settled.notify_waiters();
    }
}
