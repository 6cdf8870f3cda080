//! A trial's course, top to bottom: the same steps as a connection's, over memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use http::HeaderMap;
use http::request::Parts;

use crate::endpoint::Endpoint;
use crate::endpoint::health::Health;
use crate::gateway::Gateway;
use crate::gateway::admission::{self, Against};
use crate::gateway::listener::Listener;
use crate::gateway::request::{self, Target};
use crate::gateway::route::Route;
use crate::gateway::table::choice::{Way, covering};
use crate::stage::client::ForwardFirst;
use crate::stage::pipeline::{self, Findings, Progress, Resume};
use crate::stage::refusal::{AUTH_TIMEOUT, INTERNAL, NO_ROUTE, Refusal, Verdict};
use crate::stage::supposed::{Rehearsed, Shown, Supposed};
use crate::stage::ticket;
use crate::stage::{Client, FirstMessage, Peer, Pipeline};
use crate::wire::first_message::{NoMessage, first_message};
use crate::wire::handshake;
use crate::wire::head::{Reader, Unread};
use crate::wire::leg::Leg;
use crate::wire::memory::{self, Stream};
use crate::wire::tick::Tick;

use super::asked::{Ask, Credential, address};
use super::stages::{Moment, Stages};
use super::talk::{Fate, Sent, Talk};
use super::{Bearing, Refused, Told, Trial};

/// What stands for a token that is supposed to prove claims.
const TOKEN: &str = "supposed";
/// How long such a token is good for, where its claims do not say.
const TTL: Duration = Duration::from_hours(1);

/// A request under way.
pub(super) struct Rehearsal<'a> {
    gateway: &'a Gateway,
    ask: &'a Ask,
    listener: Arc<Listener>,
    peer: Peer,
    findings: Findings,
    stages: Stages,
    asked: Option<Target>,
    bearing: Option<Bearing>,
    is_renewal: bool,
    ways: Vec<Way>,
    route: Option<Arc<Route>>,
    client: Option<Client>,
    /// Whether its request asks for WebSocket, so that it can be opened to be told why it is closed.
    can_open: bool,
    /// The client's end and the gateway's, behind a 101.
    opened: Option<(memory::Peer, Leg<Stream>)>,
    /// What is still to be sent.
    left: VecDeque<String>,
    sent: Vec<Sent>,
    greeting: Vec<String>,
    /// The answer to a probe.
    answered: Option<Told>,
}

impl<'a> Rehearsal<'a> {
    pub(super) fn new(gateway: &'a Gateway, listener: Arc<Listener>, ask: &'a Ask) -> Self {
        let ip = ask.ip.to_canonical();
        let (address, local) = (SocketAddr::new(ip, 0), address(&listener));
        Self {
            gateway,
            ask,
            peer: Peer { address, ip, local, listener: listener.name.clone(), accepted: SystemTime::now(), tls: None, http2: false },
            listener,
            findings: Findings::with_trail(),
            stages: Stages::default(),
            asked: None,
            bearing: None,
            is_renewal: false,
            ways: Vec::new(),
            route: None,
            client: None,
            can_open: false,
            opened: None,
            left: ask.messages.iter().cloned().collect(),
            sent: Vec::new(),
            greeting: Vec::new(),
            answered: None,
        }
    }

    pub(super) async fn run(mut self) -> Trial {
        self.look_ahead();
        let admitted = self.admit().await;
        if let Some(client) = &self.client {
            self.stages.identify(client);
        }
        let refused = match admitted {
            Ok(()) if self.answered.is_some() => None,
            Ok(()) => self.talk().map(|refusal| Refused { told: Told::closed(&refusal), refusal }),
            Err(refusal) => Some(self.turn_away(refusal)),
        };
        Trial {
            authority: self.ask.authority(&self.listener),
            is_tls: self.listener.tls.is_some(),
            listener: self.listener.name.clone(),
            asked: self.asked,
            bearing: self.bearing,
            is_renewal: self.is_renewal,
            ways: self.ways,
            route: self.route,
            stages: self.stages.finish(),
            greeting: self.greeting,
            messages: self.sent,
            answered: self.answered,
            refused,
        }
    }

    /// Where the request is going to lead: which stages stand there, and where they look for a token.
    fn look_ahead(&mut self) {
        self.stages.add(&self.listens(), &self.listener.pipeline);
        let Ok(asked) = self.ask.target(&self.listener) else { return };
        self.asked = Some(asked.clone());
        self.is_renewal = self.gateway.renews_at(&self.listener.name, &asked.path);
        if self.is_renewal {
            return;
        }
        self.ways = covering(&self.gateway.ways, &self.listener.name, &asked.host, &asked.path).into_iter().cloned().collect();
        let route = self.gateway.route(&self.listener.name, &asked.host, &asked.path).map(|(route, _)| route.clone());
        if let Some(route) = &route {
            self.stages.add(&routes(route), &route.pipeline);
        }
        let token = match &self.ask.credential {
            None => return,
            Some(Credential::Token(token)) => token,
            Some(Credential::Claims(_)) => TOKEN,
        };
        let steps = self.listener.pipeline.steps().chain(route.iter().flat_map(|route| route.pipeline.steps()));
        let mut able = steps.filter(|step| self.ask.stage.as_ref().is_none_or(|stage| **stage == *step.name));
        let shown = able.find_map(|step| Some((step.name.clone(), step.stage.show(token)?)));
        self.bearing = Some(match shown {
            Some((stage, shown)) => Bearing { stage: Some(stage), shown },
            None => Bearing {
                stage: None,
                shown: Shown { header: Some(("Authorization".into(), format!("Bearer {token}"))), ..Shown::default() },
            },
        });
    }

    async fn admit(&mut self) -> Verdict {
        let listens = self.listens();
        let is_behind_proxy = self.listener.proxies_at(self.peer.ip).is_some();
        let mut unwelcome = if is_behind_proxy { None } else { self.greet(&listens)? };
        self.begin_tls()?;
        let mut parts = self.read().await?;
        if is_behind_proxy {
            self.believe(&parts.headers)?;
            unwelcome = self.greet(&listens).unwrap_or_else(Some);
        }
        if self.is_renewal {
            return Err(unwelcome.unwrap_or_else(ticket::only_post));
        }
        self.suppose(&mut parts);
        let against = Against { unwelcome, full: None };
        let entry = admission::enter(self.gateway, (&self.peer, 0), parts, against, &mut self.findings);
        self.can_open = entry.upgrade.is_some();
        self.client = entry.client;
        self.route = entry.route;
        let Some(route) = self.route.clone() else { return entry.verdict.and(Err(Box::new(Refusal::new(NO_ROUTE)))) };
        let way = routes(&route);
        self.stages.note(&way, Moment::Address, self.findings.take_trail());
        entry.verdict?;
        self.judge(&listens, &self.listener.clone().pipeline).await?;
        self.judge(&way, &route.pipeline).await?;
        let Endpoint::Health(health) = &route.endpoint else { return Ok(()) };
        self.answer_probe(health)
    }

    /// The client's address is known.
    fn greet(&mut self, listens: &Arc<str>) -> Result<Option<Box<Refusal>>, Box<Refusal>> {
        let unwelcome = admission::greet(&self.listener, &self.peer, &mut self.findings);
        self.stages.note(listens, Moment::Address, self.findings.take_trail());
        unwelcome
    }

    /// On a listener with TLS, the client shows its certificate where it is asked for one.
    fn begin_tls(&mut self) -> Verdict {
        if let Some(tls) = &self.listener.tls {
            self.peer.tls = Some(Arc::new(tls.rehearse(self.ask.certificate.as_ref(), SystemTime::now())?));
        }
        Ok(())
    }

    /// Its address is a trusted proxy's: the client is who its headers say.
    fn believe(&mut self, headers: &HeaderMap) -> Verdict {
        if let Some(proxies) = self.listener.proxies_at(self.peer.ip) {
            self.peer.ip = proxies.resolve(self.peer.ip, headers)?.ip;
        }
        Ok(())
    }

    /// A probe has passed every stage: it is answered as by a gateway that has just started.
    fn answer_probe(&mut self, health: &Health) -> Verdict {
        let Some((client, request)) = self.client.as_ref().and_then(|client| Some((client, client.request.as_deref()?))) else {
            return Err(internal("a request without its facts"));
        };
        let (parts, body) = health.answer(&request.method, client.path(), None)?.into_parts();
        self.answered = Some(Told::Http { status: parts.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() });
        Ok(())
    }

    /// The head is judged raw and parsed, as one that was sent.
    async fn read(&self) -> Result<Parts, Box<Refusal>> {
        let nothing = Shown::default();
        let head = self.ask.head(&self.listener, self.bearing.as_ref().map_or(&nothing, |bearing| &bearing.shown));
        let head = Reader::new(self.listener.head).read(&mut &*head).await.map_err(|unread| match unread {
            Unread::Refused(refusal) => refusal,
            Unread::Nothing | Unread::Cut => internal("a request that is not whole"),
        })?;
        let (_, stream) = memory::Peer::new();
        let received = handshake::receive(stream, head);
        received.map(|(parts, _)| parts).map_err(|_| internal("a request that cannot be read"))
    }

    /// Lets the token that was put into the request prove what it is supposed to.
    fn suppose(&self, parts: &mut Parts) {
        parts.extensions.insert(Rehearsed);
        let Some(Credential::Claims(claims)) = &self.ask.credential else { return };
        let mut claims = claims.clone();
        let end = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| (now + TTL).as_secs());
        claims.entry("exp").or_insert_with(|| end.into());
        parts.extensions.insert(Supposed { token: TOKEN.into(), claims });
    }

    async fn judge(&mut self, within: &str, pipeline: &Pipeline) -> Verdict {
        let mut from = Resume::default();
        loop {
            let (Some(client), Some(route)) = (&mut self.client, &self.route) else { return Err(internal("a request without its facts")) };
            let judged = admission::judge((&self.listener, route), pipeline, from, client, &mut self.findings).await;
            self.stages.note(within, Moment::Request, self.findings.take_trail());
            match judged? {
                Progress::Done => return Ok(()),
                Progress::FirstMessage(wanted, resume) => {
                    self.take_first_message(wanted)?;
                    from = resume;
                }
            }
        }
    }

    /// The client is answered 101, and its first message is read; where it has none to send, it runs out of time.
    fn take_first_message(&mut self, wanted: FirstMessage) -> Verdict {
        let (Some(client), Some(route)) = (&mut self.client, &self.route) else { return Err(internal("a request without its facts")) };
        request::settle_subprotocol(client.request.as_deref_mut(), route.promised_subprotocols());
        let (peer, leg) = self.opened.get_or_insert_with(opened);
        let shown = self.bearing.as_ref().and_then(|bearing| bearing.shown.first_message.clone());
        let is_message = shown.is_none();
        let Some(text) = shown.or_else(|| self.left.pop_front()) else {
            let waiting = self.stages.waiting();
            return Err(Box::new(Refusal {
                stage: waiting,
                ..Refusal::new(AUTH_TIMEOUT).rule("no message is sent").at("first_message.timeout")
            }));
        };
        peer.say(&text.as_str().into());
        let read = first_message(leg, wanted.max, None, Tick::default()).now_or_never();
        let read = read.unwrap_or_else(|| Err(NoMessage::Refused(Box::new(Refusal::new(AUTH_TIMEOUT)))));
        if is_message {
            let fate = if read.is_ok() { Fate::Read } else { Fate::Refused };
            self.sent.push(Sent { text, fate, words: Vec::new(), heard: Vec::new() });
        }
        client.first_message = Some(Box::new(read.map_err(|none| match none {
            NoMessage::Refused(refusal) => refusal,
            NoMessage::Ended(ending) => Box::new(Refusal::new(ending.outcome)),
        })?));
        Ok(())
    }

    /// It is open: its messages are sent, until one of them ends it.
    fn talk(&mut self) -> Option<Box<Refusal>> {
        let (mut client, route) = (self.client.take()?, self.route.clone()?);
        let is_needed = client.request.take().is_some_and(|request| request.extensions.get::<ForwardFirst>().is_some());
        let first = client.first_message.take().filter(|_| is_needed);
        let opened = self.opened.take().unwrap_or_else(opened);
        let mut talk = Talk::open((client, self.listener.clone(), route), opened, first.as_deref());
        if let Some(first) = first {
            // Nobody has sent one that is shown as a credential.
            let became = talk.first(&String::from_utf8_lossy(first.as_bytes()));
            self.sent.first_mut().into_iter().for_each(|sent| sent.clone_from(&became));
        }
        self.greeting = talk.greeting();
        while talk.refusal().is_none()
            && let Some(text) = self.left.pop_front()
        {
            self.sent.push(talk.say(&text));
        }
        talk.refusal()
    }

    /// The stages have the last word on what the client is told.
    fn turn_away(&self, mut refusal: Box<Refusal>) -> Refused {
        let route = self.route.as_ref();
        pipeline::tell(&self.listener.pipeline, route.map(|route| &route.pipeline), self.client.as_ref(), &mut refusal);
        let is_open = self.opened.is_some() || (refusal.is_told_by_close() && self.can_open);
        let told =
            if is_open { Told::closed(&refusal) } else { Told::answered(&refusal, self.listener.tls.is_some() && self.peer.tls.is_none()) };
        Refused { refusal, told }
    }

    fn listens(&self) -> Arc<str> {
        format!("listener.{}", self.listener.name).into()
    }
}

fn routes(route: &Route) -> Arc<str> {
    format!("route.{}", route.name).into()
}

fn opened() -> (memory::Peer, Leg<Stream>) {
    let (peer, stream) = memory::Peer::new();
    (peer, Leg::new(stream, Vec::new()))
}

fn internal(rule: &'static str) -> Box<Refusal> {
    Box::new(Refusal::new(INTERNAL).rule(rule))
}
