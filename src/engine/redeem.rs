//! Out of band: a request that shows a connection's ticket and a newer token.
//!
//! It is answered here and now, on a connection of its own, and its connection closes with the answer. No cookie is looked at, so a page
//! that may ask learns and does nothing that it could not without a browser; and it may renew only what it has opened itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::secret::Secret;
use crate::gateway::Gateway;
use crate::gateway::admission::Against;
use crate::gateway::request::{self, Target};
use crate::observe::event::{Event, Shown};
use crate::stage::refusal::{AUTH_UNAVAILABLE, METHOD_NOT_ALLOWED, ORIGIN_DENIED, RATE_LIMITED, TICKET_UNKNOWN, TOKEN_MISSING, Verdict};
use crate::stage::ticket::{self, Ticket};
use crate::stage::{Refusal, pipeline};
use crate::wire::answers;
use crate::wire::fields::only;

use super::registry::Record;
use super::renewing::{Delivery, prove};
use super::visit::{Stop, Visit};

/// What the path takes.
const METHODS: &str = "POST, OPTIONS";
/// When to come again where another has come first.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a browser may keep what it was told of that, in seconds.
const MAX_AGE: &str = "600";

/// Whether a request that was read asks for this.
pub(super) fn is_asked(gateway: &Gateway, listener: &str, parts: &Parts) -> bool {
    gateway.renews_at(listener, parts.uri.path())
}

impl Visit {
    /// Does what it asks for; this is the answer.
    pub(super) async fn redeem(&mut self, parts: Parts, against: Against) -> Stop {
        self.asked = Target::of(&parts).ok();
        let origin = parts.headers.get(ORIGIN).cloned();
        // One too many is answered all the same, as a probe is: the connection that it means has its place already.
        let answered = match against.unwelcome {
            Some(refusal) => Err(refusal),
            None => self.do_as_asked(&parts).await,
        };
        match answered {
            Ok(()) => Stop::Answered(Box::new(allowed(done(), origin))),
            Err(refusal) => {
                let mut answer = allowed(answers::refusal(&refusal), origin);
                if refusal.outcome.id == METHOD_NOT_ALLOWED.id {
                    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
                }
                Stop::Declined(refusal, Box::new(answer))
            }
        }
    }

    async fn do_as_asked(&self, parts: &Parts) -> Verdict {
        let is_preflight = parts.headers.contains_key(ORIGIN) && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        match parts.method {
            Method::OPTIONS if is_preflight => Ok(()),
            Method::POST => self.renew_live(parts).await,
            _ => Err(self.told(ticket::only_post())),
        }
    }

    /// Renews the connection that this request means, by whose own stages a refusal is told.
    async fn renew_live(&self, parts: &Parts) -> Verdict {
        let record = self.find(parts).await.map_err(|refusal| self.told(refusal))?;
        self.renew_found(&record, parts).await.map_err(|mut refusal| {
            record.policy().tell(&record.client, &mut refusal);
            refusal
        })
    }

    /// A refusal as the listener tells it, where there is nobody else to.
    fn told(&self, mut refusal: Box<Refusal>) -> Box<Refusal> {
        pipeline::tell(&self.listener.pipeline, None, None, &mut refusal);
        refusal
    }

    async fn renew_found(&self, record: &Record, parts: &Parts) -> Verdict {
        let client = &record.client;
        if let Some(origin) = request::origin(parts)
            && !client.origin().is_some_and(|own| own.eq_ignore_ascii_case(&origin))
        {
            return Err(Box::new(Refusal::new(ORIGIN_DENIED).rule("a renewal by another page than has opened the connection")));
        }
        let credential = bearer(&parts.headers)?;
        let policy = record.policy();
        let step = policy.renewing(client).find(|renewing| renewing.renewal.takes_tickets()).map(|renewing| renewing.step.clone());
        let step = step.ok_or_else(|| unknown("nothing of this connection is renewed by tickets"))?;
        let (stage, within) = (step.name.clone(), self.listener.handshake_timeout);
        let identity = prove(step, client.clone(), credential, within).await.inspect_err(|refusal| {
            self.worker.observer().report(&Event::RenewalRefused { client, how: Shown::Ticket, refusal });
        })?;
        let (answer, answered) = oneshot::channel();
        if !record.deliver(Delivery { stage, identity, answer }) {
            return Err(limited("another renewal of it is under way", AGAIN));
        }
        // The connection's own thread judges it, where it is judged by everything else.
        match timeout(within, answered).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Err(unknown("it has ended")),
            Err(_) => Err(Box::new(Refusal::new(AUTH_UNAVAILABLE).rule("the connection has not taken it up"))),
        }
    }

    /// The connection of this listener that has the ticket.
    async fn find(&self, parts: &Parts) -> Result<Arc<Record>, Box<Refusal>> {
        let shown = only(&parts.headers, &HeaderName::from_static(ticket::HEADER)).and_then(|shown| str::from_utf8(shown).ok());
        let shown = shown.ok_or_else(|| unknown("no ticket is shown"))?;
        let ticket = Ticket::read(shown).map_err(unknown)?;
        let is_here = |record: &Record| record.client.peer.listener == self.listener.name && !record.is_ending();
        match self.worker.shared.tickets.spend(ticket, is_here).await {
            Some((record, spent)) => spent.map(|()| record).map_err(|wait| limited("renewals", wait)),
            None => Err(unknown("no connection has this ticket")),
        }
    }
}

fn unknown(why: &'static str) -> Box<Refusal> {
    Box::new(Refusal::new(TICKET_UNKNOWN).rule(why))
}

fn limited(rule: &'static str, wait: Duration) -> Box<Refusal> {
    Box::new(Refusal { retry_after: Some(wait), ..Refusal::new(RATE_LIMITED).rule(rule) })
}

/// The token, in the one place it may stand here.
fn bearer(headers: &HeaderMap) -> Result<Secret, Box<Refusal>> {
    let missing = || Box::new(Refusal::new(TOKEN_MISSING).rule("a renewal has its token as `Authorization: Bearer`"));
    let line = only(headers, &AUTHORIZATION).and_then(|line| str::from_utf8(line).ok()).ok_or_else(missing)?;
    let (scheme, token) = line.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Secret::new(token.trim())) } else { Err(missing()) }
}

fn done() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Whoever asks may read the answer.
fn allowed(mut response: Response<Bytes>, origin: Option<HeaderValue>) -> Response<Bytes> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, x-wsgate-ticket"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}
