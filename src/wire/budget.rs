//! How many bytes all connections hold together, and how many they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on what connections keep between two reads: messages that are read and not whole, and bytes that a peer has not taken.
/// Shared by all threads.
#[derive(Debug)]
pub struct Budget {
    held: AtomicUsize,
    /// `usize::MAX` where there is no bound.
    max: AtomicUsize,
}

/// What one leg holds of it, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// So many bytes, or no bound.
    pub fn new(max: Option<usize>) -> Self {
        Self { held: AtomicUsize::new(0), max: AtomicUsize::new(max.unwrap_or(usize::MAX)) }
    }

    /// Changes the bound. What is held stays.
    pub fn set_max(&self, max: Option<usize>) {
        self.max.store(max.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Has a leg charged for so many bytes in `slot`, which is empty where it holds none. Says whether it may hold them.
pub(super) fn charge(slot: &mut Option<Box<Charge>>, budget: &Arc<Budget>, bytes: usize) -> bool {
    if bytes == 0 {
        *slot = None;
        return true;
    }
    slot.get_or_insert_with(|| Box::new(Charge::of(budget.clone()))).set(bytes)
}

impl Charge {
    fn of(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// So many bytes are held from now on. Says whether they may be: what is no more than before always may.
    fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        // Relaxed does: the number itself is the whole message, no other memory hangs on it.
        if bytes <= before {
            self.budget.held.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        let held = self.budget.held.fetch_add(bytes - before, Ordering::Relaxed).saturating_add(bytes - before);
        held <= self.budget.max.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_more_than_is_left_may_not_and_all_is_given_back() {
        let budget = Arc::new(Budget::new(Some(100)));
        let (mut one, mut other) = (Charge::of(budget.clone()), Charge::of(budget.clone()));
        assert!(one.set(60) && other.set(40));
        assert!(!other.set(41) && other.set(41) && other.set(30), "more than there is, no more than before, less");
        drop(one);
        assert_eq!(budget.held(), 30);
        assert!(other.set(100));
        budget.set_max(Some(10));
        assert!(other.set(99), "nobody is made to give back what was allowed");
        drop(other);
        assert_eq!(budget.held(), 0);
    }
}
