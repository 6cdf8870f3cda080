//! What stages hold for one connection: permits it gives back at its end, and what they have looked up for it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::slots::Permit;

/// Filled at the handshake; each stage adds a bounded number of entries. A connection that does not become live gives all of it back
/// as soon as it is refused.
#[derive(Default)]
pub struct Holdings {
    permits: Vec<Permit>,
    kept: Vec<(Arc<str>, Arc<dyn Any + Send + Sync>)>,
}

impl Holdings {
    /// Holds a slot until the connection ends.
    pub fn hold(&mut self, permit: Permit) {
        self.permits.push(permit);
    }

    /// Keeps what the stage of this name has looked up, in place of what it kept before.
    pub fn keep<T: Any + Send + Sync>(&mut self, stage: &Arc<str>, value: Arc<T>) {
        self.kept.retain(|(name, _)| name != stage);
        self.kept.push((stage.clone(), value));
    }

    /// What the stage of this name keeps, where it is of this type.
    pub fn kept<T: Any + Send + Sync>(&self, stage: &str) -> Option<Arc<T>> {
        let (_, value) = self.kept.iter().find(|(name, _)| **name == *stage)?;
        value.clone().downcast().ok()
    }

    /// The slots, for whoever gives them back at a moment of its own.
    pub fn take_permits(&mut self) -> Vec<Permit> {
        std::mem::take(&mut self.permits)
    }
}

impl fmt::Debug for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<&str> = self.kept.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Holdings").field("permits", &self.permits.len()).field("kept", &stages).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
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
    fn permits_that_are_taken_are_given_back_by_whoever_took_them() {
        let slots = Arc::new(Slots::new(Some(1)));
        let mut holdings = Holdings::default();
        holdings.hold(slots.enter().unwrap());
        let permits = holdings.take_permits();
        drop(holdings);
        assert!(slots.enter().is_none());
        drop(permits);
        assert!(slots.enter().is_some());
    }
}
