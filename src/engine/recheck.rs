//! Judges connections again whose key has gone: not the file has changed, but what is known outside of it.

use std::time::SystemTime;

use tokio::task::yield_now;

use crate::stage::pipeline::Findings;

use super::judge::Haste;
use super::registry::Record;
use super::roster::Roster;

/// Has those closed in turn that these keys have let in and that would be refused now.
pub(super) async fn recheck(roster: Roster, removed: Vec<Box<str>>) {
    let is_by_one = |record: &Record| record.client.identities.iter().any(|identity| removed.contains(&identity.key));
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
