//! The second half of a handshake: the endpoint is opened, the client is answered 101, the session begins.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::endpoint::Endpoint;
use crate::endpoint::upstream::{Facts, News, Opened, REST, Refused, Upstream};
use crate::gateway::request;
use crate::gateway::route::Route;
use crate::observe::Observer;
use crate::observe::event::Event;
use crate::stage::client::ForwardFirst;
use crate::stage::holders::Holder;
use crate::stage::refusal::{CLIENT_LOST, Outcome, SHUTTING_DOWN, UPSTREAM_BAD_HANDSHAKE, UPSTREAM_DECLINED};
use crate::stage::ticket::{self, Issued};
use crate::stage::{Client, Refusal};
use crate::wire::answers;
use crate::wire::extensions::Deflate;
use crate::wire::h2::request::Extended;
use crate::wire::leg::Leg;
use crate::wire::relay::Relay;
use crate::wire::session::Settings;
use crate::wire::stream::Socket;
use crate::wire::terminal::Terminal;

use super::door::LINGER;
use super::judge::Judged;
use super::live::{Kept, Live};
use super::policy::Policy;
use super::recheck::is_refused;
use super::registry::{Record, Settled};
use super::reload::{Haste, settle};
use super::task::Established;
use super::tickets::Enrolled;
use super::visit::{Stop, Visit, refused};
use super::way::Way;

/// A backend, or nobody, for a route that answers itself.
pub(super) type Backend = Option<(Leg<Socket>, Agreed)>;

/// What the backend's 101 brings to the client's.
#[derive(Default)]
pub(super) struct Agreed {
    subprotocol: Option<HeaderValue>,
    deflate: Option<Deflate>,
    headers: HeaderMap,
}

impl Visit {
    /// The client may come in: a backend is asked in its place.
    pub(super) async fn open_upstream(&mut self, upstream: &Upstream, route: &Route) -> Result<(Leg<Socket>, Agreed), Stop> {
        let way_header = self.way_header();
        let (Some(terms), Some(client)) = (&self.terms, &mut self.client) else { return Err(Stop::Gone) };
        let extra: Vec<_> = claims(client, route).into_iter().chain(way_header).collect();
        let user: Option<Box<str>> = client.user().map(Into::into);
        let Some(request) = &mut client.request else { return Err(Stop::Gone) };
        let is_extended = request.extensions.get::<Extended>().is_some();
        let target = request::sent(client.asked.path(), request);
        request::limit_subprotocols(&mut request.headers, route.subprotocols.as_deref());
        let (ip, user) = (self.peer.ip, user.as_deref());
        let Way { ends, hops, secure } = &self.way;
        let facts = Facts { ip, hops, ends: *ends, user, secure: *secure, target: &target, offer: &terms.upgrade.offer, extra: &extra };
        let mut news = Vec::new();
        let opened = self.door.meanwhile(upstream.open(request, &facts, &mut news)).await;
        news.iter().for_each(|news| report(news, client, self.worker.observer()));
        let opened = opened?.map_err(|no| match no {
            Refused::Gateway(refusal) => Stop::Refused(refusal),
            Refused::Backend(server, response) => {
                let rule = format!("{server}: answered {}", response.status());
                if is_extended && response.status().is_success() {
                    // To a CONNECT that is a yes, and the page behind it would be read as frames (RFC 9110 §9.3.6).
                    return refused(Refusal::new(UPSTREAM_BAD_HANDSHAKE).rule(rule));
                }
                Stop::Declined(Box::new(Refusal::new(UPSTREAM_DECLINED).rule(rule)), response)
            }
        })?;
        let Opened { stream, early, server, lease, subprotocol, extensions, headers } = opened;
        let leg = Leg::new(stream, early);
        let subprotocol = subprotocol.or_else(|| client.request.as_deref().and_then(request::promised));
        if self.door.leg().is_some() && subprotocol != terms.subprotocol {
            let rule = format!("{server}: another subprotocol than the client was promised");
            self.dismiss(leg, &UPSTREAM_BAD_HANDSHAKE);
            return Err(refused(Refusal::new(UPSTREAM_BAD_HANDSHAKE).rule(rule)));
        }
        self.holdings.lease = Some(lease);
        Ok((leg, Agreed { subprotocol, deflate: extensions, headers }))
    }

    /// A backend has upgraded for a client that does not come in: it is sent a Close, beside whatever the client is told.
    fn dismiss(&self, backend: Leg<Socket>, outcome: &Outcome) {
        if let Some(courtesy) = self.worker.courtesy.enter() {
            let code = outcome.upstream_code;
            tokio::spawn(async move {
                backend.dismiss(code, LINGER).await;
                drop(courtesy);
            });
        }
    }

    /// Everything is agreed on: 101, unless it has been said already.
    pub(super) async fn switch(&mut self, backend: Backend) -> Result<Backend, Stop> {
        // Others may have overtaken it while its backend was asked.
        if let Err(refusal) = self.client.as_ref().map_or(Ok(()), |client| client.holdings.verdict()) {
            backend.into_iter().for_each(|(leg, _)| self.dismiss(leg, &refusal.outcome));
            return Err(refusal.into());
        }
        let (Some(terms), Some(client), Some(route)) = (&mut self.terms, &mut self.client, &self.route) else { return Err(Stop::Gone) };
        let is_open = self.door.leg().is_some();
        let (leg, agreed, extensions) = match backend {
            Some((leg, agreed)) => {
                terms.subprotocol = if is_open { terms.subprotocol.take() } else { agreed.subprotocol.clone() };
                let extensions = agreed.deflate.and_then(|deflate| deflate.header());
                (Some(leg), agreed, extensions)
            }
            None if is_open => (None, Agreed::default(), None),
            None => {
                terms.subprotocol = request::settle_subprotocol(client.request.as_deref_mut(), route.promised_subprotocols());
                (None, Agreed::default(), terms.agree())
            }
        };
        let (accept, subprotocol) = (&terms.upgrade.accept, terms.subprotocol.clone());
        let headers = with_ticket(agreed.headers.clone(), client);
        // Whoever reads its 101 may show the ticket at once.
        self.ticket = issued(client).map(|issued| Box::new(Enrolled::announce(&self.worker.shared, issued.ticket, self.id)));
        let switching = || answers::switching(accept, subprotocol, extensions, headers);
        if self.door.open(switching, self.listener.handshake_timeout).await.is_err() {
            leg.into_iter().for_each(|leg| self.dismiss(leg, &CLIENT_LOST));
            return Err(refused(Refusal::new(CLIENT_LOST)));
        }
        Ok(leg.map(|leg| (leg, agreed)))
    }

    /// The door is open: the session begins. What is kept from here on is copied, small and owned.
    pub(super) fn go_live(mut self: Box<Self>, backend: Backend) -> Option<Established> {
        let (mut client, route, terms) = (self.client.take()?, self.route.take()?, self.terms.take()?);
        let leg = self.door.take_leg()?;
        let left = client.request.take().map(|request| request.extensions);
        let is_needed = left.as_ref().is_some_and(|left| left.get::<ForwardFirst>().is_some());
        drop(left);
        let first = client.first_message.take().filter(|_| is_needed);
        self.holdings.slots = client.holdings.take_slots();
        client.subprotocol = terms.subprotocol.as_ref().and_then(|value| value.to_str().ok()).map(Into::into);
        let client = Arc::new(client);
        let policy = Policy { listener: self.listener.clone(), route: route.clone() };
        let (own, codec) = terms.deflate.unzip();
        let agreed = backend.as_ref().map_or(own, |(_, agreed)| agreed.deflate);
        let settings = Settings {
            client: client.clone(),
            limits: route.limits(),
            compression: agreed.is_some(),
            inspectors: policy.inspect(&client, Vec::new()),
            budget: self.gateway.budget.clone(),
        };
        let now = self.worker.wheel.now();
        let observer = self.worker.shared.observer.clone();
        let takeover = agreed.is_some_and(|deflate| deflate.has_takeover());
        let server = self.holdings.lease.as_ref().map(|lease| lease.state().clone());
        let settled = Settled { server, takeover, carrier: self.carrier.take() };
        let mut seat = self.worker.registry.enter(Arc::new(Record::new(client, policy.clone(), settled, observer)));
        seat.ticket = self.ticket.take().inspect(|ticket| ticket.leads_to(&seat.record));
        // It is entered: whoever reads that it is open finds it there.
        let (client, upstream) = (&seat.record.client, seat.record.server().map(|server| &**server));
        let subprotocol = client.subprotocol.as_deref();
        self.worker.observer().report(&Event::Open { client, subprotocol, upstream, handshake: self.began.elapsed() });
        self.catch_up(&seat.record);
        if !seat.record.is_ending() {
            self.holdings.go_live(&(seat.record.clone() as Arc<dyn Holder>));
        }
        let kept = Kept { began: self.began, holdings: self.holdings };
        match (&route.endpoint, backend) {
            (Endpoint::Own(answer), _) => {
                let terminal = Terminal::new(leg, answer.responder(), codec, settings, now);
                Some(Established::Own(Live::new(terminal, policy, seat, self.worker, kept)))
            }
            (Endpoint::Upstream(_), Some((upstream, _))) => {
                let mut relay = Relay::new(leg, upstream, settings, now);
                if let Some(first) = first {
                    relay.begin_with(&first);
                }
                Some(Established::Relay(Live::new(relay, policy, seat, self.worker, kept)))
            }
            (Endpoint::Upstream(_), None) | (Endpoint::Health(_), _) => None,
        }
    }
}

impl Visit {
    /// What began while its backend was asked has not seen it: a drain, an edit, or a look at all whom a key has let in.
    pub(super) fn catch_up(&self, record: &Arc<Record>) {
        if self.worker.is_draining() {
            record.end(Box::new(Refusal::new(SHUTTING_DOWN)));
        }
        let shared = &self.worker.shared;
        let mut seen = self.gateway.clone();
        loop {
            let gateway = shared.gateway.load_full();
            if Arc::ptr_eq(&gateway, &seen) {
                if shared.rechecks.count() != self.rechecks && is_refused(record) {
                    shared.pacer.add(vec![record.clone()], Haste::InTurn, &gateway.reload);
                }
                return;
            }
            if let Judged::Leaves(_, haste) = settle(record, &gateway, self.worker.observer())
                && haste != Haste::AtOnce
            {
                shared.pacer.add(vec![record.clone()], haste, &gateway.reload);
            }
            // Another may have come meanwhile, and have been judged by before this was said.
            seen = gateway;
        }
    }
}

/// What a client is told with its 101, with the ticket that it is given, where it is.
pub(super) fn with_ticket(mut headers: HeaderMap, client: &Client) -> HeaderMap {
    if let Some(given) = issued(client).and_then(|issued| HeaderValue::from_str(issued.given.as_deref()?).ok()) {
        headers.insert(HeaderName::from_static(ticket::HEADER), given);
    }
    headers
}

/// The ticket that a stage has issued, while the request is there.
fn issued(client: &Client) -> Option<&Issued> {
    client.request.as_ref()?.extensions.get::<Issued>()
}

/// Tells of what opening a connection has shown of a server.
pub(super) fn report(news: &News, client: &Client, observer: &Observer) {
    observer.report(&match news {
        News::Failed { server, outcome, detail, is_replaced } => {
            let (connection, route) = (Some(client.id), Some(&*client.route));
            Event::UpstreamFailed { connection, route, server, outcome: *outcome, detail, is_replaced: *is_replaced }
        }
        News::Resting { server } => Event::UpstreamResting { server, rest: REST },
        News::Back { server } => Event::UpstreamBack { server },
    });
}

/// The headers that tell the backend of the client's claims; without a value where the claim is not there, or no header could hold it.
pub(super) fn claims(client: &Client, route: &Route) -> Vec<(HeaderName, Option<HeaderValue>)> {
    let text = |claim: serde_json::Value| match claim {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let value = |claim: &str| HeaderValue::from_str(&text(client.claim(claim)?)).ok();
    route.forward_claims.iter().map(|(header, claim)| (header.clone(), value(claim))).collect()
}
