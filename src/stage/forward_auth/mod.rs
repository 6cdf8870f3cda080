//! `forward_auth`: whether a client is let in, as a service outside decides.

mod answers;
mod decision;
mod question;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use serde_json::{Map, Value};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{HttpUrl, Interval};

use super::build::Need;
use super::fields::{take_out, unbind};
use super::fingerprint::Fingerprint;
use super::header_name::header_name;
use super::outside::{News, Outside, Question, Trust};
use super::refusal::{AUTH_UNAVAILABLE, INTERNAL, Refusal, TOKEN_EXPIRED, TOKEN_MISSING, Verdict};
use super::supposed::{Rehearsed, Shown, Supposed};
use super::{Asks, Build, Client, Configure, Identity, Judgement, Proof, Stage};

use answers::Answers;
use decision::{Decision, named, refusal};
pub use table::{OnError, Table};

/// The largest answer that is read, in bytes.
const MAX_BODY: usize = 64 << 10;
/// The largest headers of an answer that are kept for a connection, as JSON text in bytes.
const MAX_CLAIMS: usize = 4096;
/// How long an answer may be gone by.
const MAX_CACHE: Duration = Duration::from_hours(1);
/// What is said of identities in the place of a signature's algorithm.
const ALGORITHM: &str = "forward_auth";

/// Asks a service about each client that wants in.
pub struct ForwardAuth {
    name: Arc<str>,
    url: HttpUrl,
    /// Of all identities: it is this service that says who somebody is.
    proof: Arc<Proof>,
    trust: Option<Trust>,
    outside: Arc<Outside>,
    send: Option<Box<[HeaderName]>>,
    receive: Box<[HeaderName]>,
    user: Option<HeaderName>,
    /// Both of these.
    said: Arc<[HeaderName]>,
    timeout: Duration,
    keep: Option<Duration>,
    answers: Answers,
    on_error: OnError,
    lifetime: Option<Duration>,
    is_failing: AtomicBool,
}

impl ForwardAuth {
    async fn ask(&self, client: &mut Client) -> Verdict {
        let Some(request) = client.request.as_deref() else { return Err(Box::new(Refusal::new(INTERNAL).rule("no request to ask about"))) };
        let headers = question::headers(client, request, self.send.as_deref());
        let mut told: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        told.sort_unstable();
        let fingerprint = Fingerprint::of(told);
        let is_bare = !headers.contains_key(header::AUTHORIZATION) && !headers.contains_key(header::COOKIE);
        let (url, trust, within) = (self.url.clone(), self.trust.clone(), self.timeout);
        let question = Question { url, headers, trust, within, max_body: MAX_BODY, redirects: 0, takes_place: true };
        let ask = || -> super::BoxFuture<'static, Arc<Decision>> {
            let (question, outside, said, user) = (question.clone(), self.outside.clone(), self.said.clone(), self.user.clone());
            Box::pin(async move { Arc::new(Decision::of(outside.ask(question).await, &said, user.as_ref())) })
        };
        let decision = self.answers.to(fingerprint, self.keep, ask).await;
        match &*decision {
            Decision::Yes(headers) => match self.identity(headers, SystemTime::now()) {
                Ok(identity) => {
                    self.works();
                    self.tell_backend(client, headers);
                    client.prove(identity);
                    Ok(())
                }
                Err(why) => self.fails(client, &why),
            },
            Decision::No(words) => {
                self.works();
                Err(refusal(words, is_bare))
            }
            Decision::Failed(why) => self.fails(client, why),
        }
    }

    /// The service gave no answer that can be gone by: it is told once until it does.
    fn fails(&self, client: &mut Client, why: &str) -> Verdict {
        let lets_in = self.on_error == OnError::Allow;
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            self.outside.tell(News::ServiceFailed { stage: self.name.clone(), error: why.to_owned(), lets_in });
        }
        if !lets_in {
            return Err(Box::new(Refusal::new(AUTH_UNAVAILABLE).rule(format!("{}: {why}", self.url.shown())).at("url")));
        }
        self.tell_backend(client, &HeaderMap::new());
        client.prove(self.somebody(None, &Map::new(), SystemTime::now()));
        Ok(())
    }

    fn works(&self) {
        if self.is_failing.load(Ordering::Relaxed) && self.is_failing.swap(false, Ordering::Relaxed) {
            self.outside.tell(News::ServiceBack { stage: self.name.clone() });
        }
    }

    /// What an answer says of the client: its user as `sub`, and the headers that are received, by their names in lower case.
    fn identity(&self, headers: &HeaderMap, now: SystemTime) -> Result<Identity, String> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok()).map(str::trim);
        let user = self.user.as_ref().and_then(|name| named(headers, name));
        let received = self.receive.iter().filter_map(|name| Some((name.as_str().to_owned(), Value::from(text(name)?))));
        let claims: Map<String, Value> = received.chain(user.map(|user| ("sub".to_owned(), user.into()))).collect();
        let identity = self.somebody(user, &claims, now);
        match identity.claims.len() > MAX_CLAIMS {
            true => Err(format!("headers over {MAX_CLAIMS} bytes")),
            false => Ok(identity),
        }
    }

    fn somebody(&self, user: Option<&str>, claims: &Map<String, Value>, now: SystemTime) -> Identity {
        Identity {
            by: self.name.clone(),
            user: user.map(Into::into),
            claims: Value::Object(claims.clone()).to_string().into(),
            expires: self.lifetime.and_then(|lifetime| now.checked_add(lifetime)),
            proof: self.proof.clone(),
        }
    }

    /// Writes what is received of an answer into the request that a backend will be sent; the client's own never pass.
    fn tell_backend(&self, client: &mut Client, answer: &HeaderMap) {
        let Some(request) = client.request.as_deref_mut() else { return };
        for name in &self.receive {
            take_out(&mut request.headers, name);
            for value in answer.get_all(name) {
                request.headers.append(name, value.clone());
            }
        }
        unbind(&mut request.headers, |element| self.receive.iter().any(|name| element.eq_ignore_ascii_case(name.as_str().as_bytes())));
    }

    /// A rehearsal asks nobody: whoever it supposes to be known is let in, and nobody else.
    fn rehearse(&self, client: &mut Client) -> Verdict {
        let supposed = client.request.as_ref().and_then(|request| {
            let supposed = request.extensions.get::<Supposed>()?;
            shows(request, &supposed.token).then(|| supposed.claims.clone())
        });
        let Some(claims) = supposed else {
            return Err(Box::new(Refusal::new(TOKEN_MISSING).rule("nobody is asked here, and nothing is supposed of the client")));
        };
        let said = |name: &str| claims.get(name).and_then(Value::as_str).and_then(|text| HeaderValue::from_str(text).ok());
        let received = self.receive.iter().filter_map(|name| Some((name.clone(), said(name.as_str())?)));
        let user = self.user.iter().filter_map(|name| Some((name.clone(), said("sub")?)));
        let headers: HeaderMap = received.chain(user).collect();
        let identity = Identity {
            claims: Value::Object(claims).to_string().into(),
            ..self.identity(&headers, SystemTime::now()).map_err(|why| Box::new(Refusal::new(AUTH_UNAVAILABLE).rule(why)))?
        };
        self.tell_backend(client, &headers);
        client.prove(identity);
        Ok(())
    }
}

fn shows(request: &Parts, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    request.headers.get(header::AUTHORIZATION).is_some_and(|line| line.as_bytes() == bearer.as_bytes())
}

impl Stage for ForwardAuth {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        if client.asks == Asks::Leave {
            self.tell_backend(client, &HeaderMap::new());
            return Judgement::Now(Ok(()));
        }
        if client.request.as_ref().is_some_and(|request| request.extensions.get::<Rehearsed>().is_some()) {
            return Judgement::Now(self.rehearse(client));
        }
        Judgement::Later(Box::pin(self.ask(client)))
    }

    /// What the client says of itself in headers that are the service's to say.
    fn withhold(&self, client: &mut Client) {
        if client.identity(&self.name).is_none() {
            self.tell_backend(client, &HeaderMap::new());
        }
    }

    fn show(&self, token: &str) -> Option<Shown> {
        Some(Shown { header: Some(("Authorization".into(), format!("Bearer {token}"))), ..Shown::default() })
    }

    /// The service was asked about this client, under this stage's name or one that it had before.
    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        if client.asks == Asks::Leave {
            return Ok(());
        }
        let is_own = |identity: &Arc<Identity>| identity.proof == self.proof;
        let Some(own) = client.identity(&self.name).or_else(|| client.identities.iter().find(is_own)) else {
            let rule = if client.identities.is_empty() { "never asked about" } else { "authenticated otherwise" };
            return Err(Box::new(Refusal::new(TOKEN_MISSING).rule(rule)));
        };
        if own.expires.is_some_and(|expires| expires <= now) {
            return Err(Box::new(Refusal::new(TOKEN_EXPIRED).at("lifetime")));
        }
        Ok(())
    }

    fn tidy(&self) {
        self.answers.tidy();
    }
}

impl Configure for ForwardAuth {
    const KIND: &'static str = "forward_auth";
    const AUTHENTICATES: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        let send = table.send.as_ref().map(|send| names(send, &at.key("send"), &mut faults, sendable));
        let receive = names(&table.receive, &at.key("receive"), &mut faults, header_name);
        let user = table.user.as_deref().map(any_name).transpose();
        let user = user.map_err(|why| faults.push(Fault::said(at.key("user"), &why))).ok().flatten();
        let keep = table.cache.on().map(Interval::get);
        if keep.is_some_and(|keep| keep > MAX_CACHE) {
            faults.push(Fault::new(at.key("cache"), "an answer is gone by for 1h at most"));
        }
        if !receive.is_empty() {
            build.needs.push(Need::Backend(at.key("receive")));
        }
        if send.as_ref().is_none_or(|send| send.contains(&header::COOKIE)) {
            build.needs.push(Need::Origins(at.key(if table.send.is_some() { "send" } else { "url" })));
        }
        if !table.url.is_private() {
            let message = format!("what is asked of {} is read by whoever sits between, credentials and all", table.url.shown());
            build.warnings.push(Fault::warning(at.key("url"), message).hint("ask over https"));
        }
        let trust = match table.url.is_tls {
            true => Trust::read(table.tls.as_ref(), &at, &at.key("url"), build).map_err(|fault| faults.push(fault)).ok(),
            false => None,
        };
        if faults.refuse() {
            return Err(faults);
        }
        Ok(Self {
            name: build.name().into(),
            proof: Arc::new(Proof { key: table.url.shown().into(), kid: None, key_set: None, algorithm: ALGORITHM }),
            url: table.url,
            trust,
            outside: build.outside(),
            send: send.map(Into::into),
            said: receive.iter().chain(&user).cloned().collect(),
            receive: receive.into(),
            user,
            timeout: table.timeout.get(),
            keep,
            answers: Answers::default(),
            on_error: table.on_error,
            lifetime: table.lifetime.on().map(Interval::get),
            is_failing: AtomicBool::new(false),
        })
    }
}

/// Reads names of headers; what is none, or not to be had, is a fault.
fn names(written: &[String], at: &KeyPath, faults: &mut Faults, read: impl Fn(&str) -> Result<HeaderName, String>) -> Vec<HeaderName> {
    let mut all: Vec<HeaderName> = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match read(text) {
            Ok(name) if !all.contains(&name) => all.push(name),
            Ok(_) => {}
            Err(why) => faults.push(Fault::said(at.index(index), &why)),
        }
    }
    all
}

fn any_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is not the name of a header"))
}

/// The name of a header of the client's that the service may be sent.
fn sendable(text: &str) -> Result<HeaderName, String> {
    let name = any_name(text)?;
    match question::may_go(&name) {
        true => Ok(name),
        false => Err(format!("the header {text} is not the client's to send on: it is of its connection, or the gateway's own to write")),
    }
}

#[cfg(test)]
mod tests;
