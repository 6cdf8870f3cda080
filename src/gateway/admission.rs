//! The way in: in which order a connection is judged until it may open, whatever carries its bytes. A connection that is conducted
//! goes this way, and so does a trial.

use std::sync::Arc;

use http::request::Parts;
use tokio::time::timeout;

use crate::stage::pipeline::{Findings, Progress, Resume};
use crate::stage::refusal::{AUTH_UNAVAILABLE, BAD_HANDSHAKE, NO_ROUTE, TOKEN_MISSING, Verdict};
use crate::stage::{Client, Peer, Pipeline, Refusal};
use crate::wire::upgrade::Upgrade;

use super::Gateway;
use super::listener::Listener;
use super::request::{self, Target};
use super::route::Route;

/// What a request that was read comes to, as far as it got.
pub struct Entry {
    /// What it asks for; where that is ambiguous, with the path as it came.
    pub asked: Target,
    /// The route that takes it.
    pub route: Option<Arc<Route>>,
    /// The facts its stages judge by, once there is a route.
    pub client: Option<Client>,
    /// What it settles, where it asks for WebSocket; a probe upgrades to nothing, whatever it says (RFC 9110 §7.8).
    pub upgrade: Option<Upgrade>,
    /// Whether its stages are to judge it, and if not, why.
    pub verdict: Verdict,
}

/// What is held against a client before its request is read.
#[derive(Default)]
pub struct Against {
    /// What [`greet`] has kept.
    pub unwelcome: Option<Box<Refusal>>,
    /// There is no room for it, unless it is a probe.
    pub full: Option<Box<Refusal>>,
}

/// The client's address is known. One that is refused with an accepted upgrade and a Close has to ask for it first.
///
/// # Errors
/// The refusal of one that is turned away at once.
pub fn greet(listener: &Listener, peer: &Peer, findings: &mut Findings) -> Result<Option<Box<Refusal>>, Box<Refusal>> {
    let Err(mut refusal) = listener.pipeline.connect(peer, findings) else { return Ok(None) };
    listener.pipeline.error(None, &mut refusal);
    if refusal.is_told_by_close() { Ok(Some(refusal)) } else { Err(refusal) }
}

/// The request is read: which route takes it, does it ask for WebSocket, and may its address go there?
pub fn enter(gateway: &Gateway, (peer, id): (&Peer, u64), parts: Parts, against: Against, findings: &mut Findings) -> Entry {
    let mut entry = find_route(gateway, (peer, id), parts);
    let Against { unwelcome, full } = against;
    if let Some(refusal) = unwelcome {
        entry.verdict = Err(refusal);
    }
    if let (Some(route), Ok(())) = (&entry.route, &entry.verdict) {
        entry.verdict = match full.filter(|_| !route.endpoint.is_health()) {
            Some(refusal) => Err(refusal),
            None => route.pipeline.connect(peer, findings),
        };
    }
    entry
}

fn find_route(gateway: &Gateway, (peer, id): (&Peer, u64), parts: Parts) -> Entry {
    let refused = |asked, refusal| Entry { asked, route: None, client: None, upgrade: None, verdict: Err(Box::new(refusal)) };
    let asked = match Target::of(&parts) {
        Ok(asked) => asked,
        Err((asked, why)) => {
            let reason = format!("{}: {why}", BAD_HANDSHAKE.reason).into();
            return refused(asked, Refusal { reason, ..Refusal::new(BAD_HANDSHAKE).rule(why) });
        }
    };
    let Some((route, params)) = gateway.route(&peer.listener, &asked.host, &asked.path) else {
        return refused(asked, Refusal::new(NO_ROUTE));
    };
    let (upgrade, verdict) = match Upgrade::check(&parts, route.compression) {
        _ if route.endpoint.is_health() => (None, Ok(())),
        Ok(upgrade) => (Some(upgrade), Ok(())),
        Err(refusal) => (None, Err(refusal)),
    };
    let client = Client {
        id,
        peer: peer.clone(),
        route: route.name.clone(),
        host: asked.host.as_str().into(),
        port: asked.port,
        path: asked.path.as_str().into(),
        origin: request::origin(&parts),
        params,
        identities: Box::default(),
        counters: Default::default(),
        holdings: Default::default(),
        request: Some(Box::new(parts)),
        first_message: None,
    };
    Entry { asked, route: Some(route.clone()), client: Some(client), upgrade, verdict }
}

/// The stages of one pipeline judge, from one on; first the listener's do, and then the route's.
///
/// # Errors
/// The refusal. A stage that has somebody else to ask has no longer for it than a client for its head, and none gets a first message
/// of a probe.
pub async fn judge(
    (listener, route): (&Listener, &Route),
    pipeline: &Pipeline,
    from: Resume,
    client: &mut Client,
    findings: &mut Findings,
) -> Result<Progress, Box<Refusal>> {
    let judged = timeout(listener.handshake_timeout, pipeline.handshake(from, client, findings)).await;
    match judged.map_err(|_| Box::new(Refusal::new(AUTH_UNAVAILABLE).rule("no judgement within `handshake_timeout`")))?? {
        Progress::FirstMessage(..) if route.endpoint.is_health() => {
            Err(Box::new(Refusal::new(TOKEN_MISSING).rule("a probe sends no first message")))
        }
        progress => Ok(progress),
    }
}
