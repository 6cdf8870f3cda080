//! `api_key`: who a client is, proven by a key of its own.

mod fresh;
mod hash;
mod keys;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::config::fault::{Fault, Faults, KeyPath};

use super::credentials::{Credential, Sources};
use super::refusal::{REVOKED, ROUTE_CHANGED, Refusal, TOKEN_EXPIRED, TOKEN_INVALID, Verdict};
use super::supposed::{Shown, Supposed};
use super::{Asks, Build, Client, Configure, Identity, Judgement, Proof, Stage, lines};

pub use fresh::{fresh, hashed, is_short};
use hash::Places;
pub use hash::{Argon2Hash, Sha256Hash};
use keys::{Key, Keys};
pub use table::{Id, Line, Scope, Table};

/// Authenticates clients by their keys, and ends connections whose keys are good no more.
pub struct ApiKey {
    name: Arc<str>,
    keys: Keys,
    sources: Sources,
    places: Places,
}

impl ApiKey {
    /// The identity that a key proves.
    fn admit(&self, key: &Key, now: SystemTime) -> Result<Identity, Box<Refusal>> {
        unexpired(key, now)?;
        Ok(Identity {
            by: self.name.clone(),
            user: Some((&*key.name).into()),
            claims: key.claims.clone(),
            // Its end may be edited: it is judged by the key, not by what was kept of it.
            expires: None,
            proof: key.proof.clone(),
        })
    }

    /// As if a key with these claims had been shown.
    fn suppose(&self, supposed: &Supposed) -> Identity {
        Identity {
            by: self.name.clone(),
            user: supposed.claims.get("sub").and_then(Value::as_str).map(Into::into),
            claims: Value::Object(supposed.claims.clone()).to_string().into(),
            expires: None,
            proof: Proof { key: "key:supposed".into(), kid: None, key_set: None, algorithm: "SHA-256" }.into(),
        }
    }

    /// Judges a key that let a client in, as it stands in the file now.
    fn hold(&self, identity: &Identity, now: SystemTime) -> Verdict {
        let Some(key) = self.keys.marked(&identity.proof.key) else {
            let user = identity.user.as_deref().unwrap_or_default();
            return Err(Box::new(Refusal::new(REVOKED).rule(format!("{user}'s key is no longer there"))));
        };
        unexpired(key, now)?;
        if key.claims != identity.claims {
            return Err(Box::new(Refusal::new(ROUTE_CHANGED).rule(format!("{}'s key has another name or other scopes now", key.name))));
        }
        Ok(())
    }
}

fn unexpired(key: &Key, now: SystemTime) -> Verdict {
    if key.expires.is_some_and(|expires| expires <= now) {
        return Err(Box::new(Refusal::new(TOKEN_EXPIRED).rule(format!("{}'s key has expired", key.name))));
    }
    Ok(())
}

impl Stage for ApiKey {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        if client.asks == Asks::Leave {
            return Judgement::Now(Ok(()));
        }
        let (shown, is_first) = match self.sources.find(client) {
            Ok(Credential::Awaited(first)) => return Judgement::FirstMessage(first),
            Ok(Credential::Shown(key)) => (key, false),
            Ok(Credential::First(key)) => (key, true),
            Err(refusal) => return Judgement::Now(Err(refusal)),
        };
        let supposed = client.request.as_ref().and_then(|request| request.extensions.get::<Supposed>());
        if let Some(supposed) = supposed.filter(|supposed| *supposed.token == *shown) {
            let identity = self.suppose(supposed);
            self.sources.prove(client, identity, is_first);
            return Judgement::Now(Ok(()));
        }
        let now = SystemTime::now();
        match self.keys.find(&shown) {
            Err(refusal) => Judgement::Now(Err(refusal)),
            Ok(keys::Shown::Known(key)) => {
                Judgement::Now(self.admit(&key, now).map(|identity| self.sources.prove(client, identity, is_first)))
            }
            Ok(keys::Shown::Hashed(hash, key)) => Judgement::Later(Box::pin(async move {
                if !hash.matches(shown, &self.places).await? {
                    return Err(Box::new(Refusal::new(TOKEN_INVALID).rule("another key than that of its id")));
                }
                self.admit(&key, now).map(|identity| self.sources.prove(client, identity, is_first))
            })),
        }
    }

    fn show(&self, key: &str) -> Option<Shown> {
        self.sources.show(key)
    }

    fn withhold(&self, client: &mut Client) {
        self.sources.withhold(client);
    }

    /// Judges the key this stage was shown.
    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        if client.asks == Asks::Leave {
            return Ok(());
        }
        let is_own = |other: &Identity| self.keys.marked(&other.proof.key).is_some();
        client.identities.review(&self.name, is_own, |identity| self.hold(identity, now))
    }

    fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        self.keys.next_end(now)
    }
}

impl Configure for ApiKey {
    const KIND: &'static str = "api_key";
    const AUTHENTICATES: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        let mut keys = Keys::default();
        let is_bare = table.keys.is_empty() && table.files.is_empty();
        if is_bare {
            let fault = Fault::new(at.clone(), format!("{} has no keys, so it would let nobody in", build.name()));
            faults.push(fault.hint("make one by `wsgate key new --name NAME`, and paste the line into `keys`"));
        }
        let now = SystemTime::now();
        for (index, line) in table.keys.into_iter().enumerate() {
            let at = at.key("keys").index(index);
            if line.expires.is_some_and(|expires| expires.get() <= now) {
                build.warnings.push(Fault::warning(at.key("expires"), "this key has expired: it lets nobody in"));
            }
            if let Err((key, why)) = keys.add(line) {
                faults.push(Fault::said(key.map_or(at.clone(), |key| at.key(key)), &why));
            }
        }
        for (index, file) in table.files.iter().enumerate() {
            read(file, &at.key("files").index(index), &mut keys, build, &mut faults);
        }
        if !is_bare && keys.is_empty() && !faults.refuse() {
            build.warnings.push(Fault::warning(at, format!("{} has no keys, so it lets nobody in", build.name())));
        }
        let sources = Sources::read(table.sources.0, table.first_message, build, &mut faults);
        if faults.refuse() { Err(faults) } else { Ok(Self { name: build.name().into(), keys, sources, places: Places::default() }) }
    }
}

/// Reads a file of lines.
fn read(file: &Path, at: &KeyPath, keys: &mut Keys, build: &mut Build<'_>, faults: &mut Faults) {
    lines::read(file, at, build, faults, |_, text| {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if !text.starts_with('{') {
            return Err("this is no line of a key; `wsgate key new --name NAME` prints one".to_owned());
        }
        let line = Line::read(text)?;
        keys.add(line).map_err(|(_, why)| why)
    });
}

#[cfg(test)]
mod tests;
