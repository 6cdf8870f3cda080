//! One ordinary request, from the moment it is let in to the end of its answer: both bodies pass at once, as they come.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use crate::endpoint::Endpoint;
use crate::endpoint::upstream::ask::{self, Answer, Asked, Asking, Mark, lasts};
use crate::endpoint::upstream::{Facts, News, Upstream, limit_trailers};
use crate::gateway::request;
use crate::gateway::route::{Http, Route};
use crate::observe::Observer;
use crate::stage::holders::Holder;
use crate::stage::refusal::{BAD_BODY, BODY_TIMEOUT, BODY_TOO_LARGE, CLIENT_LOST, SLOW_CONSUMER, UPSTREAM_LOST, UPSTREAM_TIMEOUT};
use crate::stage::{Client, Refusal, Side};
use crate::wire::extensions::Offer;
use crate::wire::handshake::Exchange;
use crate::wire::http::answer::{Manner, encode, informational};
use crate::wire::http::decoder::Decoder;
use crate::wire::http::framing::{Framing, keeps_alive};
use crate::wire::http::pass::{Broken, Terms, pass};
use crate::wire::http::sink::{STALL, Sink, Unwritten};
use crate::wire::http::source::Source;

use super::door::Door;
use super::opening::{claims, report};
use super::policy::Policy;
use super::progress::Progress;
use super::registry::{Record, Seat, Settled};
use super::vigil::Vigil;
use super::visit::{Stop, Visit};
use super::way::Way;

/// What a client may send ahead of its answer, in bytes; what is more waits in its socket.
const AHEAD: usize = 4 * 1024;
/// Read at a time of that.
const CHUNK: usize = 1024;

/// What is left of a connection when an answer has ended.
pub(super) enum Over {
    /// It waits for the next request, of which these bytes are read already.
    Kept(TcpStream, Vec<u8>),
    /// It ends, as the client has been told.
    Closes(TcpStream),
    /// It was cut off.
    Cut,
}

/// How an answer ended that is whole.
struct Done {
    /// Whether the client's connection goes on.
    keeps_client: bool,
    /// How long the server waits for the next request over its own.
    keeps_server: Option<Duration>,
}

/// What a request is, for whoever passes it on.
struct Request<'a> {
    parts: &'a Parts,
    body: Framing,
    http: &'a Http,
    upstream: &'a Upstream,
    client: &'a Client,
    extra: &'a [(HeaderName, Option<HeaderValue>)],
    progress: &'a Progress,
    secure: bool,
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
        self.holdings.slots.clear();
        let server = self.holdings.server.take().map(|(server, _)| server);
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
            Err((refusal, _)) => {
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
        (mut socket, early): (TcpStream, Vec<u8>),
    ) -> Result<Over, (Box<Refusal>, TcpStream)> {
        let (record, progress, worker) = (&*seat.record, request.progress, self.worker.clone());
        let observer = worker.observer();
        let vigil = Vigil { record, progress, observer, policy: record.policy(), began: self.began.into() };
        let mut vigil = pin!(vigil.keep());
        let (read, write) = split(&mut socket);
        let mut source = Source::new(read, &early);
        let passed = async {
            let asked = tokio::select! {
                biased;
                refusal = vigil.as_mut() => Err(refusal),
                asked = self.ask(request, observer) => asked,
                lost = is_left(&mut source) => Err(lost),
            };
            let Asked { mut stream, first, early, server, lease, mark } = asked?;
            self.holdings.server = Some((server.clone(), lease));
            let server = Server { name: &server, mark: &mark, observer, may_go_on: &|| self.may_go_on() };
            let (from_server, to_server) = split(&mut stream);
            let mut answers = Source::new(from_server, &early);
            let done = tokio::select! {
                biased;
                refusal = vigil.as_mut() => Err(refusal),
                refusal = request.send(&mut source, Sink::new(to_server, request.body), &server) => Err(refusal),
                done = request.receive(first, &mut answers, Sink::new(write, Framing::Nothing), &server) => done,
            }?;
            let has_rest = !answers.into_rest().is_empty();
            if let Some(lasts) = done.keeps_server.filter(|_| !has_rest) {
                request.upstream.keep(&mark, stream, lasts);
            }
            Ok(done.keeps_client)
        };
        let passed = passed.await;
        let early = source.into_rest();
        match passed {
            Ok(true) => Ok(Over::Kept(socket, early)),
            Ok(false) => Ok(Over::Closes(socket)),
            Err(refusal) => Err((refusal, socket)),
        }
    }

    async fn ask(&self, request: &Request<'_>, observer: &Observer) -> Result<Asked, Box<Refusal>> {
        let Request { parts, client, .. } = request;
        let target = request::sent(&client.path, parts);
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

/// The server that was asked.
struct Server<'a> {
    name: &'a Arc<str>,
    mark: &'a Mark,
    observer: &'a Observer,
    /// Whether the client's connection may go on behind an answer that begins now.
    may_go_on: &'a (dyn Fn() -> bool + Sync),
}

impl Request<'_> {
    /// Passes the body on, where there is one, and then looks out for the client. Returns when the request cannot go on, with why.
    async fn send<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &self,
        source: &mut Source<R>,
        mut sink: Sink<W>,
        server: &Server<'_>,
    ) -> Box<Refusal> {
        if self.body.has_body()
            && let Err(refusal) = self.send_body(source, &mut sink, server).await
        {
            return refusal;
        }
        is_left(source).await
    }

    async fn send_body<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &self,
        source: &mut Source<R>,
        sink: &mut Sink<W>,
        server: &Server<'_>,
    ) -> Result<(), Box<Refusal>> {
        // Who waits to be asked for the body is waited for as long as the server is.
        if self.is_awaited() && source.bytes().is_empty() && !matches!(source.fill(CHUNK).await, Ok(1..)) {
            return Err(lost());
        }
        self.progress.begin_to_send();
        let count = |bytes| self.count(Side::Client, bytes);
        let limit = |trailers: &mut HeaderMap| limit_trailers(trailers, self.extra);
        let terms = Terms { max: self.http.max_body, patience: Some(STALL), count: &count, trailers: &limit };
        Err(match pass(source, &mut Decoder::new(self.body), sink, &terms).await {
            Ok(()) => {
                self.progress.stop_sending(true);
                return Ok(());
            }
            Err(Broken::Unwritten(Unwritten::Gone(_))) => {
                // It may have answered all the same, and why it wants no more may be its answer.
                self.progress.stop_sending(false);
                return pending().await;
            }
            Err(Broken::Unwritten(Unwritten::Stalled)) => {
                Box::new(Refusal::new(UPSTREAM_TIMEOUT).rule(format!("{}: took nothing of the body for 30 s", server.name)))
            }
            Err(Broken::Cut) => lost(),
            Err(Broken::Malformed(rule)) => Box::new(Refusal::new(BAD_BODY).rule(rule)),
            Err(Broken::Silent) => Box::new(Refusal::new(BODY_TIMEOUT)),
            Err(Broken::TooLarge) => too_large(self.http),
        })
    }

    /// Passes the answer on.
    async fn receive<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &self,
        first: Option<Answer>,
        answers: &mut Source<R>,
        mut sink: Sink<W>,
        server: &Server<'_>,
    ) -> Result<Done, Box<Refusal>> {
        let mut answer = self.final_answer(first, answers, &mut sink, server).await?;
        let (version, progress) = (self.parts.version, self.progress);
        let is_head = self.parts.method == Method::HEAD;
        let framing = Framing::of_answer(&answer, is_head).map_err(|rule| self.failed(ask::bad(server.name, rule), server))?;
        let keeps_server = (framing != Framing::UntilEnd && keeps_alive(answer.version, &answer.headers)).then(|| lasts(&answer.headers));
        let keeps_client = (server.may_go_on)() && !progress.is_last() && progress.is_whole() && keeps_alive(version, &self.parts.headers);
        self.upstream.remember(server.mark, self.secure, &mut answer.headers);
        let (status, streams) = (answer.status.as_u16(), streams_events(&answer.headers));
        let (head, sent) = encode(answer, framing, Manner { version, closes: !keeps_client });
        progress.begin_to_answer(status, streams);
        sink.begin(head, sent);
        let count = |bytes| self.count(Side::Upstream, bytes);
        let limit = |trailers: &mut HeaderMap| limit_trailers(trailers, &[]);
        let terms = Terms { max: u64::MAX, patience: None, count: &count, trailers: &limit };
        let lost = |what: &str| Box::new(Refusal::new(UPSTREAM_LOST).rule(format!("{}: {what}", server.name)));
        match pass(answers, &mut Decoder::new(framing), &mut sink, &terms).await {
            Ok(()) => Ok(Done { keeps_client, keeps_server: keeps_server.filter(|_| progress.is_whole()) }),
            Err(Broken::Malformed(rule)) => Err(lost(rule)),
            Err(Broken::Unwritten(unwritten)) => Err(unread(&unwritten)),
            Err(Broken::Cut | Broken::Silent | Broken::TooLarge) => Err(lost("ended within its answer")),
        }
    }

    /// The first answer that is not informational; those before it are passed on to whoever knows them.
    async fn final_answer<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &self,
        mut first: Option<Answer>,
        answers: &mut Source<R>,
        sink: &mut Sink<W>,
        server: &Server<'_>,
    ) -> Result<Answer, Box<Refusal>> {
        loop {
            let answer = match first.take() {
                Some(answer) => answer,
                None => self.await_answer(answers, server).await?,
            };
            server.mark.answered(server.name).iter().for_each(|news| report(news, self.client, server.observer));
            if answer.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(self.failed(ask::bad(server.name, "a 101 that nobody asked for"), server));
            }
            if !answer.status.is_informational() {
                return Ok(answer);
            }
            self.progress.note();
            if self.parts.version == Version::HTTP_11 {
                self.progress.set_torn(true);
                sink.begin(informational(answer), Framing::Nothing);
                sink.push().await.map_err(|unwritten| unread(&unwritten))?;
                self.progress.set_torn(false);
            }
        }
    }

    /// Waits for the head of an answer, for as long as the route lets a server take behind the whole request.
    async fn await_answer<R: AsyncRead + Unpin>(&self, answers: &mut Source<R>, server: &Server<'_>) -> Result<Answer, Box<Refusal>> {
        loop {
            let moved = self.progress.moved();
            tokio::select! {
                biased;
                answer = ask::answer(server.name, answers) => return answer.map_err(|failed| self.failed(failed, server)),
                () = sleep_until(moved + self.http.within) => {
                    // A body has bounds of its own.
                    if !self.progress.sends() && self.progress.moved() == moved {
                        return Err(self.failed(ask::silent(server.name), server));
                    }
                    if self.progress.sends() {
                        self.progress.note();
                    }
                }
            }
        }
    }

    fn failed(&self, (refusal, news): (Box<Refusal>, News), server: &Server<'_>) -> Box<Refusal> {
        report(&news, self.client, server.observer);
        refusal
    }

    /// Whether the client waits to be told that its body is wanted.
    fn is_awaited(&self) -> bool {
        ask::expects(self.parts, self.body)
    }

    fn count(&self, from: Side, bytes: u64) {
        self.client.counters.add(from, 0, bytes);
        self.progress.note();
    }
}

/// Returns when the client has gone. What it sends ahead of its answer is kept, up to a bound.
async fn is_left<R: AsyncRead + Unpin>(source: &mut Source<R>) -> Box<Refusal> {
    while source.bytes().len() < AHEAD {
        if !matches!(source.fill(CHUNK).await, Ok(1..)) {
            return lost();
        }
    }
    pending().await
}

fn lost() -> Box<Refusal> {
    Box::new(Refusal::new(CLIENT_LOST))
}

/// Why nothing more of an answer can be written.
fn unread(unwritten: &Unwritten) -> Box<Refusal> {
    match unwritten {
        Unwritten::Gone(_) => lost(),
        Unwritten::Stalled => Box::new(Refusal::new(SLOW_CONSUMER)),
    }
}

fn too_large(http: &Http) -> Box<Refusal> {
    Box::new(Refusal::new(BODY_TOO_LARGE).rule(format!("http.max_body {} bytes", http.max_body)))
}

/// Whether an answer is a stream of events, which ends when somebody ends it.
fn streams_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
