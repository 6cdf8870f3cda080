//! What work outside has come to, for whoever reports it; and how things stand with what was fetched.

use std::sync::Arc;
use std::time::SystemTime;

/// Something an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A key set was fetched for the first time, again after failures, or with other keys than before.
    KeySetFetched {
        /// What it is called: its URL, or its issuer.
        set: Arc<str>,
        /// How many keys it has.
        keys: usize,
        /// The names of those that are new.
        added: Vec<Arc<str>>,
        /// The names of those that are gone.
        removed: Vec<Arc<str>>,
    },
    /// It could not be fetched, and could before.
    KeySetFailed {
        /// What it is called.
        set: Arc<str>,
        /// Why.
        error: String,
        /// Whether there are keys from before, which serve on.
        has_keys: bool,
    },
    /// A key of it cannot be used here.
    KeyPassedOver {
        /// What the set is called.
        set: Arc<str>,
        /// Which key, and why.
        key: String,
    },
    /// A service that decides could not be asked, and could before.
    ServiceFailed {
        /// The stage that asks, as the file names it.
        stage: Arc<str>,
        /// Why.
        error: String,
        /// Whether clients are let in all the same.
        lets_in: bool,
    },
    /// It answers again.
    ServiceBack {
        /// The stage that asks.
        stage: Arc<str>,
    },
}

/// Something that is fetched and kept.
pub trait Source: Send + Sync {
    /// How things stand with it.
    fn facts(&self) -> SourceFacts;
}

/// How things stand with something that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// What it is called.
    pub name: Arc<str>,
    /// How many keys it has.
    pub keys: usize,
    /// When it was fetched last; none where it never was.
    pub fetched: Option<SystemTime>,
    /// How often it could not be, in all.
    pub failures: u64,
    /// Why it could not be, where the last attempt failed.
    pub error: Option<String>,
}
