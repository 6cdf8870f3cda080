//! The way in: in which order a connection is judged until it may open, whatever carries its bytes. A connection that is conducted
//! goes this way, and so does a trial.

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};
use tokio::time::timeout;

use crate::stage::pipeline::{Findings, Progress, Resume};
use crate::stage::refusal::{AUTH_UNAVAILABLE, BAD_HANDSHAKE, NO_ROUTE, TOKEN_MISSING, Verdict};
use crate::stage::{AskedFor, Asks, Client, Peer, Pipeline, Refusal};
use crate::wire::upgrade::{Upgrade, names_websocket};

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

/// Whether a request that was read is an ordinary one, to a route that passes those on.
pub fn asks_for_answer(gateway: &Gateway, peer: &Peer, parts: &Parts) -> bool {
    let Ok(target) = Target::of(parts) else { return false };
    gateway.route(&peer.listener, &target.host, &target.path).is_some_and(|(route, _)| asks(route, parts) != Asks::Upgrade)
}

/// What a request asks for of a route.
fn asks(route: &Route, parts: &Parts) -> Asks {
    let is_tunnel = parts.method == Method::CONNECT || parts.method == Method::TRACE;
    match &route.http {
        Some(_) if is_tunnel || names_websocket(&parts.headers) => Asks::Upgrade,
        Some(http) if http.preflight && is_preflight(&parts.method, &parts.headers) => Asks::Leave,
        Some(_) => Asks::Answer,
        None => Asks::Upgrade,
    }
}

/// Whether a browser asks for leave (Fetch, CORS-preflight request).
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The address is known of a client that asks for an answer, and may have been known before.
///
/// # Errors
/// As with [`greet`].
pub fn greet_again(listener: &Listener, peer: &Peer, findings: &mut Findings) -> Result<(), Box<Refusal>> {
    listener.pipeline.revisit(peer, findings)
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
            None if entry.client.as_ref().is_some_and(|client| client.asks != Asks::Upgrade) => route.pipeline.revisit(peer, findings),
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
    let asks = asks(route, &parts);
    let (upgrade, verdict) = match Upgrade::check(&parts, route.compression) {
        _ if route.endpoint.is_health() || asks != Asks::Upgrade => (None, Ok(())),
        Ok(upgrade) => (Some(upgrade), Ok(())),
        Err(refusal) => (None, Err(refusal)),
    };
    let client = Client {
        id,
        peer: peer.clone(),
        route: route.name.clone(),
        asked: AskedFor::new(&asked.host, &asked.path, request::origin(&parts).as_deref()),
        port: asked.port,
        asks,
        method: parts.method.clone(),
        subprotocol: None,
        params,
        identities: Default::default(),
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
        Progress::FirstMessage(..) if client.asks != Asks::Upgrade => {
            Err(Box::new(Refusal::new(TOKEN_MISSING).rule("an ordinary request has no first message")))
        }
        progress => Ok(progress),
    }
}
