//! The conductor: one connection from accept to 101 and into its session, top to bottom.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::request::Parts;
use tokio::io::AsyncRead;
use tokio::time::{Instant as Moment, timeout, timeout_at};

use crate::endpoint::Endpoint;
use crate::endpoint::health::Health;
use crate::gateway::admission::{self, Against};
use crate::gateway::request;
use crate::gateway::route::Route;
use crate::observe::event::{Event, Told};
use crate::stage::pipeline::{self, Progress, Resume};
use crate::stage::refusal::{AUTH_TIMEOUT, CLIENT_LOST, HANDSHAKE_TIMEOUT, METHOD_NOT_ALLOWED, OVERLOADED, SHUTTING_DOWN};
use crate::stage::slots::Slots;
use crate::stage::{Asks, Client, FirstMessage, Pipeline, Refusal};
use crate::wire::extensions::Offer;
use crate::wire::first_message::{NoMessage, first_message};
use crate::wire::h2::request::Extended;
use crate::wire::head::{Head, Reader, Unread};
use crate::wire::stream::Socket;
use crate::wire::{answers, handshake};

use super::door::Door;
use super::opening::{Backend, with_ticket};
use super::redeem;
use super::task::Established;
use super::visit::{Stop, Terms, Visit, refused};
use super::worker::{Accepted, Load};

/// Conducts a connection until it is live or turned away.
pub(super) async fn conduct(worker: Load, accepted: Accepted) -> Option<Established> {
    let Accepted { socket, peer, listener, gateway } = accepted;
    let Ok(socket) = socket.settle().map(Socket::Plain) else { return None };
    let door = if listener.tls.is_some() { Door::Sealed(socket) } else { Door::Unread(socket) };
    let mut visit = Box::new(Visit::new(worker, (gateway, listener), peer, door));
    match visit.admit().await {
        Ok(Arrival::Many(early)) => {
            visit.report_findings();
            // Apart, or every connection would be as large as those few.
            Box::pin(visit.multiplex(early)).await;
            None
        }
        Ok(Arrival::One(admitted)) => visit.proceed(Ok(admitted)).await,
        Err(stop) => visit.proceed(Err(stop)).await,
    }
}

/// A limit that is met, and what a probe is told of it.
type Limit = (&'static str, &'static str);

/// A client that may come in.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and most clients come for the larger one")]
pub(super) enum Admitted {
    /// It has its 101.
    Live(Backend),
    /// It asks for an answer, which its backend has not been asked for.
    Plain,
}

/// A connection that may come in.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and most connections are of the larger one")]
enum Arrival {
    /// It is that of one client.
    One(Admitted),
    /// It is one of HTTP/2, of which this is read.
    Many(Vec<u8>),
}

impl Visit {
    /// Goes on with what it was let in for.
    pub(super) async fn proceed(mut self: Box<Self>, admitted: Result<Admitted, Stop>) -> Option<Established> {
        self.report_findings();
        // Apart, or every connection would be as large as those few.
        match admitted {
            Ok(Admitted::Live(backend)) => self.go_live(backend),
            Ok(Admitted::Plain) => Box::pin(self.serve()).await,
            Err(stop) => {
                Box::pin(self.turn_away(stop)).await;
                None
            }
        }
    }

    async fn admit(&mut self) -> Result<Arrival, Stop> {
        self.against.full = self.take_slots()?;
        let early = self.read_proxy_header().await?;
        if self.listener.proxies_at(self.peer.ip).is_none() {
            self.against.unwelcome = admission::greet(&self.listener, &self.peer, &mut self.findings)?;
            self.greeted = Some(self.listener.clone());
        }
        let early = self.begin_tls(early).await?;
        if self.door.unread().is_some_and(|socket| socket.is_for_h2()) {
            return Ok(Arrival::Many(early));
        }
        match self.read_request(early).await {
            // Within TLS it would have been agreed on before.
            Err(Stop::Preface(_, early)) if self.listener.http2 && self.peer.tls.is_none() => Ok(Arrival::Many(early)),
            parts => self.come_in(parts?).await.map(Arrival::One),
        }
    }

    /// The request is read. What its peer was greeted with when it connected may not be in force any more.
    pub(super) async fn come_in(&mut self, parts: Parts) -> Result<Admitted, Stop> {
        let mut against = mem::take(&mut self.against);
        let greeted = self.greeted.take().filter(|_| self.listener.proxies_at(self.peer.ip).is_none());
        self.believe(&parts.headers)?;
        match greeted {
            Some(listener) if Arc::ptr_eq(&listener, &self.listener) => {}
            // It has been counted.
            Some(_) => against.unwelcome = admission::greet_again(&self.listener, &self.peer, &mut self.findings).err(),
            None => against.unwelcome = self.greet(&parts).unwrap_or_else(Some),
        }
        self.welcome(parts, against).await
    }

    /// The address of whoever makes this request is known, and its connection was let in before.
    fn greet(&mut self, parts: &Parts) -> Result<Option<Box<Refusal>>, Box<Refusal>> {
        if admission::asks_for_answer(&self.gateway, &self.peer, parts) {
            return admission::greet_again(&self.listener, &self.peer, &mut self.findings).map(|()| None);
        }
        admission::greet(&self.listener, &self.peer, &mut self.findings)
    }

    /// The request is read: it is routed and judged, and answered where it asks for an upgrade.
    async fn welcome(&mut self, parts: Parts, against: Against) -> Result<Admitted, Stop> {
        if redeem::is_asked(&self.gateway, &self.listener.name, &parts) {
            return Err(Box::pin(self.redeem(parts, against)).await);
        }
        let route = self.enter(parts, against)?;
        // What it has shown in its TLS handshake may have been enough for another listener than the one in force.
        self.client.as_ref().map_or(Ok(()), |client| self.listener.review(client, SystemTime::now()))?;
        self.rechecks = self.worker.shared.rechecks.count();
        self.judge(&self.listener.clone().pipeline).await?;
        let is_plain = self.client.as_ref().is_some_and(|client| client.asks != Asks::Upgrade);
        if let Some(requests) = route.http.as_ref().and_then(|http| http.requests.as_ref()).filter(|_| is_plain) {
            requests.count(&self.peer)?;
        }
        self.judge(&route.pipeline).await?;
        let backend = match &route.endpoint {
            Endpoint::Health(health) => return Err(self.answer_probe(health)),
            _ if self.worker.is_draining() => return Err(refused(Refusal::new(SHUTTING_DOWN))),
            Endpoint::Upstream(_) if is_plain => {
                self.take_connection_for_stream()?;
                return Ok(Admitted::Plain);
            }
            Endpoint::Own(_) => None,
            Endpoint::Upstream(upstream) => {
                self.keep_slots()?;
                Some(self.open_upstream(upstream, &route).await?)
            }
        };
        self.switch(backend).await.map(Admitted::Live)
    }

    /// Others may have overtaken it while somebody was asked about it.
    pub(super) fn keep_slots(&self) -> Result<(), Stop> {
        Ok(self.client.as_ref().map_or(Ok(()), |client| client.holdings.verdict())?)
    }

    /// The socket is accepted: is there room for it? One too many may be a probe, which is answered all the same: a supervisor would
    /// end a gateway that is merely full. So it is read in one of few spare places before it is refused.
    fn take_slots(&mut self) -> Result<Option<Box<Refusal>>, Stop> {
        let Err(limit) = self.take_places(true) else { return Ok(None) };
        let full = self.overload(limit);
        match self.worker.spare.enter() {
            Some(place) => self.spare_place = Some(place),
            None => return Err(full.into()),
        }
        Ok(Some(full))
    }

    /// There is no room for it: what it is refused with, unless it is a probe, and what that is told.
    pub(super) fn overload(&mut self, (limit, unready): Limit) -> Box<Refusal> {
        self.spare = Some(unready);
        Box::new(Refusal::new(OVERLOADED).rule(limit))
    }

    /// Takes its place among handshakes and, where it is a connection, among those; gives the limit where one is not free.
    pub(super) fn take_places(&mut self, is_connection: bool) -> Result<(), Limit> {
        self.handshake = Some(self.gateway.handshakes.enter().ok_or(("max_handshakes", "no room: at max_handshakes"))?);
        if is_connection { self.take_connection() } else { Ok(()) }
    }

    fn take_connection(&mut self) -> Result<(), Limit> {
        let enter = |slots: &Arc<Slots>| slots.enter().ok_or(("max_connections", "no room: at max_connections"));
        self.holdings.places = Some([enter(&self.gateway.slots)?, enter(&self.listener.slots)?]);
        Ok(())
    }

    /// An ordinary request over a stream is about to get a connection to a server: the limit is one of those, too.
    fn take_connection_for_stream(&mut self) -> Result<(), Stop> {
        if self.peer.http2 {
            self.take_connection().map_err(|(limit, _)| refused(Refusal::new(OVERLOADED).rule(limit)))?;
        }
        Ok(())
    }

    /// The head, of which `early` is read already, is read, bounded and under its deadline, checked raw, and parsed.
    pub(super) async fn read_request(&mut self, early: Vec<u8>) -> Result<Parts, Stop> {
        let Some(socket) = self.door.unread() else { return Err(Stop::Gone) };
        let mut reader = Reader::begin_with(self.listener.head, early);
        let deadline = Moment::from_std(self.began) + self.listener.handshake_timeout;
        let head = match read_head(&mut reader, socket, deadline, self.worker.drain_begins()).await {
            Some(Ok(head)) => head,
            Some(Err(Unread::Refused(refusal))) => {
                return Err(match reader.into_preface() {
                    Some(early) => Stop::Preface(refusal, early),
                    None => refusal.into(),
                });
            }
            Some(Err(Unread::Nothing | Unread::Cut)) => return Err(Stop::Gone),
            None if reader.is_empty() => return Err(Stop::Gone),
            None => return Err(refused(Refusal::new(HANDSHAKE_TIMEOUT))),
        };
        let Some(socket) = self.door.take_unread() else { return Err(Stop::Gone) };
        let (parts, exchange) = handshake::receive(socket, head).map_err(|_| Stop::Gone)?;
        self.door = Door::Asked(Box::new(exchange));
        Ok(parts)
    }

    /// The request is read, and what it comes to kept.
    fn enter(&mut self, parts: Parts, against: Against) -> Result<Arc<Route>, Stop> {
        let entry = admission::enter(&self.gateway, (&self.peer, self.id), parts, against, &mut self.findings);
        self.asked = Some(entry.asked);
        self.route = entry.route.clone();
        self.client = entry.client.map(|client| match client.asks {
            Asks::Upgrade => Client { counters: self.worker.counters(&client.route), ..client },
            // What ordinary requests carry are no messages.
            Asks::Answer | Asks::Leave => client,
        });
        self.terms = entry.upgrade.map(Terms::new);
        entry.verdict?;
        entry.route.ok_or(Stop::Gone)
    }

    /// The stages judge; one that asks for the first message is asked again with it.
    async fn judge(&mut self, pipeline: &Pipeline) -> Result<(), Stop> {
        let mut from = Resume::default();
        loop {
            let (Some(client), Some(route)) = (&mut self.client, &self.route) else { return Err(Stop::Gone) };
            let is_upgrade = client.asks == Asks::Upgrade;
            let judged = admission::judge((&self.listener, route), pipeline, from, client, &mut self.findings);
            let judged = if is_upgrade { self.door.meanwhile(judged).await? } else { judged.await };
            match judged? {
                Progress::Done => return Ok(()),
                Progress::FirstMessage(wanted, resume) => {
                    self.take_first_message(wanted).await?;
                    from = resume;
                }
            }
        }
    }

    /// A probe has passed every stage: it gets its answer and no more.
    fn answer_probe(&self, health: &Health) -> Stop {
        let Some(request) = self.client.as_ref().and_then(|client| client.request.as_deref()) else { return Stop::Gone };
        let path = self.asked.as_ref().map_or("", |asked| &asked.path);
        let unready = match self.worker.is_stopping() {
            true => Some("draining"),
            false => self.spare,
        };
        // A CONNECT that is answered 200 is open, and no probe.
        if request.extensions.get::<Extended>().is_some() {
            return refused(Refusal::new(METHOD_NOT_ALLOWED));
        }
        health.answer(&request.method, path, unready).map_or_else(Stop::Refused, |answer| Stop::Answered(Box::new(answer)))
    }

    /// Answers 101, before any backend has been asked, and reads one message.
    async fn take_first_message(&mut self, wanted: FirstMessage) -> Result<(), Stop> {
        let (Some(terms), Some(client), Some(route)) = (&mut self.terms, &mut self.client, &self.route) else { return Err(Stop::Gone) };
        let extensions = match &route.endpoint {
            Endpoint::Own(_) => terms.agree(),
            // No backend has agreed to a compression yet, and the client must not begin to use one.
            Endpoint::Upstream(_) | Endpoint::Health(_) => {
                terms.upgrade.offer = Offer::default();
                None
            }
        };
        terms.subprotocol = request::settle_subprotocol(client.request.as_deref_mut(), route.promised_subprotocols());
        let (accept, subprotocol) = (&terms.upgrade.accept, terms.subprotocol.clone());
        let headers = with_ticket(HeaderMap::new(), client);
        let switching = || answers::switching(accept, subprotocol, extensions, headers);
        self.door.open(switching, self.listener.handshake_timeout).await.map_err(|_| refused(Refusal::new(CLIENT_LOST)))?;
        let Some(leg) = self.door.leg() else { return Err(Stop::Gone) };
        let inflater = terms.deflate.as_mut().map(|(_, codec)| &mut codec.inflater);
        let message = timeout(wanted.timeout, first_message(leg, wanted.max, inflater, self.worker.wheel.now())).await;
        match message.map_err(|_| refused(Refusal::new(AUTH_TIMEOUT)))? {
            Ok(message) => client.first_message = Some(Box::new(message)),
            Err(NoMessage::Refused(refusal)) => return Err(refusal.into()),
            Err(NoMessage::Ended(ending)) => {
                self.door = Door::Gone;
                return Err(refused(Refusal::new(ending.outcome)));
            }
        }
        Ok(())
    }

    /// The one place where a connection that does not become live is answered and logged.
    pub(super) async fn turn_away(mut self: Box<Self>, stop: Stop) {
        // From here on it takes nobody's place: what bounds those who are shown out is the courtesy below.
        self.holdings.release();
        (self.handshake, self.spare_place) = (None, None);
        self.ticket = None;
        let within = self.listener.handshake_timeout;
        // It will not become live: its slots are free before it has been told so.
        drop(self.client.as_mut().map(|client| client.holdings.take_slots()));
        let (mut refusal, answer) = match stop {
            Stop::Gone => return,
            Stop::Answered(answer) => {
                let Some(_courtesy) = self.worker.courtesy.enter() else { return };
                return self.door.answer(Vec::new, || *answer, within).await;
            }
            Stop::Declined(refusal, answer) => (refusal, Some(answer)),
            Stop::Refused(refusal) | Stop::Preface(refusal, _) => (refusal, None),
        };
        let route = self.route.as_ref();
        pipeline::tell(&self.listener.pipeline, route.map(|route| &route.pipeline), self.client(), &mut refusal);
        if refusal.is_told_by_close() {
            self.open_to_close(within).await;
        }
        // Behind a 101 no answer of a backend's own can be passed on.
        let answer = answer.filter(|_| self.door.leg().is_none());
        let courtesy = self.worker.courtesy.enter();
        let told = match &answer {
            _ if courtesy.is_none() => Told::Nothing,
            Some(answer) => Told::Status(answer.status().as_u16()),
            None => self.door.tells(&refusal),
        };
        let duration = self.began.elapsed();
        self.worker.observer().report(&Event::Refused { attempt: self.attempt(), refusal: &refusal, told, duration });
        let Some(_courtesy) = courtesy else { return };
        if let Some(answer) = answer {
            return self.door.answer(Vec::new, || *answer, within).await;
        }
        let close = self.route.as_ref().map_or(within, |route| route.times.close);
        self.door.refuse(refusal, self.client, &self.worker, within, close).await;
    }

    /// Answers 101 to a client that is refused, so that it can be told in a Close frame: a browser cannot read anything else.
    async fn open_to_close(&mut self, within: Duration) {
        let (Some(terms), Some(route)) = (&self.terms, &self.route) else { return };
        let offered = self.client.as_mut().and_then(|client| client.request.as_deref_mut());
        let subprotocol = request::settle_subprotocol(offered, route.subprotocols.as_deref());
        let switching = || answers::switching(&terms.upgrade.accept, subprotocol, None, HeaderMap::new());
        // Where it has gone, it is told nothing.
        _ = self.door.open(switching, within).await;
    }
}

/// Reads a head, where it comes by the deadline. Who has not begun to ask when a drain begins is not waited for.
async fn read_head<S: AsyncRead + Unpin>(
    reader: &mut Reader,
    socket: &mut S,
    deadline: Moment,
    drain: impl Future<Output = ()>,
) -> Option<Result<Head, Unread>> {
    tokio::select! {
        biased;
        read = timeout_at(deadline, reader.read(socket)) => return read.ok(),
        () = drain => {}
    }
    if reader.is_empty() { None } else { timeout_at(deadline, reader.read(socket)).await.ok() }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    use crate::wire::head::Limits;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_under_way_when_a_drain_begins_has_no_more_time_for_it() {
        const WITHIN: Duration = Duration::from_secs(10);
        for (sent, ends_after) in [(&b""[..], WITHIN / 2), (b"GET / HT", WITHIN)] {
            let (mut ours, mut theirs) = tokio::io::duplex(64);
            theirs.write_all(sent).await.unwrap();
            let began = Moment::now();
            let mut reader = Reader::new(Limits::new(1024, 10));
            assert!(read_head(&mut reader, &mut ours, began + WITHIN, sleep(WITHIN / 2)).await.is_none());
            assert_eq!((reader.is_empty(), began.elapsed()), (sent.is_empty(), ends_after));
        }
    }
}
