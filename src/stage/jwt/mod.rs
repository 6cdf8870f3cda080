//! `jwt`: who a client is, proven by a JSON Web Token (RFC 7519).

mod algorithm;
mod claims;
mod expected;
mod issuer;
mod jose;
mod keys;
mod mint;
mod renewal;
mod set;
mod sets;
mod table;
mod verify;
mod warn;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::config::fault::{Fault, Faults};
use crate::config::units::Interval;

use super::build::Need;
use super::credentials::{Credential, Sources};
use super::proof::Latest;
use super::query;
use super::refusal::{Refusal, TOKEN_EXPIRED, Verdict};
use super::supposed::{Shown, Supposed};
use super::ticket;
use super::{Asks, Build, Client, Configure, Identity, Inspect, Judgement, Proof, Renewal, Stage};

pub use algorithm::Signature;
use claims::{Claim, Claims};
use expected::{Expected, date};
pub use issuer::{Issuer, KeySetPlace};
use jose::invalid;
use keys::Keys;
use renewal::{Reader, Renewals};
use set::Looked;
pub use table::{OnKeyRemoved, RenewMessage, RenewTable, Table};
use verify::{Standing, Tried, Verified};
pub use warn::Warn;

/// The largest claims that are kept for a connection, as JSON text in bytes; a token with larger ones is refused.
const MAX_CLAIMS: usize = 4096;
/// The longest `kid` that is kept for a connection, in bytes; a token with a longer one is refused.
const MAX_KID: usize = 256;
/// The largest leeway: it is for clocks that differ, `grace` is for clients that are slow to renew.
const MAX_LEEWAY: Duration = Duration::from_mins(10);

/// Authenticates clients by their tokens, and ends connections whose tokens no longer hold.
pub struct Jwt {
    name: Arc<str>,
    keys: Keys,
    expected: Expected,
    user: Vec<String>,
    sources: Sources,
    grace: Duration,
    renewals: Renewals,
    latest: Latest,
}

/// What a token is worth.
enum Identified<'a> {
    Now(Result<Identity, Box<Refusal>>),
    /// It may be signed with a key that this set has by now.
    ByMore(Looked<'a>),
}

impl Jwt {
    /// The identity that a token proves at this time, by the keys that there are.
    fn try_identify(&self, token: &str, now: SystemTime) -> Identified<'_> {
        match self.keys.try_verify(token) {
            Tried::Settled(verified) => Identified::Now(verified.and_then(|verified| self.admit(verified, now))),
            Tried::Unsettled(looked) => Identified::ByMore(looked),
        }
    }

    /// The same, however long it takes to have its key.
    async fn identify_in_time(&self, token: &str) -> Result<Identity, Box<Refusal>> {
        match self.try_identify(token, SystemTime::now()) {
            Identified::Now(identity) => identity,
            Identified::ByMore(looked) => self.identify_by_more(token, looked).await,
        }
    }

    /// The same once a set that may have its key has been fetched.
    async fn identify_by_more(&self, token: &str, looked: Looked<'_>) -> Result<Identity, Box<Refusal>> {
        let verified = self.keys.verify_by_more(token, looked).await?;
        self.admit(verified, SystemTime::now())
    }

    /// The same of a token whose signature is verified, or is supposed to be.
    fn admit(&self, verified: Verified, now: SystemTime) -> Result<Identity, Box<Refusal>> {
        let claims = Claims::read(&verified.claims).map_err(|_| invalid("malformed token"))?;
        self.expected.admit(&claims, now)?;
        let text = serde_json::to_string(&claims).map_err(|_| invalid("claims that are no JSON"))?;
        if text.len() > MAX_CLAIMS {
            return Err(invalid(format!("claims over {MAX_CLAIMS} bytes")));
        }
        if verified.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(invalid(format!("kid over {MAX_KID} bytes")));
        }
        let (user, expires) = (self.user(&claims), self.expiry(&claims, now)?);
        let Verified { key, kid, key_set, algorithm, .. } = verified;
        Ok(Identity {
            by: self.name.clone(),
            user,
            claims: text.into(),
            expires,
            proof: self.latest.share(Proof { key, kid, key_set, algorithm: algorithm::name(algorithm) }),
        })
    }

    /// Judges all of an identity that does not change with time.
    fn hold(&self, identity: &Identity) -> Verdict {
        let Ok(claims) = Claims::read(&identity.claims) else { return Err(invalid("its claims are not an object")) };
        match self.keys.still_verify(identity, claims.issuer()) {
            Standing::Good => {}
            Standing::NoKey => return Err(invalid("its key is no longer configured")),
            Standing::NoAlgorithm => return Err(invalid("its algorithm is no longer configured")),
        }
        self.expected.hold(&claims)
    }

    fn user(&self, claims: &Claims<'_>) -> Option<Arc<str>> {
        self.user.iter().find_map(|name| match claims.find(name)? {
            Claim::Text(user) if !user.is_empty() => Some(user.into()),
            Claim::Other(Value::Number(user)) => Some(user.to_string().into()),
            _ => None,
        })
    }

    /// When an identity ends. A token that leeway alone has let in would be over at once: it lives as long as it could be presented.
    fn expiry(&self, claims: &Claims<'_>, now: SystemTime) -> Result<Option<SystemTime>, Box<Refusal>> {
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
        let (token, is_first) = match self.sources.find(client) {
            Ok(Credential::Awaited(first)) => return Judgement::FirstMessage(first),
            Ok(Credential::Shown(token)) => (token, false),
            Ok(Credential::First(token)) => (token, true),
            Err(refusal) => return Judgement::Now(Err(refusal)),
        };
        let now = SystemTime::now();
        let supposed = client.request.as_ref().and_then(|request| request.extensions.get::<Supposed>());
        let identified = match supposed.filter(|supposed| *supposed.token == *token) {
            Some(supposed) => Identified::Now(self.keys.suppose(&supposed.claims).and_then(|verified| self.admit(verified, now))),
            None => self.try_identify(&token, now),
        };
        match identified {
            Identified::Now(identity) => Judgement::Now(identity.map(|identity| self.sources.prove(client, identity, is_first))),
            Identified::ByMore(looked) => Judgement::Later(Box::pin(async move {
                let identity = self.identify_by_more(&token, looked).await?;
                self.sources.prove(client, identity, is_first);
                Ok(())
            })),
        }
    }

    fn take_effect(&self) {
        self.keys.sets.begin();
    }

    fn show(&self, token: &str) -> Option<Shown> {
        self.sources.show(token)
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
        self.sources.withhold(client);
        if let Some(request) = client.request.as_mut().filter(|_| self.renewals.ticket) {
            query::take(request, ticket::PARAMETER);
        }
    }

    /// Judges what is kept of the token this stage was shown.
    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        if client.asks == Asks::Leave {
            return Ok(());
        }
        let is_own = |other: &Identity| self.hold(other).is_ok();
        client.identities.review(&self.name, is_own, |identity| self.hold(identity).and_then(|()| unexpired(identity, now)))
    }
}

fn expected(issuers: Vec<Issuer>, audiences: Vec<String>, require: Vec<String>, leeway: Duration) -> Expected {
    let own = issuers.iter().filter(|issuer| !issuer.audience.is_empty());
    let own_audiences = own.map(|issuer| (issuer.iss.clone(), issuer.audience.0.clone())).collect();
    Expected { issuers: issuers.into_iter().map(|issuer| issuer.iss).collect(), audiences, own_audiences, require, leeway }
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
        if table.algorithms.is_empty() {
            faults.push(Fault::new(at.key("algorithms"), "`algorithms` is empty: no token could be verified"));
        }
        let leeway = table.leeway.on().map_or(Duration::ZERO, Interval::get);
        if leeway > MAX_LEEWAY {
            let hint = "leeway is for clocks that differ; to let connections outlive their tokens, set `grace`";
            faults.push(Fault::new(at.key("leeway"), "leeway is 10m at most").hint(hint));
        }
        let renewals = Renewals::read(&table, &at, &mut faults);
        if renewals.message.is_some() {
            build.needs.push(Need::Takes(at.key("renew").key("message")));
        }
        let keys = Keys::read(&table, build, &mut faults);
        let sources = Sources::read(table.sources.0, table.first_message, build, &mut faults);
        if faults.refuse() {
            return Err(faults);
        }
        Ok(Self {
            name: build.name().into(),
            keys,
            expected: expected(table.issuer.0, table.audience.0, table.require.0, leeway),
            user: table.user.0,
            sources,
            grace: table.grace.on().map_or(Duration::ZERO, Interval::get),
            renewals,
            latest: Latest::default(),
        })
    }
}

#[cfg(test)]
mod tests;
