//! Lists of what is revoked: a lookup costs one hash whatever their length.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

/// Until when something is revoked, and what its entry is called in the log.
#[derive(Debug)]
pub(super) struct Term {
    /// None is for good.
    pub(super) until: Option<SystemTime>,
    pub(super) place: Place,
    pub(super) note: Option<Box<str>>,
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
        let is_longer = |known: &Term| known.until.is_some_and(|known| term.until.is_none_or(|until| until > known));
        if self.0.get(&value).is_none_or(is_longer) {
            self.0.insert(value, term);
        }
    }

    /// The term under which a value is revoked at this time.
    pub(super) fn find<Q>(&self, value: &Q, now: SystemTime) -> Option<&Term>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.get(value).filter(|term| term.until.is_none_or(|until| now < until))
    }
}

/// Networks that are revoked. A lookup asks once for each length of prefix there is: 162 times at most.
#[derive(Debug, Default)]
pub(super) struct Networks {
    list: List<IpNet>,
    /// The lengths of IPv4 prefixes and of IPv6 ones, the longest first.
    lengths: [Vec<u8>; 2],
}

impl Networks {
    pub(super) fn add(&mut self, network: IpNet, term: Term) {
        let [v4, v6] = &mut self.lengths;
        let lengths = if network.addr().is_ipv4() { v4 } else { v6 };
        if let Err(at) = lengths.binary_search_by(|length| network.prefix_len().cmp(length)) {
            lengths.insert(at, network.prefix_len());
        }
        self.list.add(network, term);
    }

    /// The narrowest network that covers an address at this time, and its term. IPv4-mapped addresses must be unmapped already.
    pub(super) fn find(&self, ip: IpAddr, now: SystemTime) -> Option<(IpNet, &Term)> {
        let [v4, v6] = &self.lengths;
        let lengths = if ip.is_ipv4() { v4 } else { v6 };
        lengths.iter().find_map(|length| {
            let network = IpNet::new(ip, *length).ok()?.trunc();
            Some((network, self.list.find(&network, now)?))
        })
    }
}
