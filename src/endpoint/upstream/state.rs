//! What is known of each server from the connections made to it, across threads and reloads.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::server::Server;

/// So many failures in a row send a server to rest.
pub const FAILURES: u32 = 3;
/// How long it rests; one more failure after it sends it to rest again.
pub const REST: Duration = Duration::from_secs(10);

/// How many bits count failures.
const COUNT: u32 = 2;
const _: () = assert!(FAILURES < 1 << COUNT, "there is room for all of them");

/// The states of an upstream's servers. It outlives the config the upstream was built from, so that a reload neither forgets
/// which servers fail nor how many connections each has.
#[derive(Debug, Default)]
pub struct States {
    servers: Mutex<HashMap<Arc<str>, Weak<State>>>,
}

impl States {
    /// The state of this server; a new one where nobody has held one since the last that did let go.
    pub(super) fn of(&self, server: &Server) -> Arc<State> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, state| state.strong_count() > 0);
        if let Some(state) = servers.get(server.name()).and_then(Weak::upgrade) {
            return state;
        }
        let state = Arc::new(State::new(server.name()));
        servers.insert(server.name().clone(), Arc::downgrade(&state));
        state
    }
}

/// One server's state. Each number stands alone, so no ordering between them is needed.
#[derive(Debug)]
pub struct State {
    server: Arc<str>,
    since: Instant,
    open: AtomicUsize,
    /// What it has failed, and what for: its failures in a row, at most [`FAILURES`], in the bits of [`COUNT`]; above them, until when it
    /// rests for them, in milliseconds after `since`. One number, or an answer between the two would leave it at rest for nothing.
    failed: AtomicU64,
    /// What it has earned and not spent on turns of a round robin; of all servers together about nothing.
    credit: AtomicI64,
}

impl State {
    fn new(server: &Arc<str>) -> Self {
        Self {
            server: server.clone(),
            since: Instant::now(),
            open: AtomicUsize::new(0),
            failed: AtomicU64::new(0),
            credit: AtomicI64::new(0),
        }
    }

    /// The server's URL.
    pub fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// Connections that are open or being opened.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How much longer it rests; zero where it does not.
    pub fn rest(&self, now: Instant) -> Duration {
        let until = Duration::from_millis(self.failed.load(Ordering::Relaxed) >> COUNT);
        until.saturating_sub(now.saturating_duration_since(self.since))
    }

    /// Earns this much for a turn; gives what it has earned by now.
    pub(super) fn earn(&self, weight: NonZeroU32) -> i64 {
        let weight = i64::from(weight.get());
        self.credit.fetch_add(weight, Ordering::Relaxed).saturating_add(weight)
    }

    /// Its turn: it pays what all have earned for it.
    pub(super) fn pay(&self, weights: impl Iterator<Item = NonZeroU32>) {
        self.credit.fetch_sub(weights.map(|weight| i64::from(weight.get())).sum(), Ordering::Relaxed);
    }

    /// It could not be reached, or did not answer; says whether it rests from now on and did not before.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let until = now.saturating_duration_since(self.since) + REST;
        let rests = u64::try_from(until.as_millis()).unwrap_or(u64::MAX) << COUNT | u64::from(FAILURES);
        let mut before = self.failed.load(Ordering::Relaxed);
        loop {
            let is_enough = before % (1 << COUNT) + 1 >= u64::from(FAILURES);
            let after = if is_enough { rests } else { before + 1 };
            match self.failed.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return is_enough && before >> COUNT == 0,
                Err(now) => before = now,
            }
        }
    }

    /// It gave an answer, whatever it was; says whether it had been sent to rest.
    pub(super) fn answered(&self) -> bool {
        // Loads first: a server in good health is answered by all the time, from every thread.
        self.failed.load(Ordering::Relaxed) != 0 && self.failed.swap(0, Ordering::Relaxed) >> COUNT != 0
    }
}

/// Counts one connection on its server for as long as it is held.
#[derive(Debug)]
pub struct Lease {
    state: Arc<State>,
}

impl Lease {
    pub(super) fn new(state: &Arc<State>) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self { state: state.clone() }
    }

    /// What is known of the server.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        url.parse().unwrap()
    }

    #[test]
    fn a_server_keeps_its_state_for_as_long_as_anybody_holds_it() {
        let states = States::default();
        let before = states.of(&server("ws://a:1"));
        let lease = Lease::new(&before);
        assert!(Arc::ptr_eq(&before, &states.of(&server("ws://a:1/"))));
        assert!(!Arc::ptr_eq(&before, &states.of(&server("ws://a:2"))));
        drop(before);
        assert_eq!(states.of(&server("ws://a:1")).open(), 1);
        drop(lease);
        assert_eq!(states.of(&server("ws://a:1")).open(), 0);
        assert_eq!(states.servers.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_are_a_rest_and_one_more_is_another() {
        let state = State::new(&"ws://a:1".into());
        let rest = || state.rest(Instant::now());
        let fails = || state.failed(Instant::now());
        assert_eq!((fails(), fails(), state.answered()), (false, false, false));
        assert_eq!((fails(), fails(), rest()), (false, false, Duration::ZERO));
        assert_eq!((fails(), rest()), (true, REST));
        tokio::time::advance(REST).await;
        assert_eq!(rest(), Duration::ZERO);
        assert_eq!((fails(), rest()), (false, REST));
        assert_eq!((state.answered(), rest()), (true, Duration::ZERO));
    }

    #[test]
    fn a_server_that_answers_while_it_fails_is_never_left_at_rest_without_failures() {
        let now = Instant::now();
        for round in 0..20_000 {
            let state = State::new(&"ws://a:1".into());
            assert!(!state.failed(now) && !state.failed(now));
            let both = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| (both.wait(), state.failed(now)));
                both.wait();
                state.answered();
            });
            let (rests, is_back) = (state.rest(now) > Duration::ZERO, state.answered());
            assert_eq!((rests, state.rest(now)), (is_back, Duration::ZERO), "round {round}");
        }
    }
}
