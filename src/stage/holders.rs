//! Holders: who has the slots of one key, by age, so that a newcomer can be given the oldest's.

mod line;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::refusal::{Refusal, Verdict};

use line::Line;

/// A live connection, as whoever takes its slot reaches it.
pub trait Holder: Send + Sync {
    /// A newer connection has its slot: it is to end so. A refusal with `report` set ends nothing.
    fn replaced(&self, refusal: Refusal);
}

/// Everybody who has a slot under one key, on whichever thread.
#[derive(Default)]
pub struct Holders {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Slots that are out: those of live connections, of handshakes, and of connections on their way out.
    taken: usize,
    /// The age that is given out next: a count, so that no two are of one age.
    next: u64,
    /// The live connections that nobody has replaced.
    live: Line,
}

/// One slot, given back when this is dropped. As old as the judgement that gave it, not as the connection that came of it.
pub struct Slot {
    holders: Arc<Holders>,
    age: u64,
    succession: Option<Box<Succession>>,
}

/// How many may stay when the connection goes live, and what the oldest is told that may not.
struct Succession {
    max: usize,
    refusal: Refusal,
}

impl Holders {
    /// A slot, where fewer than `max` are out. It replaces nobody.
    pub fn enter(self: &Arc<Self>, max: usize) -> Option<Slot> {
        let mut inside = self.lock();
        (inside.taken < max).then(|| self.give(&mut inside, None))
    }

    /// A slot however many are out: when the connection goes live, the oldest beyond `max` are replaced and told by `refusal`. Until
    /// then it disturbs nobody, so that a client whom something else refuses has thrown nobody out.
    pub fn succeed(self: &Arc<Self>, max: usize, refusal: Refusal) -> Slot {
        self.give(&mut self.lock(), Some(Box::new(Succession { max, refusal })))
    }

    fn give(self: &Arc<Self>, inside: &mut Inside, succession: Option<Box<Succession>>) -> Slot {
        inside.taken += 1;
        inside.next += 1;
        Slot { holders: self.clone(), age: inside.next, succession }
    }

    /// How many slots are out.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether it is one of these.
    pub fn is_of(&self, holders: &Arc<Holders>) -> bool {
        Arc::ptr_eq(&self.holders, holders)
    }

    /// Whether a handshake is still worth going on with: it is not where so many that are younger have gone live that this one would
    /// be the first to be replaced.
    ///
    /// # Errors
    /// What it would be told. Not in report mode, in which it goes on.
    pub fn verdict(&self) -> Verdict {
        let Some(succession) = self.succession.as_ref().filter(|succession| !succession.refusal.report) else { return Ok(()) };
        let inside = self.holders.lock();
        let is_oldest = inside.live.oldest().is_some_and(|oldest| self.age < oldest);
        if is_oldest && inside.live.len() >= succession.max { Err(Box::new(succession.refusal.clone())) } else { Ok(()) }
    }

    /// Signs the refusal of those it will replace; one that is signed keeps its name.
    pub(super) fn sign(&mut self, sign: impl FnOnce(&mut Refusal)) {
        if let Some(succession) = self.succession.as_mut().filter(|succession| succession.refusal.stage.is_none()) {
            sign(&mut succession.refusal);
        }
    }

    /// The connection is live. Replaces the oldest of those there are too many of then: one as a rule, more after a reload has lowered
    /// `max`, this one itself where younger ones have overtaken it. Says whether it stays.
    pub fn go_live(&mut self, holder: &Arc<dyn Holder>) -> bool {
        let succession = self.succession.take();
        let mut replaced = Vec::new();
        {
            let mut inside = self.holders.lock();
            inside.live.join(self.age, Arc::downgrade(holder));
            let max = succession.as_ref().map_or(usize::MAX, |succession| succession.max);
            while inside.live.len() > max {
                replaced.extend(inside.live.pop());
            }
        }
        let Some(succession) = succession else { return true };
        for holder in replaced.iter().filter_map(|(_, holder)| holder.upgrade()) {
            holder.replaced(succession.refusal.clone());
        }
        succession.refusal.report || replaced.iter().all(|(age, _)| *age != self.age)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inside = self.holders.lock();
        inside.taken -= 1;
        inside.live.leave(self.age);
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.lock();
        f.debug_struct("Holders").field("taken", &inside.taken).field("live", &inside.live.len()).finish()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("age", &self.age).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
