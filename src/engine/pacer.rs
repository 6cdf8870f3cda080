//! Closes connections that an edit ends, one after the other, so that their clients do not come back together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::gateway::Reload;

use super::Shared;
use super::registry::Record;
use super::reload::{Haste, settle};

/// Connections that wait for their turn to be closed, each with when that comes.
#[derive(Default)]
pub(super) struct Pacer {
    queue: Mutex<Queue>,
    has_more: Notify,
}

#[derive(Default)]
struct Queue {
    turns: BTreeMap<(Instant, u64), Weak<Record>>,
    /// The least time between two of them.
    between: Duration,
}

impl Pacer {
    /// Gives each of these its turn, in no order: as soon as the rate of closes allows, or evenly over `spread` where `haste` leaves
    /// time. One that has its turn already keeps it.
    pub(super) fn add(&self, mut leaving: Vec<Arc<Record>>, haste: Haste, reload: &Reload) {
        let spread = if haste == Haste::InTurn { reload.spread } else { Duration::ZERO };
        leaving.retain(|record| !record.set_leaving(true));
        leaving.shuffle(&mut rand::rng());
        let count = u32::try_from(leaving.len()).unwrap_or(u32::MAX).max(1);
        let between = (spread / count).max(reload.between);
        let mut turn = Instant::now();
        let mut queue = self.queue();
        queue.between = reload.between;
        for record in leaving {
            turn += jittered(between);
            queue.turns.insert((turn, record.client.id), Arc::downgrade(&record));
        }
        drop(queue);
        self.has_more.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes each when its turn comes, if what is in force by then still wants it gone. Never returns.
    pub(super) async fn run(&self, shared: &Shared) {
        let mut earliest = Instant::now();
        loop {
            let next = self.queue().turns.first_key_value().map(|((turn, _), _)| *turn);
            let Some(turn) = next else {
                self.has_more.notified().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(turn.max(earliest)) => earliest = self.close_due(shared, earliest),
                () = self.has_more.notified() => {}
            }
        }
    }

    /// Closes all whose turn has come and whom the rate allows by now: a timer is no finer than a millisecond. Gives when it allows the
    /// next. Turns that two edits have given may fall together.
    fn close_due(&self, shared: &Shared, mut earliest: Instant) -> Instant {
        let now = Instant::now();
        earliest = earliest.max(now.checked_sub(LATENESS).unwrap_or(now));
        while earliest <= now {
            let due = {
                let mut queue = self.queue();
                earliest += queue.between;
                let is_due = queue.turns.first_key_value().is_some_and(|((turn, _), _)| *turn <= now);
                if is_due { queue.turns.pop_first() } else { None }
            };
            let Some((_, record)) = due else { break };
            if let Some(record) = record.upgrade() {
                record.set_leaving(false);
                settle(&record, &shared.gateway.load(), Haste::InTurn, &shared.observer);
            }
        }
        earliest
    }
}

/// How much of its own lateness the pacer makes up for.
const LATENESS: Duration = Duration::from_millis(10);

/// Half to one and a half times as long: on the average as long.
fn jittered(between: Duration) -> Duration {
    between.mul_f64(0.5 + rand::random::<f64>())
}
