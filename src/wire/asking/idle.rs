//! Connections that wait for the next question to the same service.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::stage::fingerprint::Fingerprint;
use crate::stage::outside::{HttpUrl, Trust};

/// How long a connection may wait.
const IDLE: Duration = Duration::from_secs(30);
/// The most that wait, for all services.
const MAX_IDLE: usize = 256;

/// A service, and who says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    is_tls: bool,
    authority: String,
    trust: Option<Fingerprint>,
}

impl Origin {
    pub(super) fn of(url: &HttpUrl, trust: Option<&Trust>) -> Self {
        Self { is_tls: url.is_tls, authority: url.authority(), trust: trust.map(|trust| trust.made_of) }
    }
}

/// The connections that wait, by service.
pub(super) struct Idle<S>(Mutex<Waiting<S>>);

/// Each with the moment until which it waits.
type Waiting<S> = HashMap<Origin, Vec<(S, Instant)>>;

impl<S> Default for Idle<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> Idle<S> {
    /// The one that was used last.
    pub(super) fn take(&self, origin: &Origin) -> Option<S> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, until) = idle.get_mut(origin)?.pop()?;
        (until > Instant::now()).then_some(sender)
    }

    /// Keeps one for the next question, unless many wait already.
    pub(super) fn keep(&self, origin: Origin, sender: S) {
        let now = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tidy(&mut idle, now);
        if idle.values().map(Vec::len).sum::<usize>() < MAX_IDLE {
            idle.entry(origin).or_default().push((sender, now + IDLE));
        }
    }

    /// Lets go of those that have waited for too long.
    pub(super) fn tidy(&self) {
        tidy(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
    }
}

fn tidy<S>(idle: &mut Waiting<S>, now: Instant) {
    idle.retain(|_, waiting| {
        waiting.retain(|(_, until)| *until > now);
        !waiting.is_empty()
    });
}
