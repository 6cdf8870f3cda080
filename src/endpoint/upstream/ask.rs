//! Passes an ordinary request to a server, over a connection that waits for one or a new one.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Request, Version};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::stage::Refusal;
use crate::stage::refusal::INTERNAL;
use crate::wire::fields::{has_token, write, write_field};
use crate::wire::http::framing::Framing;
use crate::wire::http::source::Source;
use crate::wire::socket::watch;
use crate::wire::stream::{Socket, Stream};

use super::balance::Member;
use super::failure::Failure;
use super::forward::{self, Facts};
use super::news::News;
use super::state::{Lease, State};
use super::sticky::{self, Tie};
use super::{Upstream, answer, failure, pool};

/// The key that says how long a server may take to answer, as faults and logs call it.
const ANSWER_TIMEOUT: &str = "http.answer_timeout";

/// An ordinary request as it is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The client's.
    pub request: &'a Parts,
    /// What the gateway knows of it.
    pub facts: &'a Facts<'a>,
    /// How its body is delimited.
    pub body: Framing,
    /// How long a server may take to begin its answer once it has all of the request.
    pub within: Duration,
}

/// A server that was sent a request's head, and all of the request where it has no body.
#[derive(Debug)]
pub struct Asked {
    /// The connection.
    pub stream: Socket,
    /// The head of its first answer, which may be an informational one, to a request without a body; to others it comes later.
    pub first: Option<Answer>,
    /// What was read behind that.
    pub early: Vec<u8>,
    /// The server's name.
    pub server: Arc<str>,
    /// Counts the request on its server; held until it ends.
    pub lease: Lease,
    /// What its upstream knows it by.
    pub mark: Mark,
}

/// What an upstream knows a server that was asked by.
#[derive(Debug)]
pub struct Mark {
    place: usize,
    tie: Tie,
    state: Arc<State>,
}

/// The head of an answer.
pub type Answer = http::response::Parts;

/// What is read and written of a request whose head is sent.
type Sent = (Socket, Option<Answer>, Vec<u8>);

impl Asking<'_> {
    /// Whether a server that did not answer may have it again: asking twice is asking once (RFC 9110 §9.2.2), and nothing of a body is gone.
    fn may_repeat(&self) -> bool {
        self.request.method.is_idempotent() && !self.body.has_body()
    }

    /// The head for a server, as bytes. What concerns a connection alone is that of the connection to the server.
    fn encode(&self, request: &Request<()>, is_last: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(request.method().as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        write(&mut bytes, request.headers());
        let client = &self.request.headers;
        // Trailers pass, so that who takes them is told to servers as well (RFC 9110 §10.1.4).
        let takes_trailers = has_token(client, &header::TE, "trailers");
        if takes_trailers {
            write_field(&mut bytes, "te", b"trailers");
        }
        let connection: Vec<&str> =
            [("te", takes_trailers), ("close", is_last)].into_iter().filter(|(_, is)| *is).map(|(word, _)| word).collect();
        if !connection.is_empty() {
            write_field(&mut bytes, "connection", connection.join(", ").as_bytes());
        }
        if expects(self.request, self.body) {
            write_field(&mut bytes, "expect", b"100-continue");
        }
        match self.body {
            Framing::Length(length) => write_field(&mut bytes, "content-length", length.to_string().as_bytes()),
            Framing::Chunked => {
                for names in client.get_all(header::TRAILER) {
                    write_field(&mut bytes, "trailer", names.as_bytes());
                }
                write_field(&mut bytes, "transfer-encoding", b"chunked");
            }
            // Servers may wait for a body where a method usually has one and nothing is said (RFC 9110 §8.6).
            Framing::Nothing | Framing::UntilEnd if usually_has_body(&self.request.method) => {
                write_field(&mut bytes, "content-length", b"0");
            }
            Framing::Nothing | Framing::UntilEnd => {}
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// Whether the client waits to be told that its body is wanted (RFC 9110 §10.1.1).
pub fn expects(request: &Parts, body: Framing) -> bool {
    body.has_body() && request.version != Version::HTTP_10 && has_token(&request.headers, &header::EXPECT, "100-continue")
}

fn usually_has_body(method: &http::Method) -> bool {
    [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(method)
}

impl Mark {
    /// The server of this name has answered, whatever it was; gives the news, where it is any.
    pub fn answered(&self, server: &Arc<str>) -> Option<News> {
        self.state.answered().then(|| News::Back { server: server.clone() })
    }
}

/// Reads the head of a server's next answer.
///
/// # Errors
/// The refusal of a client whose server gave none, or one that is none, and the news of it.
pub async fn answer<R: AsyncRead + Unpin>(server: &Arc<str>, source: &mut Source<R>) -> Result<Answer, (Box<Refusal>, News)> {
    answer::next(source).await.map_err(|failure| failed(server, failure))
}

/// The refusal of a client whose server has kept silent for as long as it may, and the news of it.
pub fn silent(server: &Arc<str>) -> (Box<Refusal>, News) {
    failed(server, Failure::Silent(ANSWER_TIMEOUT))
}

/// The same of a server whose answer breaks this rule.
pub fn bad(server: &Arc<str>, rule: &'static str) -> (Box<Refusal>, News) {
    failed(server, Failure::Bad(rule))
}

fn failed(server: &Arc<str>, failure: Failure) -> (Box<Refusal>, News) {
    let news = failure.news(server, false);
    (failure::refusal(&[(server.clone(), failure)]), news)
}

impl Upstream {
    /// Passes the head of a request to a server, and all of one without a body, to which it waits for an answer: of at most `tries`
    /// servers the first that takes it. A request that was sent is sent again only where that asks for the same once more.
    ///
    /// Cancel-safe: dropped, it closes what it had opened.
    ///
    /// # Errors
    /// `upstream_refused`, `upstream_timeout` or `upstream_bad_handshake`, whose rule names each server and what it did.
    pub async fn ask(&self, asking: &Asking<'_>, news: &mut Vec<News>) -> Result<Asked, Box<Refusal>> {
        let tie = Tie::of(self.settings.sticky.as_ref(), asking.request, asking.facts);
        let (mut tried, mut failures): (Vec<usize>, Vec<(Arc<str>, Failure)>) = (Vec::new(), Vec::new());
        while let Some((place, member)) = self.choose(&tie, &mut tried) {
            let head = self.head(asking, member)?;
            let lease = Lease::new(&member.state);
            let server = member.server.name().clone();
            match self.put(place, member, &head, asking).await {
                Ok((stream, first, early)) => {
                    news.extend(failures.iter().map(|(server, failure)| failure.news(server, true)));
                    let mark = Mark { place, tie, state: member.state.clone() };
                    return Ok(Asked { stream, first, early, server, lease, mark });
                }
                Err(failure) => {
                    if failure.counts() && member.state.failed(Instant::now()) {
                        news.push(News::Resting { server: server.clone() });
                    }
                    let may_retry = failure.may_retry() && (asking.may_repeat() || !matches!(failure, Failure::Unanswered(_)));
                    failures.push((server, failure));
                    if !may_retry {
                        break;
                    }
                }
            }
        }
        news.extend(failures.iter().map(|(server, failure)| failure.news(server, false)));
        Err(failure::refusal(&failures))
    }

    fn head(&self, asking: &Asking<'_>, member: &Member) -> Result<Vec<u8>, Box<Refusal>> {
        let Asking { request, facts, .. } = asking;
        let mut request = forward::plain(request, facts, &member.server, self.settings.strip_prefix.as_deref(), &self.settings.host_header)
            .map_err(|error| Box::new(Refusal::new(INTERNAL).rule(format!("cannot pass the request on: {error}"))))?;
        sticky::withhold(self.settings.sticky.as_ref(), request.headers_mut());
        Ok(asking.encode(&request, !self.keeps()))
    }

    /// Whether connections to its servers can serve one request after the other: a PROXY header says for whom all of a connection is.
    fn keeps(&self) -> bool {
        self.settings.proxy_protocol.is_none()
    }

    /// Sends the head over a connection that waits for one; where its server has hung up on it meanwhile, or there is none, over a new one.
    async fn put(&self, place: usize, member: &Member, head: &[u8], asking: &Asking<'_>) -> Result<Sent, Failure> {
        if let Some(stream) = self.pools.get(place).and_then(|pool| pool.take(Instant::now())) {
            match send(stream, head, asking).await {
                Err(Failure::Unsent(_)) => {}
                Err(Failure::Unanswered(_)) if asking.may_repeat() => {}
                sent => return sent,
            }
        }
        let stream = self.connect(&member.server, asking.facts).await?;
        // It may be kept for other requests, and an answer may take its time. Over TLS it is watched already.
        stream.tcp().map_or(Ok(()), watch).map_err(Failure::from_dial)?;
        send(stream, head, asking).await
    }

    /// The connection has nothing more to read, and its server keeps it open for another request: the head of its last answer says for
    /// how long.
    pub fn keep(&self, mark: &Mark, stream: Socket, lasts: Duration) {
        if let Some(pool) = self.pools.get(mark.place).filter(|_| self.keeps() && !lasts.is_zero()) {
            pool.keep(stream, lasts);
        }
    }

    /// Has the client come back to the server that has answered, where it is to stick to it by a cookie.
    pub fn remember(&self, mark: &Mark, secure: bool, fields: &mut HeaderMap) {
        if let Some(member) = self.members.get(mark.place) {
            sticky::remember(self.settings.sticky.as_ref(), &mark.tie, &member.server, secure, fields);
        }
    }

    /// An edit has put another upstream in its place: connections that wait for an ordinary request wait in vain.
    pub fn close_idle(&self) {
        self.pools.iter().for_each(pool::Pool::close);
    }

    /// Lets go of connections that have waited for too long. Asked every few seconds.
    pub fn tidy(&self) {
        let now = Instant::now();
        self.pools.iter().for_each(|pool| pool.tidy(now));
    }
}

/// How long the server that answers so waits for another request.
pub fn lasts(headers: &HeaderMap) -> Duration {
    pool::lasts(headers)
}

async fn send(mut stream: Socket, head: &[u8], asking: &Asking<'_>) -> Result<Sent, Failure> {
    let exchange = async {
        let sent = stream.write(head).await.map_err(|error| Failure::Unsent(error.to_string()))?;
        let rest = head.get(sent..).unwrap_or_default();
        stream.write_all(rest).await.map_err(|error| Failure::from_exchange(&error))?;
        // TLS may still hold it.
        stream.flush().await.map_err(|error| Failure::from_exchange(&error))?;
        if asking.body.has_body() {
            return Ok((None, Vec::new()));
        }
        let mut source = Source::new(&mut stream, &[]);
        let first = answer::next(&mut source).await?;
        Ok((Some(first), source.into_rest()))
    };
    let sent = timeout(asking.within, exchange).await.map_err(|_| Failure::Silent(ANSWER_TIMEOUT))?;
    sent.map(|(first, early)| (stream, first, early))
}
