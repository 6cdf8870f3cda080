//! What lets clients go on with an earlier session instead of a whole handshake.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

/// Sessions of clients that take no tickets, which are kept here; the oldest goes.
const SESSIONS: usize = 256;

/// The keys of session tickets, and the sessions of clients without.
///
/// A session is as good as the handshake that began it: what is not asked again is who the client is. So it is shared by settings that
/// ask clients the same, and by no others.
#[derive(Debug)]
pub struct Resumption {
    pub(super) sessions: Arc<dyn StoresServerSessions>,
    /// Sealed with keys of this process that change every 6 hours. None where the system has no randomness to give: every
    /// handshake is a whole one then.
    pub(super) tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Resumption {
    /// Nobody has a session yet.
    pub fn new() -> Self {
        Self { sessions: ServerSessionMemoryCache::new(SESSIONS), tickets: Ticketer::new().ok() }
    }
}

impl Default for Resumption {
    fn default() -> Self {
        Self::new()
    }
}
