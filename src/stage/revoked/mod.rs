//! `revoked`: tokens, users, keys and addresses that are good no more, though nothing about them has changed.

mod entry;
mod list;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{Cidr, Many};

use super::build::Need;
use super::networks::Networks;
use super::refusal::{Clause, REVOKED, Refusal, Verdict};
use super::{Build, Client, Configure, Identity, Judgement, Peer, Stage, lines};

pub use entry::{Entry, Line};
use entry::{Kind, What};
use list::{List, Place, Term};

/// `[revoked.NAME]`: tokens, users, keys and addresses that are good no more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Tokens, by their `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Many<Entry>>,
    /// Users, by the `sub` of their tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<Many<Entry>>,
    /// Keys, by the `kid` of their JWK, or of the token where the key is configured without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Many<Entry>>,
    /// Networks and addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Many<Entry>>,
    /// Files of the same, one a line: `jti:VALUE`, or `jti:VALUE until 2027-01-31T18:00:00Z`; behind ` #` a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Many<PathBuf>>,
}

/// Ends what is revoked: addresses when they become known, identities once they are proven, and both again whenever the config or
/// time has changed.
#[derive(Debug, Default)]
pub struct Revoked {
    jti: List<Box<str>>,
    sub: List<Box<str>>,
    kid: List<Box<str>>,
    ip: Networks<Term>,
    files: Box<[Arc<Path>]>,
    /// When entries are over, in order, each once.
    ends: Box<[SystemTime]>,
}

impl Revoked {
    fn judge_address(&self, ip: IpAddr, now: SystemTime) -> Verdict {
        list::find(&self.ip, ip.to_canonical(), now)
            .map_or(Ok(()), |(network, term)| Err(self.refusal("ip", &Cidr(network).to_string(), term)))
    }

    /// Judges all that stages before have proven.
    fn judge_identities(&self, client: &Client, now: SystemTime) -> Verdict {
        client.identities.iter().try_for_each(|identity| self.judge_identity(&identity, now))
    }

    fn judge_identity(&self, identity: &Identity, now: SystemTime) -> Verdict {
        if let Some(kid) = identity.proof.kid.as_deref()
            && let Some(term) = self.kid.find(kid, now)
        {
            return Err(self.refusal("kid", kid, term));
        }
        let claims: Map<String, Value> = serde_json::from_str(&identity.claims).unwrap_or_default();
        for (key, list) in [("jti", &self.jti), ("sub", &self.sub)] {
            let value = match claims.get(key) {
                Some(Value::String(value)) => value.clone(),
                Some(Value::Number(value)) => value.to_string(),
                _ => continue,
            };
            if let Some(term) = list.find(value.as_str(), now) {
                return Err(self.refusal(key, &value, term));
            }
        }
        Ok(())
    }

    /// `jti[2] VALUE (note)`, or `files[0] revoked.txt:17 jti VALUE (note)`.
    fn refusal(&self, key: &'static str, value: &str, term: &Term) -> Box<Refusal> {
        let (place, clause) = match term.place {
            Place::Table(index) => (format!("{key}[{index}]"), Clause { key, index: Some(index), line: None }),
            Place::Line(index, line) => {
                let file = self.files.get(index);
                let place = format!("files[{index}] {}:{line} {key}", file.map(|file| file.display().to_string()).unwrap_or_default());
                (place, Clause { key: "files", index: Some(index), line: file.map(|file| (file.clone(), line)) })
            }
        };
        let note = term.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        Box::new(Refusal { clause: Some(clause), ..Refusal::new(REVOKED).rule(format!("{place} {value}{note}")) })
    }
}

impl Stage for Revoked {
    fn connect(&self, peer: &Peer) -> Verdict {
        self.judge_address(peer.ip, SystemTime::now())
    }

    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(self.judge_identities(client, SystemTime::now()))
    }

    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        self.judge_address(client.peer.ip, now)?;
        self.judge_identities(client, now)
    }

    fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        self.ends.get(self.ends.partition_point(|end| *end <= now)).copied()
    }
}

impl Configure for Revoked {
    const KIND: &'static str = "revoked";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut reading = Reading { revoked: Revoked::default(), ends: Vec::new(), now: SystemTime::now(), faults: Faults::default() };
        let keys =
            [("jti", Kind::Jti, &table.jti), ("sub", Kind::Sub, &table.sub), ("kid", Kind::Kid, &table.kid), ("ip", Kind::Ip, &table.ip)];
        if keys.iter().all(|(_, _, list)| list.is_none()) && table.files.is_none() {
            let fault = Fault::new(at.clone(), format!("{} revokes nothing", build.name()));
            reading.faults.push(fault.hint("give it `jti`, `sub`, `kid`, `ip` or `files`"));
        }
        // A file may name tokens at any time: where it stands has to be right before it does.
        let named = keys.iter().find(|(_, kind, list)| *kind != Kind::Ip && list.is_some()).map(|(key, ..)| *key);
        build.needs.extend(named.or(table.files.as_ref().map(|_| "files")).map(|key| Need::Identity(at.key(key))));
        for (key, kind, list) in keys {
            for (index, entry) in list.iter().flat_map(|list| list.iter()).enumerate() {
                let at = at.key(key).index(index);
                if reading.is_over(entry) {
                    build.warnings.push(Fault::warning(at.key("until"), "this entry is over: it revokes nothing"));
                }
                if let Err(why) = reading.add(kind, entry.clone(), Place::Table(index)) {
                    reading.faults.push(Fault::said(at, &why));
                }
            }
        }
        let mut files = Vec::new();
        for (index, file) in table.files.iter().flat_map(|files| files.iter()).enumerate() {
            reading.file(index, file, &at.key("files").index(index), build);
            files.push(file.as_path().into());
        }
        if reading.faults.refuse() {
            return Err(reading.faults);
        }
        reading.ends.sort_unstable();
        reading.ends.dedup();
        Ok(Revoked { files: files.into(), ends: reading.ends.into(), ..reading.revoked })
    }
}

/// What is revoked, while it is read.
struct Reading {
    revoked: Revoked,
    ends: Vec<SystemTime>,
    now: SystemTime,
    faults: Faults,
}

impl Reading {
    fn is_over(&self, entry: &Entry) -> bool {
        entry.until.is_some_and(|until| until.get() <= self.now)
    }

    fn file(&mut self, index: usize, file: &Path, at: &KeyPath, build: &mut Build<'_>) {
        let mut faults = Faults::default();
        lines::read(file, at, build, &mut faults, |line, text| match entry::line(text)? {
            Some((kind, entry)) => self.add(kind, entry, Place::Line(index, line)),
            None => Ok(()),
        });
        self.faults.extend(faults);
    }

    /// Adds an entry, unless it is over.
    fn add(&mut self, kind: Kind, entry: Entry, place: Place) -> Result<(), String> {
        let is_over = self.is_over(&entry);
        let Entry { value, until, note } = entry;
        let what = What::read(kind, value)?;
        if is_over {
            return Ok(());
        }
        let until = until.map(|until| until.get());
        self.ends.extend(until);
        let term = Term { until, place, note: note.map(Into::into) };
        match what {
            What::Jti(value) => self.revoked.jti.add(value, term),
            What::Sub(value) => self.revoked.sub.add(value, term),
            What::Kid(value) => self.revoked.kid.add(value, term),
            What::Ip(network) => list::add(&mut self.revoked.ip, network, term),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
