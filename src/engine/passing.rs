//! Passes both bodies of an ordinary request on at once, as they come: the client's to a server, and its answer back.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tokio::io::AsyncRead;
use tokio::time::{sleep_until, timeout};

use crate::endpoint::upstream::ask::{self, Answer, Mark, lasts};
use crate::endpoint::upstream::{News, Upstream, limit_trailers};
use crate::gateway::route::Http;
use crate::observe::Observer;
use crate::stage::refusal::{BAD_BODY, BODY_TIMEOUT, BODY_TOO_LARGE, CLIENT_LOST, SLOW_CONSUMER, UPSTREAM_LOST, UPSTREAM_TIMEOUT};
use crate::stage::{Client, Refusal, Side};
use crate::wire::http::answer::Manner;
use crate::wire::http::decoder::Decoder;
use crate::wire::http::framing::{Framing, keeps_alive};
use crate::wire::http::pass::{Answers, Broken, Gives, Takes, Terms, pass};
use crate::wire::http::sink::{STALL, Unwritten};
use crate::wire::http::source::Source;

use super::opening::report;
use super::progress::Progress;

/// Informational answers (RFC 9110 §15.2) to one request, each of which takes the clock back.
const MAX_INFORMATIONAL: usize = 32;

/// How an answer ended that is whole.
pub(super) struct Done {
    /// Whether the client's connection goes on.
    pub(super) keeps_client: bool,
    /// How long the server waits for the next request over its own.
    pub(super) keeps_server: Option<Duration>,
}

/// What a request is, for whoever passes it on.
pub(super) struct Request<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: Framing,
    pub(super) http: &'a Http,
    pub(super) upstream: &'a Upstream,
    pub(super) client: &'a Client,
    pub(super) extra: &'a [(HeaderName, Option<HeaderValue>)],
    pub(super) progress: &'a Progress,
    pub(super) secure: bool,
}

/// The server that was asked.
pub(super) struct Server<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) mark: &'a Mark,
    pub(super) observer: &'a Observer,
    /// Whether the client's connection may go on behind an answer that begins now.
    pub(super) may_go_on: &'a (dyn Fn() -> bool + Sync),
}

impl Request<'_> {
    /// Passes the body on, where there is one, and then looks out for the client. Returns when the request cannot go on, with why.
    pub(super) async fn send(&self, client: &mut impl Gives, mut to: impl Takes, server: &Server<'_>) -> Box<Refusal> {
        if self.body.has_body()
            && let Err(refusal) = self.send_body(client, &mut to, server).await
        {
            return refusal;
        }
        client.is_left().await;
        lost()
    }

    async fn send_body(&self, client: &mut impl Gives, to: &mut impl Takes, server: &Server<'_>) -> Result<(), Box<Refusal>> {
        if self.is_awaited() {
            begins(client, self.progress).await?;
        }
        self.progress.begin_to_send();
        let count = |bytes| self.count(Side::Client, bytes);
        let limit = |trailers: &mut HeaderMap| limit_trailers(trailers, self.extra);
        let terms = Terms { max: self.http.max_body, patience: Some(STALL), count: &count, trailers: &limit };
        Err(match client.give(self.body, to, &terms).await {
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
    pub(super) async fn receive<R: AsyncRead + Unpin + Send>(
        &self,
        first: Option<Answer>,
        answers: &mut Source<R>,
        mut client: impl Answers,
        server: &Server<'_>,
    ) -> Result<Done, Box<Refusal>> {
        let mut answer = self.final_answer(first, answers, &mut client, server).await?;
        let (version, progress) = (self.parts.version, self.progress);
        let is_head = self.parts.method == Method::HEAD;
        let framing = Framing::of_answer(&answer, is_head).map_err(|rule| self.failed(ask::bad(server.name, rule), server))?;
        let keeps_server = (framing != Framing::UntilEnd && keeps_alive(answer.version, &answer.headers)).then(|| lasts(&answer.headers));
        let keeps_client = (server.may_go_on)() && !progress.is_last() && progress.is_whole() && keeps_alive(version, &self.parts.headers);
        self.upstream.remember(server.mark, self.secure, &mut answer.headers);
        let (status, streams) = (answer.status.as_u16(), streams_events(&answer.headers));
        progress.begin_to_answer(status, streams);
        if framing.toward(version) == Framing::UntilEnd {
            progress.end_with_connection();
        }
        client.begin(answer, framing, Manner { version, closes: !keeps_client }).map_err(|unwritten| unread(&unwritten))?;
        let count = |bytes| self.count(Side::Upstream, bytes);
        let limit = |trailers: &mut HeaderMap| limit_trailers(trailers, &[]);
        let terms = Terms { max: u64::MAX, patience: None, count: &count, trailers: &limit };
        let lost = |what: &str| Box::new(Refusal::new(UPSTREAM_LOST).rule(format!("{}: {what}", server.name)));
        match pass(answers, &mut Decoder::new(framing), &mut client, &terms).await {
            Ok(()) => Ok(Done { keeps_client, keeps_server: keeps_server.filter(|_| progress.is_whole()) }),
            Err(Broken::Malformed(rule)) => Err(lost(rule)),
            Err(Broken::Unwritten(unwritten)) => Err(unread(&unwritten)),
            Err(Broken::Cut | Broken::Silent | Broken::TooLarge) => Err(lost("ended within its answer")),
        }
    }

    /// The first answer that is not informational; those before it are passed on to whoever knows them.
    async fn final_answer<R: AsyncRead + Unpin + Send>(
        &self,
        mut first: Option<Answer>,
        answers: &mut Source<R>,
        client: &mut impl Answers,
        server: &Server<'_>,
    ) -> Result<Answer, Box<Refusal>> {
        for _ in 0..=MAX_INFORMATIONAL {
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
            let is_wanted = answer.status == StatusCode::CONTINUE;
            self.progress.note();
            if self.parts.version != Version::HTTP_10 {
                self.progress.set_torn(true);
                client.inform(answer).await.map_err(|unwritten| unread(&unwritten))?;
                self.progress.set_torn(false);
            }
            if is_wanted {
                self.progress.want_body();
            }
        }
        Err(self.failed(ask::bad(server.name, "more informational answers than anybody needs"), server))
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

/// Waits for a body that the client sends once it is asked for: for as long as for the server, until that has asked, and from then on as
/// for any body.
async fn begins(client: &mut impl Gives, progress: &Progress) -> Result<(), Box<Refusal>> {
    let begins = tokio::select! {
        biased;
        begins = client.begins() => begins,
        () = progress.body_is_wanted() => {
            progress.begin_to_send();
            timeout(STALL, client.begins()).await.map_err(|_| Refusal::new(BODY_TIMEOUT))?
        }
    };
    if begins { Ok(()) } else { Err(lost()) }
}

pub(super) fn lost() -> Box<Refusal> {
    Box::new(Refusal::new(CLIENT_LOST))
}

/// Why nothing more of an answer can be written.
fn unread(unwritten: &Unwritten) -> Box<Refusal> {
    match unwritten {
        Unwritten::Gone(_) => lost(),
        Unwritten::Stalled => Box::new(Refusal::new(SLOW_CONSUMER)),
    }
}

pub(super) fn too_large(http: &Http) -> Box<Refusal> {
    Box::new(Refusal::new(BODY_TOO_LARGE).rule(format!("http.max_body {} bytes", http.max_body)))
}

/// Whether an answer is a stream of events, which ends when somebody ends it.
fn streams_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_asked_for_its_body_may_take_as_long_as_any() {
        let (ours, mut theirs) = duplex(64);
        let (mut source, progress, began) = (Source::new(ours, &[]), Progress::new(true), Instant::now());
        let unasked = timeout(STALL * 10, begins(&mut source, &progress)).await;
        assert!(unasked.is_err() && !progress.sends(), "its server has its own time");
        progress.want_body();
        let refusal = begins(&mut source, &progress).await.unwrap_err();
        assert_eq!((refusal.outcome, began.elapsed(), progress.sends()), (BODY_TIMEOUT, STALL * 11, true));
        progress.want_body();
        theirs.write_all(b"hi").await.unwrap();
        assert_eq!(begins(&mut source, &progress).await, Ok(()));
    }
}
