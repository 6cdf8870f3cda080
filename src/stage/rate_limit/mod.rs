//! `rate_limit`: how much clients may do, each key for itself and all its connections together.

mod concurrent;
mod requests;
mod table;
mod traffic;

use std::sync::Arc;

use crate::config::fault::{Fault, Faults, Place};

use super::build::Need;
use super::fingerprint::Fingerprint;
pub use super::rates::KeyPart;
use super::rates::{Bucket, Buckets, Clock, Key, Quick};
use super::refusal::Verdict;
use super::{Asks, Build, Client, Configure, Inspect, Judgement, Peer, Stage};

pub use concurrent::{Concurrent, OnFull};
pub use requests::Requests;
pub use table::{OnExcess, Table};
use traffic::{Limits, Rule};

/// Counts what clients do, and refuses what is too much.
pub struct RateLimit {
    /// What connections keep their buckets as: by another key they would have others.
    held_as: Arc<str>,
    key: Box<[KeyPart]>,
    /// Shared with the snapshots before and after: what is spent stays spent.
    buckets: Arc<Buckets>,
    clock: Clock,
    connect: Option<Rule<Quick>>,
    requests: Option<Rule<Quick>>,
    concurrent: Option<Concurrent>,
    traffic: Option<Arc<Limits>>,
}

impl RateLimit {
    fn fingerprint(&self, peer: &Peer, client: Option<&Client>) -> Fingerprint {
        let parts = if client.is_some_and(|client| self.is_nobodys(client)) { &[KeyPart::ADDRESS] } else { &*self.key };
        Fingerprint::of(Key { parts, peer, client })
    }

    /// Whether it is a preflight, which bears no credential, under a key that goes by who the client is: all of them together would be one
    /// client, whose limit anybody may use up. They count for their addresses.
    fn is_nobodys(&self, client: &Client) -> bool {
        client.asks == Asks::Leave && self.key.iter().any(KeyPart::is_of_identity)
    }

    /// Whether handshakes are counted before their requests are read.
    fn is_early(&self) -> bool {
        self.key.iter().all(KeyPart::is_of_address)
    }

    /// Counts a handshake.
    fn count(&self, peer: &Peer, client: Option<&Client>) -> Verdict {
        let Some(rule) = &self.connect else { return Ok(()) };
        self.buckets.charge(self.fingerprint(peer, client), |account| rule.spend(&account.connect))
    }

    /// Counts what a client asks for, where it has not been counted yet.
    fn count_asked(&self, client: &Client) -> Verdict {
        match (client.asks, &self.requests) {
            (Asks::Upgrade, _) if self.is_early() => Ok(()),
            (Asks::Upgrade, _) => self.count(&client.peer, Some(client)),
            (Asks::Answer | Asks::Leave, None) => Ok(()),
            (Asks::Answer | Asks::Leave, Some(rule)) => {
                self.buckets.charge(self.fingerprint(&client.peer, Some(client)), |account| rule.spend(&account.requests))
            }
        }
    }

    fn admit(&self, client: &mut Client) -> Verdict {
        self.count_asked(client)?;
        if self.concurrent.is_none() && self.traffic.is_none() {
            return Ok(());
        }
        let bucket = self.buckets.get(self.fingerprint(&client.peer, Some(client)));
        if let Some(concurrent) = self.concurrent.as_ref().filter(|_| !self.is_nobodys(client)) {
            concurrent.admit(client, &bucket)?;
        }
        client.holdings.keep(&self.held_as, bucket);
        Ok(())
    }
}

impl Stage for RateLimit {
    fn connect(&self, peer: &Peer) -> Verdict {
        if self.is_early() { self.count(peer, None) } else { Ok(()) }
    }

    /// A request is counted once it is read, as one.
    fn revisit(&self, _: &Peer) -> Verdict {
        Ok(())
    }

    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(self.admit(client))
    }

    /// The connection's bucket is the one it was given, unless the key has changed since: then what is known of it must do.
    fn inspect(&self, client: &Client) -> Inspect {
        let Some(limits) = &self.traffic else { return Inspect::Nothing };
        let given = client.holdings.kept::<Bucket>(&self.held_as);
        let bucket = given.unwrap_or_else(|| self.buckets.get(self.fingerprint(&client.peer, Some(client))));
        Inspect::Frames(limits.inspector(bucket))
    }

    fn bars_takeover(&self) -> bool {
        self.traffic.as_ref().is_some_and(|limits| limits.leave_out())
    }

    fn tidy(&self) {
        self.buckets.sweep(self.clock.now());
    }
}

impl Configure for RateLimit {
    const KIND: &'static str = "rate_limit";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let faults = faults(&table, build);
        if faults.refuse() {
            return Err(faults);
        }
        build.warnings.extend(faults);
        if table.has_rates() {
            build.needs.push(Need::Once("it would count everything twice"));
        }
        if table.key.iter().any(KeyPart::is_of_identity) {
            build.needs.push(Need::Identity(build.at().key("key")));
        }
        Ok(Self::over(table, &build.name(), build.cell(Buckets::default), Clock::default()))
    }
}

impl RateLimit {
    fn over(table: Table, name: &str, buckets: Arc<Buckets>, clock: Clock) -> Self {
        Self {
            // In quotes: a claim's name may have blanks, and must not read as two parts.
            held_as: format!("{name} by {:?}", table.key.0.iter().map(ToString::to_string).collect::<Vec<_>>()).into(),
            buckets,
            connect: Rule::quick("connect", table.connect.as_ref(), &clock),
            requests: Rule::quick("requests", table.requests.as_ref(), &clock),
            concurrent: table.concurrent,
            traffic: Limits::of(&table, &clock).map(Arc::new),
            key: table.key.0.into(),
            clock,
        }
    }
}

/// What a table's shape alone does not show.
fn faults(table: &Table, build: &Build<'_>) -> Faults {
    let (at, name) = (build.at(), build.name());
    let mut faults = Faults::default();
    let limits_traffic = table.messages.is_some() || table.bytes.is_some() || table.frames.is_some();
    if table.key.is_empty() {
        faults.push(Fault::new(at.key("key"), "`key` is empty: nothing would be counted by it").hint("to count by address, write \"ip\""));
    }
    if !limits_traffic && table.connect.is_none() && table.requests.is_none() && table.concurrent.is_none() {
        let fault = Fault::new(at.clone(), format!("{name} limits nothing"));
        faults.push(fault.hint("give it `connect`, `requests`, `messages`, `bytes`, `frames` or `concurrent`"));
    } else if !limits_traffic && table.on_excess != OnExcess::Refuse {
        let fault = Fault::new(at.key("on_excess"), format!("{name} limits no traffic, and a handshake can only be refused"));
        faults.push(fault.hint(match table.concurrent {
            None => "leave `on_excess` out, or give it `messages`, `bytes` or `frames`".to_owned(),
            Some(Concurrent { max, .. }) => format!("write concurrent = {{ max = {max}, on_excess = \"close_oldest\" }}, or leave it out"),
        }));
    }
    if table.frames.is_some() && matches!(table.on_excess, OnExcess::Drop | OnExcess::Notify) {
        let fault = Fault::new(at.key("on_excess"), "a frame cannot be left out of a message that has begun");
        faults.push(fault.hint("limit `messages`, or take \"close\" or \"delay\" for `frames`"));
    }
    if table.notify.is_some() && table.on_excess != OnExcess::Notify {
        let fault = Fault::new(Place::Key(at.key("notify")), "nobody is told this");
        faults.push(fault.hint("add on_excess = \"notify\""));
    }
    for (key, is_there) in
        [("connect", table.connect.is_some()), ("requests", table.requests.is_some()), ("concurrent", table.concurrent.is_some())]
    {
        if is_there && table.key.contains(&KeyPart::Connection) {
            let place = Place::Key(at.key(key));
            let fault = Fault::new(place, format!("by \"connection\" every connection is the first of its key: `{key}` limits nothing"));
            faults.push(fault.hint("leave \"connection\" out of `key`, or limit this in a rate_limit of its own"));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
