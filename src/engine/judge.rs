//! Judges a live connection again: what a snapshot means for one that was let in under another.

use std::sync::Arc;
use std::time::SystemTime;

use crate::config::table::OnReload;
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::gateway::route::Route;
use crate::stage::pipeline::Findings;
use crate::stage::refusal::{
    CERTIFICATE_EXPIRED, DRAINING, IP_DENIED, KICKED, Outcome, REBALANCE, REVOKED, ROUTE_CHANGED, ROUTE_REMOVED, TOKEN_EXPIRED, Verdict,
};
use crate::stage::{Client, Refusal};

use super::policy::Policy;
use super::registry::Record;

/// What a snapshot means for a connection.
pub(super) enum Judged {
    /// It is not concerned: it goes by what it went by.
    Same,
    /// It is still allowed, and goes by this from now on.
    Adopts(Policy),
    /// It has to go, and is told this as it is.
    Leaves(Box<Refusal>, Haste),
}

/// How soon a connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// At once: somebody wants this client out.
    AtOnce,
    /// As soon as the rate of closes allows.
    Soon,
    /// When its turn comes, so that the clients of many do not come back together.
    InTurn,
}

/// Outcomes that do not wait their turn: a client is turned away for what it is, not for what was edited.
const AT_ONCE: [Outcome; 5] = [IP_DENIED, REVOKED, KICKED, TOKEN_EXPIRED, CERTIFICATE_EXPIRED];

/// Judges one connection that is to end in its turn by this snapshot, which may be the one it goes by: what is known outside of it may
/// have changed, and then it ends for that.
pub(super) fn judge_in_turn(record: &Record, gateway: &Gateway, now: SystemTime, findings: &mut Findings) -> Judged {
    match judge(record, gateway, now, findings) {
        Judged::Same => {
            let held = record.policy();
            match held.review(&record.client, now, findings) {
                Ok(()) => Judged::Same,
                Err(refusal) => leaves(&held, &record.client, refusal, Haste::InTurn),
            }
        }
        judged => judged,
    }
}

/// Judges one connection by this snapshot. Changes nothing; what stages in report mode would have refused is for the log.
pub(super) fn judge(record: &Record, gateway: &Gateway, now: SystemTime, findings: &mut Findings) -> Judged {
    let (client, held) = (&*record.client, record.policy());
    let policy = match find(client, gateway) {
        Ok(policy) => policy,
        // There is no other to ask: it goes as its own route would have it.
        Err(refusal) => {
            return match held.route.on_reload {
                OnReload::Keep => Judged::Same,
                OnReload::Close => leaves(&held, client, refusal, Haste::Soon),
                OnReload::Drain => leaves(&held, client, drained(refusal), Haste::InTurn),
                OnReload::Recheck => leaves(&held, client, refusal, Haste::InTurn),
            };
        }
    };
    if policy.is_same(&held) {
        return Judged::Same;
    }
    let on_reload = policy.route.on_reload;
    if on_reload == OnReload::Keep {
        return Judged::Same;
    }
    let verdict = policy.review(client, now, findings);
    findings.retain(|refusal| !held.has_said(&policy, refusal));
    let leaves = |refusal, haste| leaves(&policy, client, refusal, haste);
    match (verdict, on_reload) {
        // Whom somebody wants out is not asked back, whatever becomes of the others.
        (Err(refusal), _) if is_unwelcome(&refusal) => leaves(refusal, Haste::AtOnce),
        (_, OnReload::Drain) if !policy.lets_in_as(&held) => leaves(Box::new(Refusal::new(DRAINING)), Haste::InTurn),
        (_, OnReload::Close) if !policy.lets_in_as(&held) => leaves(changed("its `on_reload` is \"close\""), Haste::Soon),
        (verdict, _) => match verdict.and_then(|()| fits(record, &held.route, &policy)) {
            Ok(()) => Judged::Adopts(policy),
            Err(refusal) => leaves(refusal, Haste::InTurn),
        },
    }
}

fn is_unwelcome(refusal: &Refusal) -> bool {
    AT_ONCE.iter().any(|outcome| outcome.id == refusal.outcome.id)
}

/// The word of the policy that ends a connection.
fn leaves(policy: &Policy, client: &Client, mut refusal: Box<Refusal>, haste: Haste) -> Judged {
    policy.tell(client, &mut refusal);
    Judged::Leaves(refusal, haste)
}

/// What the snapshot has for a connection: its listener, and the route that its request goes to now.
fn find(client: &Client, gateway: &Gateway) -> Result<Policy, Box<Refusal>> {
    let removed = |what: String| Box::new(Refusal::new(ROUTE_REMOVED).rule(what));
    let name = &client.peer.listener;
    let listener = gateway.listeners.get(name).ok_or_else(|| removed(format!("listener.{name} is gone")))?;
    let found = gateway.route(name, client.host(), client.path());
    let (route, params) = found.ok_or_else(|| removed(format!("route.{} is gone", client.route)))?;
    if route.name != client.route {
        return Err(changed(&format!("its requests go to route.{} now", route.name)));
    }
    if params != client.params {
        return Err(changed("segments of its host or path have other names now"));
    }
    Ok(Policy { listener: listener.clone(), route: route.clone() })
}

/// Whether a connection of the one route can go on under the other policy.
fn fits(record: &Record, held: &Route, policy: &Policy) -> Verdict {
    let new = &*policy.route;
    if record.takeover
        && let Some(stage) = policy.bars_takeover()
    {
        return Err(changed(&format!("{stage} leaves out or reads messages, and this connection's depend on one another")));
    }
    if let (Some(agreed), Some(allowed)) = (&record.client.subprotocol, &new.subprotocols)
        && !allowed.iter().any(|name| **name == **agreed)
    {
        return Err(changed("its subprotocol is no longer among the route's"));
    }
    match (&held.endpoint, &new.endpoint) {
        (Endpoint::Own(_), Endpoint::Own(_)) => Ok(()),
        (Endpoint::Upstream(old), Endpoint::Upstream(new)) if Arc::ptr_eq(old, new) => Ok(()),
        (Endpoint::Upstream(_), Endpoint::Upstream(new)) => {
            let Some(server) = record.server() else { return Ok(()) };
            let stays = new.servers().any(|(other, _)| other.name() == server);
            let gone = || Box::new(Refusal::new(REBALANCE).rule(format!("{server} is no longer among its servers")));
            if stays { Ok(()) } else { Err(gone()) }
        }
        _ => Err(changed("its endpoint is of another kind now")),
    }
}

/// The same, told as the end of a drain.
fn drained(refusal: Box<Refusal>) -> Box<Refusal> {
    Box::new(Refusal { rule: refusal.rule, ..Refusal::new(DRAINING) })
}

fn changed(how: &str) -> Box<Refusal> {
    Box::new(Refusal::new(ROUTE_CHANGED).rule(how))
}
