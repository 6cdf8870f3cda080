//! `requests` of a route: how many ordinary requests a client may make, by its address alone.

use std::sync::Arc;

use crate::config::units::Rate;
use crate::stage::Peer;
use crate::stage::cells::Cells;
use crate::stage::fingerprint::Fingerprint;
use crate::stage::rates::{Buckets, Clock, Key, KeyPart, Quick};
use crate::stage::refusal::Verdict;

use super::traffic::Rule;

/// A route's limit on requests. It stands before the route's stages, and what is spent of it outlives the snapshot.
pub struct Requests {
    rate: Rate,
    rule: Rule<Quick>,
    key: [KeyPart; 1],
    buckets: Arc<Buckets>,
    clock: Clock,
    /// Whose it is, as the file names it.
    route: Arc<str>,
}

/// Two are equal when they allow the same: what is spent is shared.
impl PartialEq for Requests {
    fn eq(&self, other: &Self) -> bool {
        self.rate == other.rate
    }
}

impl Requests {
    /// The limit of the route of this name.
    pub fn new(rate: Rate, route: &str, cells: &Cells) -> Self {
        let clock = Clock::default();
        let rule = Rule::of("http.requests", &rate, &clock);
        let buckets = cells.cell("route", route, Buckets::default);
        Self { rule, rate, key: [KeyPart::ADDRESS], buckets, clock, route: format!("route.{route}").into() }
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    /// `rate_limited`, with when to come back.
    pub fn count(&self, peer: &Peer) -> Verdict {
        let key = Fingerprint::of(Key { parts: &self.key, peer, client: None });
        self.buckets.charge(key, |account| self.rule.spend(&account.requests)).map_err(|mut refusal| {
            refusal.stage = Some(self.route.clone());
            refusal
        })
    }

    /// Gives back what nobody uses; may take a while.
    pub fn tidy(&self) {
        self.buckets.sweep(self.clock.now());
    }
}
