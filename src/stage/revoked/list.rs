//! Lists of what is revoked: a lookup costs one hash whatever their length.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::stage::networks::Networks;

/// Until when something is revoked, and what its entry is called in the log.
#[derive(Debug)]
pub(super) struct Term {
    /// None is for good.
    pub(super) until: Option<SystemTime>,
    pub(super) place: Place,
    pub(super) note: Option<Box<str>>,
}

impl Term {
    fn is_on(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it ends later than another.
    fn outlasts(&self, other: &Self) -> bool {
        other.until.is_some_and(|other| self.until.is_none_or(|until| until > other))
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the table, at this index of its key.
    Table(usize),
    /// In the file of this index, on this line.
    Line(usize, usize),
}

/// Values that are revoked.
#[derive(Debug)]
pub(super) struct List<K>(HashMap<K, Term>);

impl<K> Default for List<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> List<K> {
    /// Adds a value; of two terms for one the later holds.
    pub(super) fn add(&mut self, value: K, term: Term) {
        if self.0.get(&value).is_none_or(|known| term.outlasts(known)) {
            self.0.insert(value, term);
        }
    }

    /// The term under which a value is revoked at this time.
    pub(super) fn find<Q>(&self, value: &Q, now: SystemTime) -> Option<&Term>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.get(value).filter(|term| term.is_on(now))
    }
}

/// Adds a network; of two terms for one the later holds.
pub(super) fn add(networks: &mut Networks<Term>, network: IpNet, term: Term) {
    match networks.entry(network) {
        Entry::Occupied(known) if !term.outlasts(known.get()) => {}
        entry => _ = entry.insert_entry(term),
    }
}

/// The narrowest network that covers an address at this time, and its term.
pub(super) fn find(networks: &Networks<Term>, ip: IpAddr, now: SystemTime) -> Option<(IpNet, &Term)> {
    networks.find(ip, |term| term.is_on(now))
}
