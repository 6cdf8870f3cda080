//! The verbs that only look, and `kick`: they work on the connections' records, beside whatever the engine is doing.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::task::yield_now;

use crate::observe::event::Event;
use crate::stage::Refusal;
use crate::stage::outside::SourceFacts;
use crate::stage::refusal::{KICKED, MAX_REASON, is_close_code};
use crate::stage::traffic::Side;

use super::super::keeper::{Facts, Standing};
use super::super::registry::Record;
use super::super::roster::{Roster, age};
use super::facts::{Connection, KeySetStatus, Kicked, RefusedEdit, RolledBack, RouteStatus, Status, told};
use super::protocol::Kick;
use super::selector::Chosen;

/// How the gateway does.
pub(super) async fn status(roster: &Roster, standing: &Standing, config: &str) -> Status {
    let (gateway, facts) = (roster.gateway(), standing.now());
    let mut routes: BTreeMap<String, BTreeMap<u64, usize>> =
        gateway.routes.iter().map(|route| (route.name.to_string(), BTreeMap::new())).collect();
    let mut connections = 0;
    for some in roster.walk() {
        for record in &some {
            connections += 1;
            let generations = routes.entry(record.client.route.to_string()).or_default();
            *generations.entry(roster.generation_of(record)).or_default() += 1;
        }
        yield_now().await;
    }
    let routes = routes.into_iter().map(|(route, generations)| RouteStatus { route, connections: generations.values().sum(), generations });
    let unready = roster.unready();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        config: config.to_owned(),
        ready: unready.is_none(),
        unready: unready.map(str::to_owned),
        started: told(facts.started),
        generation: roster.generation(),
        since: told(facts.since),
        rolled_back: rolled_back(&facts),
        refused: refused(&facts),
        connections,
        leaving: roster.leaving(),
        handshakes: roster.load().saturating_sub(connections),
        routes: routes.collect(),
        parts_aside: roster.parts_aside(),
        reporting: gateway.reporting.clone(),
        key_sets: gateway.outside.sources().into_iter().map(key_set).collect(),
    }
}

fn key_set(facts: SourceFacts) -> KeySetStatus {
    let SourceFacts { name, keys, fetched, failures, error } = facts;
    let age = fetched.and_then(|at| SystemTime::now().duration_since(at).ok()).map(|age| age.as_secs());
    KeySetStatus { set: name.to_string(), keys, fetched: fetched.map(told), age, failures, error }
}

/// Which text is in force in the place of the file's.
pub(super) fn rolled_back(facts: &Facts) -> Option<RolledBack> {
    facts.rolled_back.map(|(to, at)| RolledBack { to, at: told(at) })
}

/// The edit that does not take effect.
pub(super) fn refused(facts: &Facts) -> Option<RefusedEdit> {
    facts.refused.as_ref().map(|refused| RefusedEdit { at: told(refused.at), faults: refused.faults.clone() })
}

/// A connection as `ps` shows it.
pub(super) fn connection(roster: &Roster, record: &Record, now: SystemTime) -> Connection {
    let client = &record.client;
    let (from_client, from_upstream) = (client.counters.from(Side::Client), client.counters.from(Side::Upstream));
    Connection {
        id: format!("{:016x}", client.id),
        age: age(record, now),
        listener: client.peer.listener.to_string(),
        route: client.route.to_string(),
        ip: client.peer.ip.to_string(),
        user: client.user().map(str::to_owned),
        expires_in: client.expires(None).map(|end| end.duration_since(now).unwrap_or_default().as_secs_f64()),
        host: client.host().to_owned(),
        path: client.path().to_owned(),
        server: record.server().map(|server| server.to_string()),
        subprotocol: record.client.subprotocol.as_deref().map(str::to_owned),
        client_messages: from_client.messages(),
        client_bytes: from_client.bytes(),
        upstream_messages: from_upstream.messages(),
        upstream_bytes: from_upstream.bytes(),
        generation: roster.generation_of(record),
        ending: record.is_ending(),
    }
}

/// Ends the connections that are chosen; `by` is whose wish it is.
///
/// # Errors
/// What cannot be meant.
pub(super) async fn kick(roster: &Roster, kick: &Kick, by: &str) -> Result<Kicked, String> {
    if kick.selector.is_everybody() != kick.all {
        return Err(match kick.all {
            true => "all of them are more than those that are selected: leave one of the two out".to_owned(),
            false => "nobody is selected; to end every connection, say so".to_owned(),
        });
    }
    if let Some(code) = kick.code.filter(|code| !is_close_code(*code)) {
        return Err(format!("{code} is no code that a Close frame of a server may carry; applications have 3000 to 4999"));
    }
    if let Some(reason) = kick.reason.as_deref().filter(|reason| reason.len() > MAX_REASON) {
        return Err(format!("the reason has {} bytes; a Close frame carries {MAX_REASON}", reason.len()));
    }
    let chosen = kick.selector.ready()?;
    let connections = end(roster, kick, &chosen, by).await;
    match chosen.doubt(&roster.gateway()).filter(|_| connections == 0) {
        Some(doubt) => Err(doubt),
        None => Ok(Kicked { connections, dry_run: kick.dry_run }),
    }
}

async fn end(roster: &Roster, kick: &Kick, chosen: &Chosen<'_>, by: &str) -> usize {
    let mut connections = 0;
    for some in roster.walk() {
        for record in some.iter().filter(|record| chosen.takes(record) && !record.is_ending()) {
            connections += 1;
            if !kick.dry_run {
                record.leave(refusal(record, kick, by));
            }
        }
        yield_now().await;
    }
    if !kick.dry_run {
        let s = if connections == 1 { "" } else { "s" };
        let what = format!("{connections} connection{s}: {}", kick.selector);
        roster.observer().report(&Event::Command { verb: "kick", by, what: &what });
    }
    connections
}

/// What the client is told: as its route words it, but for what the operator has worded.
fn refusal(record: &Record, kick: &Kick, by: &str) -> Box<Refusal> {
    let mut refusal = Box::new(Refusal::new(KICKED).rule(format!("wsgate kick by {by}")));
    record.policy().tell(&record.client, &mut refusal);
    if let Some(reason) = &kick.reason {
        refusal.reason = reason.clone().into();
    }
    refusal.code = kick.code.or(refusal.code);
    refusal
}
