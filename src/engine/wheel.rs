//! One coarse timer wheel per worker: which connections to call at which tick.
//!
//! Activity never touches the wheel: a connection stores the tick of its last byte, and when its entry fires it
//! looks at what is due and arms itself again. An entry of a connection that has ended is simply not found.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::wire::tick::Tick;

use super::registry::Place;

/// Ticks in one turn of the wheel, about 51 s; what is due later fires once a turn and arms itself again.
const SLOTS: u32 = 512;

/// Calls connections when their time has come.
#[derive(Debug)]
pub(super) struct Wheel {
    now: AtomicU32,
    slots: Mutex<Vec<Vec<Place>>>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { now: AtomicU32::new(1), slots: Mutex::new((0..SLOTS).map(|_| Vec::new()).collect()) }
    }

    /// The current tick.
    pub(super) fn now(&self) -> Tick {
        Tick::new(self.now.load(Ordering::Relaxed))
    }

    /// Has the connection at `place` called at `at`, or after one turn if that is sooner, and never in the current tick.
    /// Gives the tick it will be called at.
    pub(super) fn arm(&self, place: Place, at: Tick) -> Tick {
        let now = self.now.load(Ordering::Relaxed);
        let at = at.get().clamp(now + 1, now + SLOTS - 1);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut((at % SLOTS) as usize) {
            slot.push(place);
        }
        Tick::new(at)
    }

    /// Moves on by so many ticks and gives the connections to call.
    pub(super) fn advance(&self, ticks: u32) -> Vec<Place> {
        let before = self.now.fetch_add(ticks, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // More than a turn behind, every slot is due once.
        let passed = (before + 1..=before + ticks).take(SLOTS as usize);
        passed.filter_map(|at| slots.get_mut((at % SLOTS) as usize).map(std::mem::take)).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::registry::Registry;
    use super::*;
    use crate::engine::tests::record;

    #[test]
    fn an_entry_fires_at_its_tick_and_a_far_one_within_a_turn() {
        let registry = Arc::new(Registry::default());
        let seat = registry.enter(record());
        let wheel = Wheel::new();
        let start = wheel.now().get();
        assert_eq!(wheel.arm(seat.place, Tick::new(start)).get(), start + 1);
        assert_eq!(wheel.arm(seat.place, Tick::new(start + 3)).get(), start + 3);
        let far = wheel.arm(seat.place, Tick::new(start + 10 * SLOTS)).get();
        let fired: Vec<u32> = (1..=SLOTS).filter(|_| !wheel.advance(1).is_empty()).collect();
        assert_eq!(fired, [1, 3, far - start]);
    }

    #[test]
    fn a_wheel_that_fell_behind_calls_everybody_it_has_passed_once() {
        let registry = Arc::new(Registry::default());
        let seats: Vec<_> = (0..3).map(|_| registry.enter(record())).collect();
        let wheel = Wheel::new();
        let start = wheel.now().get();
        for (seat, ticks) in seats.iter().zip([2, 50, 400]) {
            wheel.arm(seat.place, Tick::new(start + ticks));
        }
        assert_eq!(wheel.advance(60), [seats[0].place, seats[1].place]);
        assert_eq!(wheel.now().get(), start + 60);
        assert_eq!(wheel.advance(10 * SLOTS), [seats[2].place]);
        assert_eq!(wheel.advance(SLOTS), []);
    }

    #[test]
    fn a_place_given_away_again_is_another_connection() {
        let registry = Arc::new(Registry::default());
        let first = registry.enter(record());
        let place = first.place;
        drop(first);
        let second = registry.enter(record());
        assert!(registry.get(place).is_none());
        assert!(registry.get(second.place).is_some());
        assert_eq!(registry.all().len(), 1);
    }

    #[test]
    fn striking_out_in_any_order_leaves_the_lists_whole() {
        let registry = Arc::new(Registry::default());
        let mut seats: Vec<_> = (0..9).map(|_| registry.enter(record())).collect();
        for at in [4, 0, 6, 3, 0, 1] {
            seats.remove(at);
            assert_eq!(registry.all().len(), seats.len());
            assert!(seats.iter().all(|seat| registry.get(seat.place).is_some()));
        }
        seats.clear();
        assert!(registry.all().is_empty());
    }
}
