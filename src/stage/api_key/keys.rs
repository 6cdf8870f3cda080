//! The keys that are good, found by what a client shows, and by what is kept of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::stage::fingerprint::Fingerprint;
use crate::stage::refusal::TOKEN_INVALID;
use crate::stage::sha256::Sha256;
use crate::stage::{Proof, Refusal};

use super::fresh::{is_broken, parts};
use super::hash::{Argon2Hash, Hashed, Sha256Hash};
use super::table::{Id, Line};

/// The longest key that is looked at, in bytes.
const MAX_KEY: usize = 512;

/// Keys, each by its hash or its id, and by its mark.
#[derive(Default)]
pub(super) struct Keys {
    by_sha256: HashMap<Sha256, Arc<Key>>,
    by_id: HashMap<Box<str>, (Hashed, Arc<Key>)>,
    by_mark: HashMap<Arc<str>, Arc<Key>>,
    /// When keys expire, in order, each once.
    ends: Vec<SystemTime>,
}

/// A key, without any of it.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Box<str>,
    /// What it says of its user, as JSON text in the form of a token's claims.
    pub(super) claims: Box<str>,
    pub(super) expires: Option<SystemTime>,
    /// Its mark, which tells it from all others as long as this process runs, and nobody what it is; and its id.
    pub(super) proof: Arc<Proof>,
}

/// What a key that was shown may be.
pub(super) enum Shown {
    /// It is this one.
    Known(Arc<Key>),
    /// It is this one where it has this hash.
    Hashed(Hashed, Arc<Key>),
}

impl Keys {
    /// Adds a key.
    ///
    /// # Errors
    /// Says what is wrong with its line, and with which key of that.
    pub(super) fn add(&mut self, line: Line) -> Result<(), (Option<&'static str>, String)> {
        line.check()?;
        let sha256 = line.sha256.as_ref().map(Sha256Hash::read).transpose().map_err(|why| (Some("sha256"), why))?;
        let argon2 = line.argon2.as_ref().map(Argon2Hash::read).transpose().map_err(|why| (Some("argon2"), why))?;
        let text = match (&sha256, &line.argon2) {
            (Some(hash), _) => hash.to_string(),
            (None, hash) => hash.as_ref().map(|hash| hash.expose().to_owned()).unwrap_or_default(),
        };
        let Fingerprint(mark, _) = Fingerprint::of(&text);
        let key = Arc::new(Key {
            claims: claims(&line.name, line.scopes.iter().map(|scope| &*scope.0)).into(),
            name: line.name.into(),
            expires: line.expires.map(|expires| expires.get()),
            proof: Arc::new(Proof {
                key: format!("key:{mark:016x}").into(),
                kid: line.id.as_ref().map(|id| (*id.0).into()),
                key_set: None,
                algorithm: if argon2.is_some() { "Argon2id" } else { "SHA-256" },
            }),
        });
        if let Some(other) = self.by_mark.get(&key.proof.key) {
            return Err((None, format!("this is {}'s key already; leave one of the two out", other.name)));
        }
        if let (Some(hash), Some(Id(id))) = (argon2, line.id) {
            if let Some((_, other)) = self.by_id.get(&id) {
                return Err((Some("id"), format!("the id {id} is that of {}'s key already; each needs one of its own", other.name)));
            }
            self.by_id.insert(id, (hash, key.clone()));
        }
        if let Some(hash) = sha256 {
            self.by_sha256.insert(hash, key.clone());
        }
        if let Some(expires) = key.expires {
            let at = self.ends.partition_point(|end| *end < expires);
            if self.ends.get(at) != Some(&expires) {
                self.ends.insert(at, expires);
            }
        }
        self.by_mark.insert(key.proof.key.clone(), key);
        Ok(())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_mark.is_empty()
    }

    /// The key that a text is, or may be. It is looked up by its SHA-256: how long that takes tells nothing of the keys there are, as
    /// nobody can aim at a hash.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, with nothing of the key.
    pub(super) fn find(&self, shown: &str) -> Result<Shown, Box<Refusal>> {
        let invalid = |rule: &str| Err(Box::new(Refusal::new(TOKEN_INVALID).rule(rule)));
        if shown.len() > MAX_KEY {
            return invalid("a key of over 512 bytes");
        }
        if let Some(key) = self.by_sha256.get(&Sha256::of(shown.as_bytes())) {
            return Ok(Shown::Known(key.clone()));
        }
        // Only keys of ours have a sum, and only one without its own can be wrong in it.
        if let Some((hash, key)) = parts(shown).and_then(|(id, _)| self.by_id.get(id)) {
            return Ok(Shown::Hashed(hash.clone(), key.clone()));
        }
        invalid(if is_broken(shown) { "no such key: it was mistyped or cut" } else { "no such key" })
    }

    /// The key with this mark.
    pub(super) fn marked(&self, mark: &str) -> Option<&Key> {
        self.by_mark.get(mark).map(|key| &**key)
    }

    /// The first moment after this one at which a key expires.
    pub(super) fn next_end(&self, now: SystemTime) -> Option<SystemTime> {
        self.ends.get(self.ends.partition_point(|end| *end <= now)).copied()
    }
}

/// A user's name and scopes, in the form of a token's claims (RFC 9068 §2.2).
fn claims<'a>(name: &str, scopes: impl Iterator<Item = &'a str>) -> String {
    let scope = scopes.collect::<Vec<_>>().join(" ");
    let mut claims = Map::from_iter([("sub".to_owned(), Value::from(name))]);
    if !scope.is_empty() {
        claims.insert("scope".to_owned(), scope.into());
    }
    Value::Object(claims).to_string()
}
