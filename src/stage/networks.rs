//! Networks with a value each, of which an address finds the narrowest: a lookup costs a hash for each length of prefix there is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use ipnet::IpNet;

/// Networks, each once, with what is known of it. A lookup asks once for each length of prefix there is: 162 times at most.
#[derive(Debug)]
pub(super) struct Networks<T> {
    known: HashMap<IpNet, T>,
    /// The lengths of IPv4 prefixes and of IPv6 ones, the longest first.
    lengths: [Vec<u8>; 2],
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), lengths: Default::default() }
    }
}

impl<T> Networks<T> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The place of a network, to be filled.
    pub(super) fn entry(&mut self, network: IpNet) -> Entry<'_, IpNet, T> {
        let [v4, v6] = &mut self.lengths;
        let lengths = if network.addr().is_ipv4() { v4 } else { v6 };
        if let Err(at) = lengths.binary_search_by(|length| network.prefix_len().cmp(length)) {
            lengths.insert(at, network.prefix_len());
        }
        self.known.entry(network)
    }

    /// The narrowest network that covers an address and counts. IPv4-mapped addresses must be unmapped already.
    pub(super) fn find(&self, ip: IpAddr, counts: impl Fn(&T) -> bool) -> Option<(IpNet, &T)> {
        let [v4, v6] = &self.lengths;
        let lengths = if ip.is_ipv4() { v4 } else { v6 };
        lengths.iter().find_map(|length| {
            let network = IpNet::new(ip, *length).ok()?.trunc();
            Some((network, self.known.get(&network).filter(|value| counts(value))?))
        })
    }
}
