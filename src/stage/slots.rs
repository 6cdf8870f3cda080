//! Slots: how many may be inside at once, each held by a permit that gives it back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit on how many may be inside at once, shared by all threads; used for `max_connections`.
#[derive(Debug)]
pub struct Slots {
    taken: AtomicUsize,
    /// `usize::MAX` where there is no limit.
    max: AtomicUsize,
}

/// One slot, given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    slots: Arc<Slots>,
}

impl Slots {
    /// So many slots, or no limit.
    pub fn new(max: Option<usize>) -> Self {
        Self { taken: AtomicUsize::new(0), max: AtomicUsize::new(max.unwrap_or(usize::MAX)) }
    }

    /// Changes the limit. Permits already out stay: below their number nobody enters until enough have left.
    pub fn set_max(&self, max: Option<usize>) {
        self.max.store(max.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Takes a slot, where one is free.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        // Relaxed does: the number itself is the whole message, no other memory hangs on it.
        self.taken
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < self.max.load(Ordering::Relaxed)).then_some(taken + 1))
            .ok()
            .map(|_| Permit { slots: self.clone() })
    }

    /// How many are inside.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_enter_than_there_are_slots_until_one_leaves() {
        let slots = Arc::new(Slots::new(Some(2)));
        let first = slots.enter().unwrap();
        let _second = slots.enter().unwrap();
        assert!(slots.enter().is_none());
        drop(first);
        assert!(slots.enter().is_some());
    }

    #[test]
    fn a_lowered_limit_evicts_nobody_and_admits_nobody_until_enough_have_left() {
        let slots = Arc::new(Slots::new(None));
        let mut inside: Vec<_> = (0..3).map(|_| slots.enter().unwrap()).collect();
        slots.set_max(Some(2));
        assert!(slots.enter().is_none());
        inside.truncate(2);
        assert!(slots.enter().is_none());
        inside.truncate(1);
        assert!(slots.enter().is_some());
        assert_eq!(slots.taken(), 1);
    }

    #[test]
    fn parallel_entries_never_exceed_the_limit() {
        let slots = Arc::new(Slots::new(Some(3)));
        let entered: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..100).filter_map(|_| slots.enter()).collect::<Vec<_>>())).collect();
            // The permits are held until every thread has finished.
            let held: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            held.iter().map(Vec::len).sum()
        });
        assert_eq!((entered, slots.taken()), (3, 0));
    }
}
