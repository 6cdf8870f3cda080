//! A key set that is fetched: shared by all stages that name it, and kept across reloads.
//!
//! One fetches, and whoever needs more than there is waits for that one. What was fetched once serves on while its provider is down.

mod fetch;
pub(super) mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::stage::Build;
use crate::stage::outside::{Lapse, News, Outside, Source, SourceFacts, Trust};
use crate::stage::refusal::{AUTH_UNAVAILABLE, Refusal};

use super::keys::Key;
use fetch::Fetch;
pub(super) use fetch::Place;
use read::Read;

/// The least time between two fetches for keys that are not in the set: anybody can name such a key.
const BETWEEN: Duration = Duration::from_secs(30);
/// How long a fetch is waited for: it is two questions at most.
const PATIENCE: Duration = fetch::WITHIN.saturating_mul(2).saturating_add(Duration::from_secs(1));

/// A key set that is fetched.
pub(super) struct KeySet {
    name: Arc<str>,
    fetch: Fetch,
    state: watch::Sender<State>,
    wanted: Arc<Notify>,
    has_begun: AtomicBool,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<[Key]>>,
    passed_over: Vec<String>,
    /// When these keys were fetched, or last found to be the same.
    fetched: Option<SystemTime>,
    /// What has failed since.
    error: Option<String>,
    failures: u64,
    /// Fetches that have come to an end.
    rounds: u64,
    is_fetching: bool,
    /// When it was last fetched for a key that was not there, and for which.
    missed: Option<(Instant, Box<str>)>,
    /// The names of those that were gone when it was last found to have lost any.
    gone: Vec<Arc<str>>,
}

/// A set as it was when it was looked through, and had not what was looked for.
#[derive(Clone, Copy)]
pub(super) struct Looked<'a> {
    set: &'a Arc<KeySet>,
    /// The [`State::rounds`] of that moment.
    rounds: u64,
}

/// What waiting for a set has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum More {
    /// It has been fetched: look again.
    Fetched,
    /// It was fetched a moment ago for this very key, or has lost it.
    Not,
}

impl State {
    /// Takes other keys in the place of these, and gives these.
    fn replace(&mut self, keys: &Arc<[Key]>) -> Option<Arc<[Key]>> {
        let was = self.keys.replace(keys.clone())?;
        let is_there = |kid: &str| keys.iter().any(|key| key.kid.as_deref() == Some(kid));
        let lost: Vec<_> = was.iter().filter_map(|key| key.kid.clone()).filter(|kid| !is_there(kid)).collect();
        if !lost.is_empty() {
            self.gone = lost;
        }
        Some(was)
    }

    /// Whether it was looked for a moment ago, so that there is more to say of it than that it is not known.
    fn is_missing(&self, kid: &str) -> bool {
        self.missed.as_ref().is_some_and(|(_, missed)| **missed == *kid) || self.gone.iter().any(|gone| **gone == *kid)
    }
}

impl Looked<'_> {
    /// Waits for more than there was: for the first keys, or for a fetch on account of the key of this name, which was not among them.
    /// There is one fetch for all who wait, and one every 30 s; one that has ended since the set was looked through is such a fetch.
    ///
    /// # Errors
    /// `auth_unavailable` where it cannot be known which keys there are: so it is until the next such fetch, for whoever comes with another
    /// name than the last was for. Anybody can name a key, and may not have those called bad whose key is new.
    pub(super) async fn more(self, kid: &str) -> Result<More, Box<Refusal>> {
        self.set.more(kid, self.rounds).await
    }

    pub(super) fn unavailable(self, why: &str) -> Box<Refusal> {
        self.set.unavailable(why)
    }
}

impl KeySet {
    /// The set at this place, whose provider is vouched for by these.
    pub(super) fn of(place: Place, trust: Option<Trust>, build: &Build<'_>) -> Arc<Self> {
        let name = match &place {
            Place::Set(url) => url.shown(),
            Place::Issuer(name, _) => name.clone(),
        };
        let outside = build.outside();
        let key = format!("{place:?} {:?}", trust.as_ref().map(|trust| trust.made_of));
        build.shared("key_set", &key, || Self::new(name.into(), Fetch { place, trust, outside }))
    }

    fn new(name: Arc<str>, fetch: Fetch) -> Self {
        Self { name, fetch, state: watch::Sender::new(State::default()), wanted: Arc::default(), has_begun: AtomicBool::new(false) }
    }

    fn outside(&self) -> &Arc<Outside> {
        &self.fetch.outside
    }

    /// Has it fetched from now on, once for all who want it.
    pub(super) fn begin(self: &Arc<Self>) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            let source: Arc<dyn Source> = self.clone();
            self.outside().list(Arc::downgrade(&source));
            self.outside().run(Box::pin(fetch::keep_fresh(Arc::downgrade(self), self.fetch.clone(), self.wanted.clone())));
        }
    }

    /// The keys that there are, none before the first were fetched; and where to ask for more than those.
    pub(super) fn now(self: &Arc<Self>) -> (Option<Arc<[Key]>>, Looked<'_>) {
        let state = self.state.borrow();
        (state.keys.clone(), Looked { set: self, rounds: state.rounds })
    }

    fn has_keys(&self) -> bool {
        self.state.borrow().keys.is_some()
    }

    async fn more(&self, kid: &str, looked: u64) -> Result<More, Box<Refusal>> {
        if !self.outside().is_attended() {
            return Err(self.unavailable("key sets are not fetched here"));
        }
        let mut seen = self.state.subscribe();
        let (mut settled, mut before) = (None, 0);
        self.state.send_if_modified(|state| {
            before = state.rounds;
            if state.rounds > looked && state.error.is_none() {
                settled = Some(Ok(More::Fetched));
            } else if !state.is_fetching && (state.keys.is_some() || state.error.is_some()) {
                let left = state.missed.as_ref().and_then(|(at, _)| BETWEEN.checked_sub(at.elapsed())).filter(|left| !left.is_zero());
                settled = match (&state.error, left) {
                    (Some(why), _) if state.keys.is_none() || left.is_some() => Some(Err((why.clone(), left))),
                    (None, Some(_)) if state.is_missing(kid) => Some(Ok(More::Not)),
                    (None, Some(_)) => Some(Err(("it was fetched for another key a moment ago".to_owned(), left))),
                    _ => None,
                };
                if settled.is_none() {
                    (state.missed, state.is_fetching) = (Some((Instant::now(), kid.into())), true);
                    self.wanted.notify_one();
                }
            }
            false
        });
        if let Some(settled) = settled {
            return settled.map_err(|(why, retry_after)| Box::new(Refusal { retry_after, ..*self.unavailable(&why) }));
        }
        let waited = timeout(PATIENCE, seen.wait_for(|state| state.rounds > before)).await;
        match waited.map(|state| state.map(|state| state.error.clone())) {
            Ok(Ok(None)) => Ok(More::Fetched),
            Ok(Ok(Some(why))) => Err(self.unavailable(&why)),
            Ok(Err(_)) | Err(_) => Err(self.unavailable("it was not fetched in time")),
        }
    }

    fn unavailable(&self, why: &str) -> Box<Refusal> {
        Box::new(Refusal::new(AUTH_UNAVAILABLE).rule(format!("key set {}: {why}", self.name)))
    }

    fn begins(&self) {
        self.state.send_modify(|state| state.is_fetching = true);
    }

    /// It was fetched.
    fn take(&self, Read { keys, passed_over }: Read) {
        let ids = |keys: &[Key]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        let (mut before, mut was_passed_over, mut has_failed) = (None, Vec::new(), false);
        let after = ids(&keys);
        let keys: Arc<[Key]> = keys.into();
        self.state.send_modify(|state| {
            before = state.replace(&keys).map(|keys| ids(&keys));
            was_passed_over = std::mem::replace(&mut state.passed_over, passed_over.clone());
            has_failed = state.error.take().is_some();
            state.fetched = Some(SystemTime::now());
            state.rounds += 1;
            state.is_fetching = false;
        });
        for key in passed_over.into_iter().filter(|key| !was_passed_over.contains(key)) {
            self.outside().tell(News::KeyPassedOver { set: self.name.clone(), key });
        }
        let known = before.as_deref().unwrap_or_default();
        let added: Vec<_> = after.iter().filter(|id| !known.contains(id)).cloned().collect();
        let removed: Vec<_> = known.iter().filter(|id| !after.contains(id)).cloned().collect();
        if before.is_none() || has_failed || !added.is_empty() || !removed.is_empty() {
            self.outside().tell(News::KeySetFetched { set: self.name.clone(), keys: after.len(), added, removed: removed.clone() });
        }
        match before {
            // Under a stage that is new to this set there may be those that it would not let in: nobody could tell until now.
            None => self.outside().recheck(Lapse::Anyone),
            Some(_) if !removed.is_empty() => self.outside().recheck(Lapse::Keys(removed)),
            Some(_) => {}
        }
    }

    /// It could not be fetched, or is none: what there was is gone by.
    fn fails(&self, why: String) {
        // Whoever tells of it names the set, which may be the very URL that was asked.
        let why = why.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned).unwrap_or(why);
        let (mut is_first, mut has_keys) = (false, false);
        self.state.send_modify(|state| {
            is_first = state.error.replace(why.clone()).is_none();
            has_keys = state.keys.is_some();
            state.failures += 1;
            state.rounds += 1;
            state.is_fetching = false;
        });
        if is_first {
            self.outside().tell(News::KeySetFailed { set: self.name.clone(), error: why, has_keys });
        }
    }
}

impl Source for KeySet {
    fn facts(&self) -> SourceFacts {
        let state = self.state.borrow();
        SourceFacts {
            name: self.name.clone(),
            keys: state.keys.as_ref().map_or(0, |keys| keys.len()),
            fetched: state.fetched,
            failures: state.failures,
            error: state.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
