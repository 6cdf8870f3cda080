//! `jwt`: who a client is, proven by a JSON Web Token (RFC 7519).

mod algorithm;
mod claims;
mod keys;
mod mint;
mod renewal;
mod show;
mod source;
mod table;
mod take;
mod verify;
mod warn;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use serde_json::Value;

use crate::config::fault::{Fault, Faults};
use crate::config::units::{Interval, Size};

use super::build::Need;
use super::client::{ForwardFirst, claim};
use super::query;
use super::refusal::{Refusal, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_MISSING, Verdict};
use super::supposed::{Shown, Supposed};
use super::ticket;
use super::{Asks, Build, Client, Configure, FirstMessage, Identity, Inspect, Judgement, Renewal, Stage};

pub use algorithm::Signature;
use claims::{Claims, Expected, date};
use keys::Keys;
use renewal::{Reader, Renewals};
pub use source::Source;
pub use table::{FirstMessageTable, RenewMessage, RenewTable, Table};
use verify::Verified;
pub use warn::Warn;

/// The largest claims that are kept for a connection, as JSON text in bytes; a token with larger ones is refused.
const MAX_CLAIMS: usize = 4096;
/// The longest `kid` that is kept for a connection, in bytes; a token with a longer one is refused.
const MAX_KID: usize = 256;
/// The largest leeway: it is for clocks that differ, `grace` is for clients that are slow to renew.
const MAX_LEEWAY: Duration = Duration::from_mins(10);
/// The largest first message, in bytes: it is held for a client nobody knows yet.
const MAX_FIRST_MESSAGE: u64 = 64 << 10;

/// Authenticates clients by their tokens, and ends connections whose tokens no longer hold.
pub struct Jwt {
    name: Arc<str>,
    keys: Keys,
    expected: Expected,
    user: Vec<String>,
    sources: Vec<Source>,
    first_message: FirstMessage,
    /// Where the token stands in a first message; none where it is all of it.
    field: Option<Box<str>>,
    /// Whether the backend needs the first message too.
    forward: bool,
    grace: Duration,
    renewals: Renewals,
}

/// Where a handshake stands: the token, or that it is still to come.
enum Credential {
    Token(String),
    /// The same, out of the first message.
    First(String),
    Awaited,
}

impl Jwt {
    /// The first credential that is present; a first message comes after everything a request can bear. A bad one is never rescued by
    /// a later source. All of them are taken out of the request, whichever decides.
    fn credential(&self, client: &mut Client) -> Result<Credential, Box<Refusal>> {
        if let Some(token) = client.request.as_mut().and_then(|request| self.take(request)) {
            return token.map(Credential::Token);
        }
        if !self.sources.contains(&Source::FirstMessage) {
            return Err(Box::new(Refusal::new(TOKEN_MISSING).at("sources")));
        }
        match &client.first_message {
            None => Ok(Credential::Awaited),
            Some(message) => take::first_message(message, self.field.as_deref()).map(Credential::First),
        }
    }

    /// Takes every credential out of a request, and gives the first.
    fn take(&self, request: &mut Parts) -> Option<Result<String, Box<Refusal>>> {
        let mut found = None;
        for source in &self.sources {
            let taken = source.take(request).transpose();
            found = found.or(taken);
        }
        found
    }

    /// The identity that a token proves at this time.
    fn identify(&self, token: &str, now: SystemTime) -> Result<Identity, Box<Refusal>> {
        self.admit(self.keys.verify(token)?, now)
    }

    /// The same of a token whose signature is verified, or is supposed to be.
    fn admit(&self, verified: Verified<'_>, now: SystemTime) -> Result<Identity, Box<Refusal>> {
        self.expected.admit(&verified.claims, now)?;
        let text =
            serde_json::to_string(&verified.claims).map_err(|_| Box::new(Refusal::new(TOKEN_INVALID).rule("claims that are no JSON")))?;
        if text.len() > MAX_CLAIMS {
            return Err(Box::new(Refusal::new(TOKEN_INVALID).rule(format!("claims over {MAX_CLAIMS} bytes"))));
        }
        if verified.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Box::new(Refusal::new(TOKEN_INVALID).rule(format!("kid over {MAX_KID} bytes"))));
        }
        Ok(Identity {
            by: self.name.clone(),
            user: self.user(&verified.claims),
            claims: text.into(),
            expires: self.expiry(&verified.claims, now)?,
            key: verified.key.id.clone(),
            kid: verified.kid,
            algorithm: algorithm::name(verified.algorithm),
        })
    }

    /// Judges all of an identity that does not change with time.
    fn hold(&self, identity: &Identity) -> Verdict {
        let invalid = |rule: &str| Err(Box::new(Refusal::new(TOKEN_INVALID).rule(rule)));
        let by_its_key = || self.keys.all.iter().filter(|key| key.id == identity.key);
        if by_its_key().next().is_none() {
            return invalid("its key is no longer configured");
        }
        if !by_its_key().flat_map(|key| &key.algorithms).any(|able| algorithm::name(*able) == identity.algorithm) {
            return invalid("its algorithm is no longer configured");
        }
        let Ok(claims) = serde_json::from_str::<Claims>(&identity.claims) else { return invalid("its claims are not an object") };
        self.expected.hold(&claims)
    }

    fn user(&self, claims: &Claims) -> Option<Arc<str>> {
        self.user.iter().find_map(|name| match claim(claims, name)? {
            Value::String(user) if !user.is_empty() => Some(user.as_str().into()),
            Value::Number(user) => Some(user.to_string().into()),
            _ => None,
        })
    }

    /// When an identity ends. A token that leeway alone has let in would be over at once: it lives as long as it could be presented.
    fn expiry(&self, claims: &Claims, now: SystemTime) -> Result<Option<SystemTime>, Box<Refusal>> {
        let end = |exp: SystemTime| {
            let graced = exp + self.grace;
            if now < graced { graced } else { exp + self.expected.leeway }
        };
        Ok(date(claims, "exp")?.map(end))
    }
}

impl Stage for Jwt {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        if client.asks == Asks::Leave {
            return Judgement::Now(Ok(()));
        }
        if self.renewals.ticket
            && let Some(Err(refusal)) = client.request.as_deref_mut().map(ticket::issue)
        {
            return Judgement::Now(Err(refusal));
        }
        let (token, is_first) = match self.credential(client) {
            Ok(Credential::Awaited) => return Judgement::FirstMessage(self.first_message),
            Ok(Credential::Token(token)) => (token, false),
            Ok(Credential::First(token)) => (token, true),
            Err(refusal) => return Judgement::Now(Err(refusal)),
        };
        let now = SystemTime::now();
        let supposed = client.request.as_ref().and_then(|request| request.extensions.get::<Supposed>());
        let identified = match supposed.filter(|supposed| *supposed.token == *token) {
            Some(supposed) => self.keys.suppose(&supposed.claims).and_then(|verified| self.admit(verified, now)),
            None => self.identify(&token, now),
        };
        Judgement::Now(identified.map(|identity| {
            client.prove(identity);
            if let Some(request) = client.request.as_mut().filter(|_| is_first && self.forward) {
                request.extensions.insert(ForwardFirst);
            }
        }))
    }

    fn show(&self, token: &str) -> Option<Shown> {
        self.sources.first().map(|source| source.show(token, self.field.as_deref()))
    }

    fn renewal(&self) -> Option<&dyn Renewal> {
        Some(self as &dyn Renewal).filter(|_| self.renewals.are_there())
    }

    /// Tokens come in messages of a client's that it has let in by one.
    fn inspect(&self, client: &Client) -> Inspect {
        match &self.renewals.message {
            Some(form) if Renewal::identity(self, client).is_some() => Inspect::Messages(Box::new(Reader::new(form))),
            _ => Inspect::Nothing,
        }
    }

    fn bars_takeover(&self) -> bool {
        self.renewals.message.is_some()
    }

    fn withhold(&self, client: &mut Client) {
        if let Some(request) = &mut client.request {
            self.take(request);
            if self.renewals.ticket {
                query::take(request, ticket::PARAMETER);
            }
        }
    }

    /// Judges what is kept of the token this stage was shown. Where it was shown none, as under a name it has not had for long,
    /// it judges the identities that it would have proven: to rename a stage closes nobody.
    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        if client.asks == Asks::Leave {
            return Ok(());
        }
        if let Some(own) = client.identity(&self.name) {
            return self.hold(&own).and_then(|()| unexpired(&own, now));
        }
        let missing = |rule: &str| Err(Box::new(Refusal::new(TOKEN_MISSING).rule(rule)));
        if client.identities.is_empty() {
            return missing("never authenticated");
        }
        let mut others = client.identities.iter().filter(|other| self.hold(other).is_ok()).peekable();
        if others.peek().is_none() {
            return missing("authenticated otherwise");
        }
        others.try_for_each(|other| unexpired(&other, now))
    }
}

/// Judges an identity's time.
fn unexpired(identity: &Identity, now: SystemTime) -> Verdict {
    if identity.expires.is_some_and(|expires| expires <= now) {
        return Err(Box::new(Refusal::new(TOKEN_EXPIRED)));
    }
    Ok(())
}

impl Configure for Jwt {
    const KIND: &'static str = "jwt";
    const AUTHENTICATES: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        for (key, is_empty, why) in [
            ("algorithms", table.algorithms.is_empty(), "no token could be verified"),
            ("sources", table.sources.is_empty(), "no token could be read"),
        ] {
            if is_empty {
                faults.push(Fault::new(at.key(key), format!("`{key}` is empty: {why}")));
            }
        }
        let leeway = table.leeway.on().map_or(Duration::ZERO, Interval::get);
        if leeway > MAX_LEEWAY {
            let hint = "leeway is for clocks that differ; to let connections outlive their tokens, set `grace`";
            faults.push(Fault::new(at.key("leeway"), "leeway is 10m at most").hint(hint));
        }
        if table.first_message.is_some() && !table.sources.contains(&Source::FirstMessage) {
            let fault = Fault::warning(at.key("first_message"), "no token is read from the first message");
            build.warnings.push(fault.hint("add \"first_message\" to `sources`"));
        }
        let first = table.first_message.clone().unwrap_or_default();
        if first.max.get() > MAX_FIRST_MESSAGE {
            faults.push(Fault::new(
                at.key("first_message").key("max"),
                format!("a first message is {} at most", Size::bytes(MAX_FIRST_MESSAGE)),
            ));
        }
        if first.field.as_deref() == Some("") {
            faults.push(Fault::new(
                at.key("first_message").key("field"),
                "an empty name is no field; leave it out where the token is all of the message",
            ));
        }
        for (index, source) in table.sources.iter().enumerate() {
            let at = at.key("sources").index(index);
            match source {
                Source::Cookie(_) => build.needs.push(Need::Origins(at)),
                Source::FirstMessage => build.needs.push(Need::FirstMessage(at)),
                Source::Header | Source::Query(_) | Source::Subprotocol(_) => {}
            }
        }
        if table.first_message.as_ref().is_some_and(|first| first.forward) {
            build.needs.push(Need::Backend(at.key("first_message").key("forward")));
        }
        let renewals = Renewals::read(&table, &at, &mut faults);
        let keys = Keys::read(&table, build, &mut faults);
        if faults.refuse() {
            return Err(faults);
        }
        Ok(Self {
            name: build.name().into(),
            keys,
            expected: Expected { issuers: table.issuer.0, audiences: table.audience.0, require: table.require.0, leeway },
            user: table.user.0,
            sources: table.sources.0,
            first_message: FirstMessage { timeout: first.timeout.get(), max: first.max.get() },
            field: first.field.map(Into::into),
            forward: first.forward,
            grace: table.grace.on().map_or(Duration::ZERO, Interval::get),
            renewals,
        })
    }
}

#[cfg(test)]
mod tests;
