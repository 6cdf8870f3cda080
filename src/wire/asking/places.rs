//! Places for the questions that are asked at once of one service, so that one that hangs holds up nobody who asks another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::idle::Origin;

/// The most questions that are asked of one service at once.
const MAX_AT_ONCE: usize = 128;

/// The places, by service. A service that nobody asks has none here.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<Origin, Arc<Semaphore>>>);

impl Places {
    /// Takes a place, in turn; dropping it gives it back.
    ///
    /// Cancel-safe: who is dropped waits no more.
    pub(super) async fn take(&self, origin: Origin) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.of(origin).acquire_owned().await.ok()
    }

    fn of(&self, origin: Origin) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = all.get(&origin) {
            return places.clone();
        }
        // Whoever has or waits for a place holds on to them all.
        all.retain(|_, places| Arc::strong_count(places) > 1);
        all.entry(origin).or_insert_with(|| Arc::new(Semaphore::new(MAX_AT_ONCE))).clone()
    }
}
