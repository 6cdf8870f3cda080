//! Judges connections again whose key has gone, or is known now not to be one: not the file has changed, but what is known outside of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::task::yield_now;

use crate::stage::Identity;
use crate::stage::outside::Lapse;
use crate::stage::pipeline::Findings;

use super::judge::Haste;
use super::registry::Record;
use super::roster::Roster;

/// Counts how often it was called for. Whoever has been judged meanwhile, and was not to be met among the live ones, has to be judged
/// once more.
#[derive(Default)]
pub(super) struct Rechecks(AtomicU64);

impl Rechecks {
    /// How often so far: what has changed before is known to whoever asks.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Another begins.
    fn begins(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Whether this one would be let in no more. What stages in report mode say of it is reported when its turn comes.
pub(super) fn is_refused(record: &Record) -> bool {
    !record.is_ending() && record.policy().review(&record.client, SystemTime::now(), &mut Findings::default()).is_err()
}

/// Has those closed in turn whom this concerns and who would be refused now.
pub(super) async fn recheck(roster: Roster, lapse: Lapse) {
    let is_concerned = |identity: Arc<Identity>| match &lapse {
        Lapse::Keys(removed) => removed.contains(&identity.proof.key),
        Lapse::Anyone => true,
    };
    let is_by_one = |record: &Record| record.client.identities.iter().any(is_concerned);
    // Who is entered before this is met on the walk; who is entered later sees that there was one.
    roster.rechecks().begins();
    let mut leaving = Vec::new();
    for some in roster.walk() {
        leaving.extend(some.into_iter().filter(|record| is_by_one(record) && is_refused(record)));
        yield_now().await;
    }
    roster.end_in_turn(leaving, Haste::InTurn);
}
