//! One ordinary request, from the moment it is let in to the end of its answer.

use std::pin::pin;
use std::sync::Arc;

use http::Method;
use tokio::io::split;

use crate::endpoint::Endpoint;
use crate::endpoint::upstream::Facts;
use crate::endpoint::upstream::ask::{Asked, Asking};
use crate::gateway::request;
use crate::gateway::route::Route;
use crate::observe::Observer;
use crate::stage::Refusal;
use crate::stage::holders::Holder;
use crate::wire::extensions::Offer;
use crate::wire::handshake::Exchange;
use crate::wire::http::framing::Framing;
use crate::wire::http::pass::{Answers, Gives};
use crate::wire::http::sink::Sink;
use crate::wire::http::source::Source;
use crate::wire::socket::reset;
use crate::wire::stream::{Socket, Stream};

use super::door::Door;
use super::opening::{claims, report};
use super::passing::{Request, Server, lost, too_large};
use super::policy::Policy;
use super::progress::Progress;
use super::registry::{Record, Seat, Settled};
use super::vigil::Vigil;
use super::visit::{Stop, Visit};
use super::way::Way;

/// What is left of a connection when an answer has ended.
pub(super) enum Over {
    /// It waits for the next request, of which these bytes are read already.
    Kept(Socket, Vec<u8>),
    /// It ends, as the client has been told, or is a stream over which a body still comes.
    Closes(Socket),
    /// It was a stream for this request alone, and has ended with it.
    Answered,
    /// It was cut off.
    Cut,
}

impl Visit {
    /// Passes a request that was let in to a server, and the answer to the client.
    ///
    /// # Errors
    /// Why the client has to be told something else, which it still can be.
    pub(super) async fn answer_in_full(&mut self) -> Result<Over, Stop> {
        let (Some(client), Some(route)) = (&mut self.client, self.route.clone()) else { return Err(Stop::Gone) };
        let (Endpoint::Upstream(upstream), Some(http)) = (&route.endpoint, &route.http) else { return Err(Stop::Gone) };
        let Some(parts) = client.request.take() else { return Err(Stop::Gone) };
        let body = parts.extensions.get().copied().unwrap_or(Framing::Nothing);
        if matches!(body, Framing::Length(length) if length > http.max_body) {
            return Err(too_large(http).into());
        }
        self.keep_slots()?;
        let Door::Asked(exchange) = std::mem::replace(&mut self.door, Door::Gone) else { return Err(Stop::Gone) };
        let (socket, early) = exchange.into_parts();

        let way_header = self.way_header();
        let seat = self.take_seat(&route)?;
        let client = seat.record.client.clone();
        let extra: Vec<_> = claims(&client, &route).into_iter().chain(way_header).collect();
        let progress = Progress::new(body.has_body());
        let request =
            Request { parts: &parts, body, http, upstream, client: &client, extra: &extra, progress: &progress, secure: self.way.secure };
        let over = self.carry(&request, &seat, (socket, early)).await;
        // In this order: who reads of its end may count on its slots.
        drop(seat);
        self.holdings.slots = Box::default();
        let server = self.holdings.lease.take().map(|lease| lease.state().server().clone());
        let (method, status) = (parts.method.as_str(), progress.status());
        match over {
            Ok(over) => {
                self.report_request(method, status, None, server.as_deref());
                Ok(over)
            }
            Err((refusal, socket)) if progress.can_answer() && refusal.outcome.status.is_some() => {
                self.door = Door::Asked(Box::new(Exchange::resumed(socket, Vec::new(), parts.method == Method::HEAD)));
                Err(refusal.into())
            }
            Err((refusal, socket)) => {
                if progress.ends_with_connection() {
                    // To whoever takes the end of the connection for that of the answer, a FIN would be both.
                    socket.tcp().into_iter().for_each(reset);
                }
                self.report_request(method, status, Some(&refusal), server.as_deref());
                Ok(Over::Cut)
            }
        }
    }

    /// From here on others see the request, and may end it.
    fn take_seat(&mut self, route: &Arc<Route>) -> Result<Seat, Stop> {
        let Some(mut client) = self.client.take() else { return Err(Stop::Gone) };
        self.holdings.slots = client.holdings.take_slots();
        let client = Arc::new(client);
        self.shared = Some(client.clone());
        let policy = Policy { listener: self.listener.clone(), route: route.clone() };
        let observer = self.worker.shared.observer.clone();
        let seat = self.worker.registry.enter(Arc::new(Record::new(client, policy, Settled::default(), observer)));
        self.catch_up(&seat.record);
        if !seat.record.is_ending() {
            self.holdings.go_live(&(seat.record.clone() as Arc<dyn Holder>));
        }
        Ok(seat)
    }

    /// Asks a server and passes everything on. Gives the client's socket back with the refusal, should there be something to tell.
    async fn carry(
        &mut self,
        request: &Request<'_>,
        seat: &Seat,
        (socket, early): (Socket, Vec<u8>),
    ) -> Result<Over, (Box<Refusal>, Socket)> {
        let mut socket = match socket {
            Socket::Stream(mut stream) => {
                let (body, answer) = stream.halves();
                let passed = self.pass_on(request, seat, body, answer).await;
                let is_sent_a_body = stream.is_sent_a_body();
                let socket = Socket::Stream(stream);
                return match passed {
                    Ok(_) if is_sent_a_body => Ok(Over::Closes(socket)),
                    Ok(_) => Ok(Over::Answered),
                    Err(refusal) => Err((refusal, socket)),
                };
            }
            socket => socket,
        };
        let (read, write) = split(&mut socket);
        let mut source = Source::new(read, &early);
        let passed = self.pass_on(request, seat, &mut source, Sink::new(write, Framing::Nothing)).await;
        let early = source.into_rest();
        match passed {
            Ok(true) => Ok(Over::Kept(socket, early)),
            Ok(false) => Ok(Over::Closes(socket)),
            Err(refusal) => Err((refusal, socket)),
        }
    }

    /// The same, to and from the two halves of the client's connection; says whether that may go on.
    async fn pass_on(
        &mut self,
        request: &Request<'_>,
        seat: &Seat,
        mut body: impl Gives,
        answer: impl Answers,
    ) -> Result<bool, Box<Refusal>> {
        let (record, progress, worker) = (&*seat.record, request.progress, self.worker.clone());
        let observer = worker.observer();
        let vigil = Vigil { record, progress, observer, policy: record.policy(), began: self.began.into() };
        let mut vigil = pin!(vigil.keep());
        let asked = tokio::select! {
            biased;
            refusal = vigil.as_mut() => Err(refusal),
            asked = self.ask(request, observer) => asked,
            () = body.is_left() => Err(lost()),
        };
        let Asked { mut stream, first, early, server, lease, mark } = asked?;
        self.holdings.lease = Some(lease);
        let server = Server { name: &server, mark: &mark, observer, may_go_on: &|| self.may_go_on() };
        let (from_server, to_server) = split(&mut stream);
        let mut answers = Source::new(from_server, &early);
        let done = tokio::select! {
            biased;
            refusal = vigil.as_mut() => Err(refusal),
            refusal = request.send(&mut body, Sink::new(to_server, request.body), &server) => Err(refusal),
            done = request.receive(first, &mut answers, answer, &server) => done,
        }?;
        let has_rest = !answers.into_rest().is_empty();
        if let Some(lasts) = done.keeps_server.filter(|_| !has_rest) {
            request.upstream.keep(&mark, stream, lasts);
        }
        Ok(done.keeps_client)
    }

    async fn ask(&self, request: &Request<'_>, observer: &Observer) -> Result<Asked, Box<Refusal>> {
        let Request { parts, client, .. } = request;
        let target = request::sent(client.path(), parts);
        let Way { ends, hops, secure } = &self.way;
        let (ip, user, offer) = (client.peer.ip, client.user(), Offer::default());
        let facts = Facts { ip, hops, ends: *ends, user, secure: *secure, target: &target, offer: &offer, extra: request.extra };
        let mut news = Vec::new();
        let asking = Asking { request: parts, facts: &facts, body: request.body, within: request.http.within };
        let asked = request.upstream.ask(&asking, &mut news).await;
        news.iter().for_each(|news| report(news, client, observer));
        asked
    }
}
