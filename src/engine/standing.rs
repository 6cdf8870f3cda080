//! How things stand with the config: what is in force since when, and what the file says that is not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::config::Document;

use super::source::Refused;

/// How things stand with the config; clones are the same, for whoever looks on.
#[derive(Clone)]
pub struct Standing(Arc<Mutex<Facts>>);

/// How things stand with the config.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the gateway started.
    pub started: SystemTime,
    /// Since when what is in force is.
    pub since: SystemTime,
    /// The text in force; none where nobody has it.
    pub text: Option<Arc<Document>>,
    /// The edit that does not take effect, until one does.
    pub refused: Option<Refused>,
    /// The generation whose text is in force in the place of the file's, and since when, until the file changes.
    pub rolled_back: Option<(u64, SystemTime)>,
}

impl Standing {
    pub(super) fn new(facts: Facts) -> Self {
        Self(Arc::new(Mutex::new(facts)))
    }

    /// How things stand now.
    pub fn now(&self) -> Facts {
        self.facts().clone()
    }

    /// Whether what is in force is what the file says, as it was last read.
    pub(super) fn is_saved(&self) -> bool {
        let facts = self.facts();
        facts.refused.is_none() && facts.rolled_back.is_none()
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
