//! What one key has spent, and the two ways to spend it.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::units::{Amount, Rate, RateOf};
use crate::stage::holders::Holders;

use super::clock::{Clock, FromBase};

/// What one key has spent of each limit. Shared by all connections with the key; outlives the snapshot.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) connect: Spent,
    pub(super) messages: Spent,
    pub(super) bytes: Spent,
    pub(super) frames: Spent,
    holders: OnceLock<Arc<Holders>>,
    /// Whether it is anybody's.
    pub(super) is_shared: bool,
}

impl Bucket {
    /// One for keys that have nothing to do with each other.
    pub(super) fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Who has the slots of `concurrent`.
    pub(super) fn holders(&self) -> &Arc<Holders> {
        self.holders.get_or_init(Arc::default)
    }

    /// Whether it says nothing that a new one would not.
    pub(super) fn is_like_new(&self, now: u64) -> bool {
        let spent = [&self.connect, &self.messages, &self.bytes, &self.frames];
        spent.into_iter().all(|spent| spent.0.load(Ordering::Relaxed) <= now)
            && self.holders.get().is_none_or(|holders| holders.taken() == 0)
    }
}

/// What has been spent of one limit: the moment, in nanoseconds since the base, at which all of it will have come back (the
/// theoretical arrival time of the generic cell rate algorithm); 0 where nothing ever was.
#[derive(Debug, Default)]
pub(super) struct Spent(AtomicU64);

/// A hold on a key's bucket: itself the key by which a governor judges, so that nothing is looked up.
#[derive(Clone, Debug)]
pub(super) struct Hold(pub(super) Arc<Bucket>);

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hold {}

impl Hash for Hold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// One limit's share of a bucket.
type Share = fn(&Bucket) -> &Spent;

/// A store that keeps nothing: the state is in the buckets it is asked about.
struct InBuckets(Share);

impl StateStore for InBuckets {
    type Key = Hold;

    fn measure_and_replace<T, F, E>(&self, hold: &Hold, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let spent = self.0(&hold.0);
        // Relaxed does: the number itself is the whole message, no other memory hangs on it.
        let mut before = spent.0.load(Ordering::Relaxed);
        loop {
            let (passed, after) = decide(Some(before).filter(|before| *before > 0).map(Nanos::from))?;
            match spent.0.compare_exchange_weak(before, after.into(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(passed),
                Err(now) => before = now,
            }
        }
    }
}

/// A limit on things that count one each: those within it pass.
pub(super) struct Quick {
    governor: RateLimiter<Hold, InBuckets, FromBase, NoOpMiddleware<Nanos>>,
    clock: Clock,
}

impl Quick {
    pub(super) fn new(rate: &Rate, share: Share, clock: &Clock) -> Self {
        let burst = u32::try_from(rate.burst()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        // A rate's interval is never nothing: its most in a second has a bound.
        let quota = Quota::with_period(rate.cost(1)).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        Self { governor: RateLimiter::new(quota, InBuckets(share), FromBase::new(clock.clone())), clock: clock.clone() }
    }

    /// Spends one.
    ///
    /// # Errors
    /// How long until there is one to spend.
    pub(super) fn spend(&self, hold: &Hold) -> Result<(), Duration> {
        self.governor.check_key(hold).map_err(|until| until.wait_time_from(self.clock.now().into()))
    }
}

/// A limit on things that count more than one each. What passes may exceed what is left: the debt is paid before the next passes, so
/// that one thing larger than the burst is late and not lost.
#[derive(Debug)]
pub(super) struct Debt {
    /// Nanoseconds in which `per` comes back.
    period: u64,
    per: u64,
    /// How far ahead of the clock the moment may lie at which all will have come back.
    ahead: u64,
    clock: Clock,
}

impl Debt {
    pub(super) fn new<A: Amount>(rate: &RateOf<A>, clock: &Clock) -> Self {
        let (per, period) = rate.frequency();
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self { period: nanos(period), per, ahead: nanos(rate.cost(rate.burst() - 1)), clock: clock.clone() }
    }

    fn cost(&self, amount: u64) -> u64 {
        match amount.checked_mul(self.period) {
            Some(nanos) => nanos.div_ceil(self.per),
            None => u64::try_from((u128::from(amount) * u128::from(self.period)).div_ceil(u128::from(self.per))).unwrap_or(u64::MAX),
        }
    }

    /// Spends so much, and says how long to wait before it is used; not at all where anything is left.
    ///
    /// # Errors
    /// How long it would be, where that is more than `most`; nothing is spent then.
    pub(super) fn reserve(&self, spent: &Spent, amount: u64, most: Duration) -> Result<Duration, Duration> {
        let (now, cost) = (self.clock.now(), self.cost(amount));
        let mut before = spent.0.load(Ordering::Relaxed);
        loop {
            let wait = Duration::from_nanos(before.saturating_sub(self.ahead).saturating_sub(now));
            if wait > most {
                return Err(wait);
            }
            let after = before.max(now).saturating_add(cost);
            match spent.0.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(wait),
                Err(now) => before = now,
            }
        }
    }
}

#[cfg(test)]
mod tests;
