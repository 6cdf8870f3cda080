//! Closes connections that an edit ends, one after the other, so that their clients do not come back together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::gateway::Reload;

use super::Shared;
use super::registry::Record;
use super::reload::{Haste, settle_as_it_stands};

/// Connections that wait for their turn to be closed, each with when that comes.
#[derive(Default)]
pub(super) struct Pacer {
    queue: Mutex<Queue>,
    has_more: Notify,
}

#[derive(Default)]
struct Queue {
    turns: BTreeMap<(Instant, u64), Weak<Record>>,
    /// Whose turn comes when, by its id.
    of: HashMap<u64, Instant>,
    /// The least time between two of them.
    between: Duration,
}

impl Pacer {
    /// Gives each of these its turn, in no order: as soon as the rate of closes allows, or evenly over `spread` where `haste` leaves
    /// time. One that has a turn already keeps it, if that comes sooner.
    pub(super) fn add(&self, mut leaving: Vec<Arc<Record>>, haste: Haste, reload: &Reload) {
        let spread = if haste == Haste::InTurn { reload.spread } else { Duration::ZERO };
        leaving.shuffle(&mut rand::rng());
        let mut queue = self.queue();
        queue.between = reload.between;
        queue.forget_ended();
        for (record, turn) in leaving.iter().zip(turns(leaving.len(), spread, reload.between)) {
            queue.give(record, turn);
        }
        drop(queue);
        self.has_more.notify_one();
    }

    /// An edit lets this one stay.
    pub(super) fn call_off(&self, record: &Record) {
        let Queue { turns, of, .. } = &mut *self.queue();
        if let Some(turn) = of.remove(&record.client.id) {
            turns.remove(&(turn, record.client.id));
        }
    }

    /// Those that wait for their turn and are still open.
    pub(super) fn waiting(&self) -> Vec<Arc<Record>> {
        let queue = self.queue();
        queue.turns.values().filter_map(Weak::upgrade).filter(|record| !record.is_ending()).collect()
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
                if is_due { queue.pop() } else { None }
            };
            let Some(record) = due else { break };
            if let Some(record) = record.upgrade() {
                settle_as_it_stands(&record, shared);
            }
        }
        earliest
    }
}

impl Queue {
    /// Gives this one its turn, unless it has a sooner one.
    fn give(&mut self, record: &Arc<Record>, turn: Instant) {
        let id = record.client.id;
        match self.of.get(&id) {
            Some(sooner) if *sooner <= turn => return,
            Some(later) => drop(self.turns.remove(&(*later, id))),
            None => {}
        }
        self.of.insert(id, turn);
        self.turns.insert((turn, id), Arc::downgrade(record));
    }

    /// Takes out whose turn is next.
    fn pop(&mut self) -> Option<Weak<Record>> {
        let ((_, id), record) = self.turns.pop_first()?;
        self.of.remove(&id);
        Some(record)
    }

    /// Takes out those that have ended before their turn, so that the queue holds no more than there are connections.
    fn forget_ended(&mut self) {
        self.turns.retain(|_, record| record.strong_count() > 0);
        let Self { turns, of, .. } = self;
        of.retain(|id, turn| turns.contains_key(&(*turn, *id)));
    }
}

/// How much of its own lateness the pacer makes up for.
const LATENESS: Duration = Duration::from_millis(10);

/// The turns of so many from now on: about evenly over `spread`, or over as long as it takes with `between` of them.
fn turns(count: usize, spread: Duration, between: Duration) -> impl Iterator<Item = Instant> {
    let between = (spread / u32::try_from(count).unwrap_or(u32::MAX).max(1)).max(between);
    std::iter::repeat_n(between, count).scan(Instant::now(), |turn, between| {
        *turn += jittered(between);
        Some(*turn)
    })
}

/// Half to one and a half times as long: on the average as long.
fn jittered(between: Duration) -> Duration {
    between.mul_f64(0.5 + rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_as_asked_and_never_closer_than_the_rate_allows_but_for_their_jitter() {
        const MS: Duration = Duration::from_millis(1);
        // So many, over this, at this least distance; about how long it takes in all.
        for (count, spread, between, all) in
            [(1000, 10_000 * MS, 2 * MS, 10_000 * MS), (1000, 500 * MS, 2 * MS, 2000 * MS), (1000, Duration::ZERO, 2 * MS, 2000 * MS)]
        {
            let begun = Instant::now();
            let turns: Vec<Instant> = turns(count, spread, between).collect();
            let waits: Vec<Duration> = turns.iter().scan(begun, |last, turn| Some(*turn - std::mem::replace(last, *turn))).collect();
            assert_eq!(waits.len(), count);
            let even = all / 1000;
            assert!(waits[1..].iter().all(|wait| *wait >= even / 2 && *wait <= even * 3 / 2), "{spread:?} {between:?}");
            let took = turns[count - 1] - turns[0];
            assert!(took > all * 9 / 10 && took < all * 11 / 10, "{took:?} for {all:?}");
            let jittered = waits[1..].iter().filter(|wait| wait.abs_diff(even) > even / 10).count();
            assert!(jittered > count / 2, "clients that are closed at an even beat come back at one");
        }
        assert_eq!(super::turns(0, 10_000 * MS, MS).count(), 0);
    }
}
