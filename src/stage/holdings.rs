//! What stages hold for one connection: slots it gives back at its end, and what they have looked up for it.

use std::any::Any;
use std::fmt;
use std::mem::take;
use std::sync::Arc;

use super::few::Few;
use super::holders::{Holders, Slot};
use super::refusal::{Refusal, Verdict};

/// Filled at the handshake; each stage adds a bounded number of entries. A connection that does not become live gives all of it back
/// as soon as it is refused.
#[derive(Default)]
pub struct Holdings {
    slots: Box<[Slot]>,
    kept: Few<(Arc<str>, Arc<dyn Any + Send + Sync>)>,
}

impl Holdings {
    /// Holds a slot until the connection ends.
    pub fn hold(&mut self, slot: Slot) {
        let mut slots = take(&mut self.slots).into_vec();
        slots.push(slot);
        self.slots = slots.into();
    }

    /// Whether a slot of these is held: a stage that stands on a way twice counts a connection once.
    pub fn has_slot_of(&self, holders: &Arc<Holders>) -> bool {
        self.slots.iter().any(|slot| slot.is_of(holders))
    }

    /// Whether all slots that are held are still to be had; see [`Slot::verdict`].
    ///
    /// # Errors
    /// The refusal of the first that is not.
    pub fn verdict(&self) -> Verdict {
        self.slots.iter().try_for_each(Slot::verdict)
    }

    /// Signs what those are told whom this connection will replace.
    pub(super) fn sign(&mut self, sign: impl Fn(&mut Refusal)) {
        self.slots.iter_mut().for_each(|slot| slot.sign(&sign));
    }

    /// Keeps what a stage has looked up, in place of what was kept under this name before.
    pub fn keep<T: Any + Send + Sync>(&mut self, name: &Arc<str>, value: Arc<T>) {
        let mut others = take(&mut self.kept).into_vec();
        others.retain(|(other, _)| other != name);
        others.push((name.clone(), value));
        self.kept = others.into();
    }

    /// What is kept under this name, where it is of this type.
    pub fn kept<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        let (_, value) = self.kept.iter().find(|(other, _)| **other == *name)?;
        value.clone().downcast().ok()
    }

    /// The slots, for whoever gives them back at a moment of its own.
    pub fn take_slots(&mut self) -> Box<[Slot]> {
        take(&mut self.slots)
    }
}

impl fmt::Debug for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: Vec<&str> = self.kept.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Holdings").field("slots", &self.slots.len()).field("kept", &kept).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_finds_what_it_kept_last_and_nothing_of_others() {
        let (ours, theirs): (Arc<str>, Arc<str>) = ("a.x".into(), "b.x".into());
        let mut holdings = Holdings::default();
        holdings.keep(&ours, Arc::new(1_u32));
        holdings.keep(&ours, Arc::new(2_u32));
        holdings.keep(&theirs, Arc::new("three"));
        assert_eq!(holdings.kept::<u32>("a.x").as_deref(), Some(&2));
        assert_eq!(holdings.kept::<u32>("b.x"), None);
    }

    #[test]
    fn slots_that_are_taken_are_given_back_by_whoever_took_them() {
        let (holders, others) = (Arc::<Holders>::default(), Arc::default());
        let mut holdings = Holdings::default();
        holdings.hold(holders.enter(1).unwrap());
        assert!(holdings.has_slot_of(&holders) && !holdings.has_slot_of(&others));
        let slots = holdings.take_slots();
        drop(holdings);
        assert!(holders.enter(1).is_none());
        drop(slots);
        assert!(holders.enter(1).is_some());
    }
}
