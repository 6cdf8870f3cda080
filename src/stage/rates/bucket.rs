//! What one key has spent, and the two ways to spend it.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::units::{Amount, Rate, RateOf};
use crate::stage::holders::Holders;

use super::clock::{Clock, FromBase};

/// What one key has spent of each limit.
#[derive(Debug, Default)]
pub(in crate::stage) struct Account {
    pub(in crate::stage) connect: Spent,
    pub(in crate::stage) requests: Spent,
    pub(in crate::stage) messages: Spent,
    pub(in crate::stage) bytes: Spent,
    pub(in crate::stage) frames: Spent,
}

impl Account {
    /// Whether it says nothing that a new one would not.
    pub(in crate::stage) fn is_like_new(&self, now: u64) -> bool {
        let spent = [&self.connect, &self.requests, &self.messages, &self.bytes, &self.frames];
        spent.into_iter().all(|spent| spent.0.load(Ordering::Relaxed) <= now)
    }
}

/// A key's account and its connections. Shared by all of them; outlives the snapshot.
#[derive(Debug, Default)]
pub(in crate::stage) struct Bucket {
    pub(in crate::stage) account: Account,
    holders: ArcSwapOption<Holders>,
    /// Whether it is anybody's.
    pub(in crate::stage) is_shared: bool,
}

impl Bucket {
    /// One for a key with this account.
    pub(in crate::stage) fn of(account: Account) -> Self {
        Self { account, ..Self::default() }
    }

    /// One for keys that have nothing to do with each other.
    pub(in crate::stage) fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Who has the slots of `concurrent`.
    pub(in crate::stage) fn holders(&self) -> Arc<Holders> {
        if let Some(holders) = self.holders.load_full() {
            return holders;
        }
        // Whoever is first decides.
        self.holders.compare_and_swap(&None::<Arc<Holders>>, Some(Arc::default()));
        self.holders.load_full().unwrap_or_default()
    }

    /// Whether nobody has a slot.
    pub(in crate::stage) fn is_empty(&self) -> bool {
        self.holders.load().as_ref().is_none_or(|holders| holders.taken() == 0)
    }
}

/// What has been spent of one limit: the moment, in nanoseconds since the base, at which all of it will have come back (the
/// theoretical arrival time of the generic cell rate algorithm); 0 where nothing ever was.
///
/// It is itself the key by which a governor judges, so that nothing is looked up; a governor asks of a key what is implemented below.
#[derive(Debug, Default)]
pub(in crate::stage) struct Spent(AtomicU64);

impl Clone for Spent {
    fn clone(&self) -> Self {
        Self(self.0.load(Ordering::Relaxed).into())
    }
}

impl PartialEq for Spent {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Spent {}

impl Hash for Spent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self, state);
    }
}

/// A store that keeps nothing: the state is what it is asked about.
struct InPlace;

impl StateStore for InPlace {
    type Key = Spent;

    fn measure_and_replace<T, F, E>(&self, spent: &Spent, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
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
pub(in crate::stage) struct Quick {
    governor: RateLimiter<Spent, InPlace, FromBase, NoOpMiddleware<Nanos>>,
    clock: Clock,
}

impl Quick {
    pub(in crate::stage) fn new(rate: &Rate, clock: &Clock) -> Self {
        let burst = u32::try_from(rate.burst()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        // A rate's interval is never nothing: its most in a second has a bound.
        let quota = Quota::with_period(rate.cost(1)).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        Self { governor: RateLimiter::new(quota, InPlace, FromBase::new(clock.clone())), clock: clock.clone() }
    }

    /// Spends one.
    ///
    /// # Errors
    /// How long until there is one to spend.
    pub(in crate::stage) fn spend(&self, spent: &Spent) -> Result<(), Duration> {
        self.governor.check_key(spent).map_err(|until| until.wait_time_from(self.clock.now().into()))
    }
}

/// A limit on things that count more than one each. What passes may exceed what is left: the debt is paid before the next passes, so
/// that one thing larger than the burst is late and not lost.
#[derive(Debug)]
pub(in crate::stage) struct Debt {
    /// Nanoseconds in which `per` comes back.
    period: u64,
    per: u64,
    /// How far ahead of the clock the moment may lie at which all will have come back.
    ahead: u64,
    /// How far it may lie at most: what a frame declares costs nobody more.
    most: u64,
    clock: Clock,
}

/// Whoever has spent far more than there was has it back after so long, or after twice what a whole burst takes, where that is longer.
const MOST: Duration = Duration::from_hours(24);

impl Debt {
    pub(in crate::stage) fn new<A: Amount>(rate: &RateOf<A>, clock: &Clock) -> Self {
        let (per, period) = rate.frequency();
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let most = nanos(rate.cost(rate.burst()).saturating_mul(2).max(MOST));
        Self { period: nanos(period), per, ahead: nanos(rate.cost(rate.burst() - 1)), most, clock: clock.clone() }
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
    pub(in crate::stage) fn reserve(&self, spent: &Spent, amount: u64, most: Duration) -> Result<Duration, Duration> {
        let (now, cost) = (self.clock.now(), self.cost(amount));
        let mut before = spent.0.load(Ordering::Relaxed);
        loop {
            let wait = Duration::from_nanos(before.saturating_sub(self.ahead).saturating_sub(now));
            if wait > most {
                return Err(wait);
            }
            let after = before.max(now).saturating_add(cost).min(now.saturating_add(self.most));
            match spent.0.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(wait),
                Err(now) => before = now,
            }
        }
    }
}

#[cfg(test)]
mod tests;
