//! Judges connections again whose key has gone, or is known now not to be one: not the file has changed, but what is known outside of it.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::yield_now;

use crate::stage::Identity;
use crate::stage::outside::Lapse;
use crate::stage::pipeline::Findings;

use super::judge::Haste;
use super::registry::Record;
use super::roster::Roster;

/// Has those closed in turn whom this concerns and who would be refused now.
pub(super) async fn recheck(roster: Roster, lapse: Lapse) {
    let is_concerned = |identity: Arc<Identity>| match &lapse {
        Lapse::Keys(removed) => removed.contains(&identity.key),
        Lapse::Anyone => true,
    };
    let is_by_one = |record: &Record| record.client.identities.iter().any(is_concerned);
    let is_refused = |record: &Record| {
        // What stages in report mode say of it is reported when its turn comes.
        record.policy().review(&record.client, SystemTime::now(), &mut Findings::default()).is_err()
    };
    let mut leaving = Vec::new();
    for some in roster.walk() {
        leaving.extend(some.into_iter().filter(|record| !record.is_ending() && is_by_one(record) && is_refused(record)));
        yield_now().await;
    }
    roster.end_in_turn(leaving, Haste::InTurn);
}
