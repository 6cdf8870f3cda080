//! The tickets of live connections: which connection, on whatever worker, a request means that shows one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::stage::renewal::Attempts;
use crate::stage::ticket::Ticket;

use super::Shared;
use super::registry::Record;

/// Where live connections are found by their tickets. One that has none is not here.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<Ticket, Holder>>);

struct Holder {
    record: Weak<Record>,
    attempts: Attempts,
}

impl Tickets {
    fn all(&self) -> MutexGuard<'_, HashMap<Ticket, Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that has this ticket, and whether a credential may be shown for it now, or when.
    pub(super) fn spend(&self, ticket: Ticket, now: Instant) -> Option<(Arc<Record>, Result<(), Duration>)> {
        let mut all = self.all();
        let holder = all.get_mut(&ticket)?;
        Some((holder.record.upgrade()?, holder.attempts.spend(now)))
    }
}

/// A connection's entry, for as long as it lives.
pub(super) struct Enrolled {
    shared: Arc<Shared>,
    ticket: Ticket,
    record: Weak<Record>,
}

impl Enrolled {
    /// Enters a connection. A page that comes back with the ticket it had is found by it, even if its old connection has not ended.
    pub(super) fn enter(shared: &Arc<Shared>, ticket: Ticket, record: &Arc<Record>) -> Self {
        let record = Arc::downgrade(record);
        shared.tickets.all().insert(ticket, Holder { record: record.clone(), attempts: Attempts::default() });
        Self { shared: shared.clone(), ticket, record }
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        let mut all = self.shared.tickets.all();
        if all.get(&self.ticket).is_some_and(|holder| holder.record.ptr_eq(&self.record)) {
            all.remove(&self.ticket);
        }
    }
}
