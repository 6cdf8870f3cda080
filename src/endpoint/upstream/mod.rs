//! A proxied upstream: chooses a server, dials it, and brings the backend's handshake to its end.

mod answer;
pub mod ask;
mod balance;
mod failure;
mod forward;
mod handshake;
mod news;
mod pool;
mod rendezvous;
mod server;
mod state;
mod sticky;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::config::table::Sticky;
use crate::stage::Refusal;
use crate::stage::refusal::INTERNAL;
use crate::wire::dial::dial;
use crate::wire::extensions::Deflate;
use crate::wire::proxy_protocol::Version;
use crate::wire::socket::watch;
use crate::wire::stream::Socket;
use crate::wire::tls::connect::Connector;

use balance::{Member, candidates};
use failure::Failure;
use handshake::{Answer, Switched};
use pool::Pool;
use sticky::Tie;

pub use answer::{MAX_BODY, MAX_HEAD, MAX_HEADERS};
pub use ask::{Asked, Asking};
pub use balance::Balance;
pub use forward::{Facts, HostHeader, limit_trailers};
pub use news::News;
pub use server::Server;
pub use state::{FAILURES, Lease, REST, State, States};

/// How an upstream is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its servers.
    pub servers: Vec<Server>,
    /// How connections are spread over them.
    pub balance: Balance,
    /// What keeps a client with its server; where it brings nothing of that, `balance` chooses.
    pub sticky: Option<Sticky>,
    /// How long resolving and connecting to one server may take, over all its addresses.
    pub connect_timeout: Duration,
    /// How long a server that was asked may take to answer; its own refusal's body counts.
    pub handshake_timeout: Duration,
    /// How many different servers are tried for one client.
    pub tries: NonZeroUsize,
    /// Taken off the front of the path, at a segment's end.
    pub strip_prefix: Option<Box<str>>,
    /// The `Host` that servers are told.
    pub host_header: HostHeader,
    /// The PROXY header that servers are sent before the request, if any.
    pub proxy_protocol: Option<Version>,
    /// What servers are spoken to with over TLS that have to be; one of those is not reached without.
    pub tls: Option<Connector>,
}

impl Settings {
    /// These servers, and the defaults: 3 s to connect, 5 s to answer, 2 tries, the client's `Host`.
    pub fn new(servers: Vec<Server>) -> Self {
        Self {
            servers,
            balance: Balance::default(),
            sticky: None,
            connect_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(5),
            tries: NonZeroUsize::MIN.saturating_add(1),
            strip_prefix: None,
            host_header: HostHeader::default(),
            proxy_protocol: None,
            tls: None,
        }
    }
}

/// An upstream, shared by all its connections.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    members: Vec<Member>,
    /// For each member, its connections that wait for an ordinary request.
    pools: Vec<Pool<Socket>>,
    /// Held so that the snapshot after this one finds them.
    _states: Arc<States>,
}

/// A backend that has switched to WebSocket: its socket stands behind the 101.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub stream: Socket,
    /// What the backend sent glued to its 101; usually nothing.
    pub early: Vec<u8>,
    /// The server's name.
    pub server: Arc<str>,
    /// Counts the connection on its server; held until it ends.
    pub lease: Lease,
    /// The subprotocol the backend chose among the client's.
    pub subprotocol: Option<HeaderValue>,
    /// The compression agreed on, as the client is to be told it.
    pub extensions: Option<Deflate>,
    /// The 101's other end-to-end fields. They pin the backend's read buffer, so they go before a relay starts.
    pub headers: HeaderMap,
}

/// Why there is no backend.
#[derive(Debug)]
pub enum Refused {
    /// The gateway refuses: no server gave an answer that can be used.
    Gateway(Box<Refusal>),
    /// The server of this name itself refuses, in its own words, which are passed on.
    Backend(Arc<str>, Box<Response<Bytes>>),
}

impl Upstream {
    /// An upstream whose servers' states are kept in `states`, which outlives it.
    pub fn new(settings: Settings, states: Arc<States>) -> Self {
        let members: Vec<_> = settings.servers.iter().map(|server| Member { state: states.of(server), server: server.clone() }).collect();
        Self { settings, pools: members.iter().map(|_| Pool::default()).collect(), members, _states: states }
    }

    /// What it was set up with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Each server and its state.
    pub fn servers(&self) -> impl Iterator<Item = (&Server, &State)> {
        self.members.iter().map(|member| (&member.server, &*member.state))
    }

    /// The names of the servers that a new connection may be given to, whether they can be reached or not.
    pub fn candidates(&self) -> impl Iterator<Item = &Arc<str>> {
        self.members.iter().filter(|member| !member.server.drains()).map(|member| member.server.name())
    }

    /// Whether it has a server for a new connection: one that neither rests nor drains.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.members.iter().any(|member| member.is_ready(now))
    }

    /// Opens a connection for this client: to at most `tries` servers, until one answers.
    ///
    /// Cancel-safe: dropped, it closes what it had opened. `news` gets at most two entries a try.
    ///
    /// # Errors
    /// [`Refused`]: `upstream_refused`, `upstream_timeout` or `upstream_bad_handshake`, whose rule names each server and what it did;
    /// or the backend's own answer.
    pub async fn open(&self, request: &Parts, facts: &Facts<'_>, news: &mut Vec<News>) -> Result<Opened, Refused> {
        let sticky = self.settings.sticky.as_ref();
        let tie = Tie::of(sticky, request, facts);
        let (mut tried, mut failures): (Vec<usize>, Vec<(Arc<str>, Failure)>) = (Vec::new(), Vec::new());
        while let Some((_, member)) = self.choose(&tie, &mut tried) {
            let forwarded = self.forwarded(request, facts, &member.server)?;
            let lease = Lease::new(&member.state);
            let server = member.server.name();
            match self.attempt(&member.server, forwarded, facts).await {
                Ok(mut answer) => {
                    if let Answer::Switched(Switched { agreed, .. }) = &mut answer {
                        sticky::remember(sticky, &tie, &member.server, facts.secure, &mut agreed.headers);
                    }
                    if member.state.answered() {
                        news.push(News::Back { server: server.clone() });
                    }
                    news.extend(failures.iter().map(|(server, failure)| failure.news(server, true)));
                    return opened(answer, member, lease);
                }
                Err(failure) => {
                    if failure.counts() && member.state.failed(Instant::now()) {
                        news.push(News::Resting { server: server.clone() });
                    }
                    let is_last = !failure.may_retry();
                    failures.push((server.clone(), failure));
                    if is_last {
                        break;
                    }
                }
            }
        }
        news.extend(failures.iter().map(|(server, failure)| failure.news(server, false)));
        Err(Refused::Gateway(failure::refusal(&failures)))
    }

    /// The server to try next, and its place; none where enough were tried, or all.
    fn choose(&self, tie: &Tie, tried: &mut Vec<usize>) -> Option<(usize, &Member)> {
        if tried.len() >= self.settings.tries.get() {
            return None;
        }
        let candidates = candidates(&self.members, tried, Instant::now());
        let chosen = tie.choose(&candidates).or_else(|| self.settings.balance.choose(&candidates))?;
        tried.push(chosen.0);
        Some(chosen)
    }

    /// The request for this server, with a key of our own.
    fn forwarded(&self, request: &Parts, facts: &Facts<'_>, server: &Server) -> Result<Request<()>, Refused> {
        let Settings { strip_prefix, host_header, .. } = &self.settings;
        // Without its query, which is nobody's to log.
        let path = facts.target.split('?').next().unwrap_or_default();
        let mut forwarded = forward::forward(request, facts, server, strip_prefix.as_deref(), host_header, &generate_key())
            .map_err(|error| Refused::Gateway(Box::new(Refusal::new(INTERNAL).rule(format!("cannot forward {path}: {error}")))))?;
        sticky::withhold(self.settings.sticky.as_ref(), forwarded.headers_mut());
        Ok(forwarded)
    }

    async fn attempt(&self, server: &Server, request: Request<()>, facts: &Facts<'_>) -> Result<Answer<Socket>, Failure> {
        let stream = self.connect(server, facts).await?;
        handshake::upgrade(stream, request, facts.offer, Instant::now() + self.settings.handshake_timeout).await
    }

    /// A new connection over which a request can be sent: a PROXY header, and TLS, come before it.
    async fn connect(&self, server: &Server, facts: &Facts<'_>) -> Result<Socket, Failure> {
        timeout(self.settings.connect_timeout, self.prepare(server, facts)).await.unwrap_or(Err(Failure::Unconnected))
    }

    async fn prepare(&self, server: &Server, facts: &Facts<'_>) -> Result<Socket, Failure> {
        let mut tcp = dial(server.host(), server.port()).await.map_err(Failure::from_dial)?;
        if let Some(version) = self.settings.proxy_protocol {
            tcp.write_all(&version.header(facts.ends)).await.map_err(|error| Failure::Unsent(error.to_string()))?;
        }
        match &self.settings.tls {
            _ if !server.is_tls() => Ok(Socket::Plain(tcp)),
            Some(tls) => {
                // Beside a TLS handshake it costs nothing; the socket beneath is out of reach then.
                watch(&tcp).map_err(Failure::from_dial)?;
                tls.connect(tcp, server.host()).await.map_err(Failure::Insecure)
            }
            None => Err(Failure::Bad("nothing to speak TLS with")),
        }
    }
}

fn opened(answer: Answer<Socket>, member: &Member, lease: Lease) -> Result<Opened, Refused> {
    match answer {
        Answer::Declined(response) => Err(Refused::Backend(member.server.name().clone(), Box::new(response))),
        Answer::Switched(Switched { io, early, agreed }) => Ok(Opened {
            stream: io,
            early,
            server: member.server.name().clone(),
            lease,
            subprotocol: agreed.subprotocol,
            extensions: agreed.extensions,
            headers: agreed.headers,
        }),
    }
}
