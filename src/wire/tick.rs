//! Coarse time: moments and lengths counted in ticks of 100 ms, so that activity costs a store and no system call.

use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

/// How long one tick is.
pub const TICK: Duration = Duration::from_millis(100);

/// A moment: ticks since the worker's clock began. A `u32` of them lasts 13 years. Held as one more, so that where there may be none
/// it takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(NonZeroU32);

/// A length of time in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(u32);

impl Tick {
    /// The moment so many ticks after the clock began.
    pub const fn new(ticks: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(ticks))
    }

    /// Ticks since the clock began.
    pub const fn get(self) -> u32 {
        self.0.get() - 1
    }

    /// How long ago `earlier` was; nothing where it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Ticks {
        Ticks(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Tick {
    /// The clock's beginning.
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl Ticks {
    /// Longer than any connection lasts.
    pub const FOREVER: Self = Self(u32::MAX);

    /// So many ticks.
    pub const fn new(ticks: u32) -> Self {
        Self(ticks)
    }

    /// The number of ticks.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Add<Ticks> for Tick {
    type Output = Self;

    /// The moment that much later; it stays at the end of the clock's range.
    fn add(self, length: Ticks) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl From<Duration> for Ticks {
    /// Rounds up, so that a deadline is never early by its conversion; what is out of range is the longest there is.
    fn from(length: Duration) -> Self {
        Self(u32::try_from(length.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_up_to_whole_ticks() {
        for (millis, ticks) in [(0, 0), (1, 1), (99, 1), (100, 1), (101, 2), (5_000, 50), (u64::MAX, u32::MAX)] {
            assert_eq!(Ticks::from(Duration::from_millis(millis)), Ticks::new(ticks), "{millis} ms");
        }
    }

    #[test]
    fn sums_and_differences_stay_in_range() {
        assert_eq!(Tick::new(7) + Ticks::new(3), Tick::new(10));
        assert_eq!(Tick::new(u32::MAX) + Ticks::new(1), Tick::new(u32::MAX));
        assert_eq!(Tick::new(7).since(Tick::new(5)), Ticks::new(2));
        assert_eq!(Tick::new(5).since(Tick::new(7)), Ticks::new(0));
    }
}
