//! Time as buckets count it: nanoseconds since this process first asked.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::clock::{self, QuantaClock, QuantaInstant, Reference};
use governor::nanos::Nanos;

/// One base for all buckets: what one has spent means the same to the limit of the next snapshot.
static BASE: LazyLock<(QuantaClock, QuantaInstant)> = LazyLock::new(|| {
    let clock = QuantaClock::default();
    let base = clock::Clock::now(&clock);
    (clock, base)
});

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub(in crate::stage) enum Clock {
    /// The processor's counter.
    #[default]
    Process,
    /// A test, in nanoseconds.
    #[cfg(test)]
    Told(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

impl Clock {
    /// Nanoseconds since the base.
    pub(in crate::stage) fn now(&self) -> u64 {
        match self {
            Self::Process => clock::Clock::now(&BASE.0).duration_since(BASE.1).as_u64(),
            #[cfg(test)]
            Self::Told(nanos) => nanos.load(Ordering::Relaxed),
        }
    }
}

/// The clock as a governor is given it. A governor counts from the first time it is told, which is its own making: told the base
/// instead, it understands what an earlier one has counted.
#[derive(Debug)]
pub(in crate::stage) struct FromBase {
    clock: Clock,
    has_begun: AtomicBool,
}

impl FromBase {
    pub(in crate::stage) fn new(clock: Clock) -> Self {
        Self { clock, has_begun: AtomicBool::new(false) }
    }
}

impl clock::Clock for FromBase {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if !self.has_begun.load(Ordering::Relaxed) && !self.has_begun.swap(true, Ordering::Relaxed) {
            return Nanos::default();
        }
        self.clock.now().into()
    }
}
