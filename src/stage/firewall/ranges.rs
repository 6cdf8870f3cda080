//! Address ranges: networks merged into sorted, disjoint ranges, each knowing which rule it came from.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of addresses. A lookup is one binary search, whatever the number of networks.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    v4: Box<[Range<u32>]>,
    v6: Box<[Range<u128>]>,
}

/// Collects networks for [`Ranges`].
#[derive(Debug, Default)]
pub(super) struct Collect {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
}

/// Addresses from `first` to `last`, both included, and the index of the rule that put them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range<A> {
    first: A,
    last: A,
    source: u32,
}

/// An address as a number.
trait Number: Copy + Ord {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

impl Number for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Collect {
    /// Adds a network, less those carved out of it, on behalf of a rule.
    pub(super) fn add(&mut self, network: IpNet, except: &[IpNet], source: u32) {
        match network {
            IpNet::V4(net) => {
                let holes = except.iter().filter_map(|except| match except {
                    IpNet::V4(hole) => Some((u32::from(hole.network()), u32::from(hole.broadcast()))),
                    IpNet::V6(_) => None,
                });
                carve(u32::from(net.network()), u32::from(net.broadcast()), holes.collect(), source, &mut self.v4);
            }
            IpNet::V6(net) => {
                let holes = except.iter().filter_map(|except| match except {
                    IpNet::V6(hole) => Some((u128::from(hole.network()), u128::from(hole.broadcast()))),
                    IpNet::V4(_) => None,
                });
                carve(u128::from(net.network()), u128::from(net.broadcast()), holes.collect(), source, &mut self.v6);
            }
        }
    }

    /// Sorts and merges what was collected.
    pub(super) fn merge(self) -> Ranges {
        Ranges { v4: merge(self.v4), v6: merge(self.v6) }
    }
}

impl Ranges {
    /// The rule an address falls under; where several cover it, one of them. IPv4-mapped addresses must be unmapped already.
    pub(super) fn find(&self, ip: IpAddr) -> Option<u32> {
        match ip {
            IpAddr::V4(ip) => find(&self.v4, u32::from(ip)),
            IpAddr::V6(ip) => find(&self.v6, u128::from(ip)),
        }
    }

    /// Whether no address is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// Adds what is left of `first..=last` without the holes.
fn carve<A: Number>(first: A, last: A, mut holes: Vec<(A, A)>, source: u32, to: &mut Vec<Range<A>>) {
    holes.sort_unstable();
    let mut from = first;
    for (hole_first, hole_last) in holes {
        if let Some(before) = hole_first.previous()
            && hole_first > from
        {
            to.push(Range { first: from, last: before, source });
        }
        match hole_last.next() {
            Some(after) => from = from.max(after),
            None => return,
        }
    }
    if from <= last {
        to.push(Range { first: from, last, source });
    }
}

fn merge<A: Number>(mut ranges: Vec<Range<A>>) -> Box<[Range<A>]> {
    ranges.sort_unstable();
    let mut merged: Vec<Range<A>> = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        if let Some(before) = merged.last_mut() {
            if range.last <= before.last {
                continue;
            }
            // Past the last address nothing can begin, so the sum is there wherever it is needed.
            let next = before.last.next().unwrap_or(before.last);
            if range.first <= next && range.source == before.source {
                before.last = range.last;
                continue;
            }
            range.first = range.first.max(next);
        }
        merged.push(range);
    }
    merged.into_boxed_slice()
}

fn find<A: Number>(ranges: &[Range<A>], address: A) -> Option<u32> {
    let at = ranges.partition_point(|range| range.first <= address).checked_sub(1)?;
    ranges.get(at).filter(|range| address <= range.last).map(|range| range.source)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn ranges(networks: &[IpNet]) -> Ranges {
        let mut collect = Collect::default();
        for (source, network) in networks.iter().enumerate() {
            collect.add(*network, &[], u32::try_from(source).unwrap());
        }
        collect.merge()
    }

    /// The same answer as looking at each network in turn, and a rule that truly covers the address.
    fn agrees(networks: &[IpNet], ranges: &Ranges, ip: IpAddr) {
        let found = ranges.find(ip).map(|source| networks[source as usize]);
        assert_eq!(found.is_some(), networks.iter().any(|network| network.contains(&ip)), "{ip}");
        assert!(found.is_none_or(|network| network.contains(&ip)), "{ip} is not in {found:?}");
    }

    /// Networks over few enough addresses that they overlap, touch and repeat.
    fn network() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u8>(), any::<u8>(), 8u8..=32)
            .prop_map(|(a, b, bits)| IpNet::new(Ipv4Addr::new(10, 0, a, b).into(), bits).unwrap().trunc());
        let v6 = (any::<u16>(), 96u8..=128).prop_map(|(a, bits)| IpNet::new(Ipv6Addr::from(u128::from(a)).into(), bits).unwrap().trunc());
        prop_oneof![v4, v6]
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = (any::<u8>(), any::<u8>()).prop_map(|(a, b)| IpAddr::from([10, 0, a, b]));
        let v6 = any::<u16>().prop_map(|a| IpAddr::V6(Ipv6Addr::from(u128::from(a))));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_lookup_agrees_with_a_scan(networks in prop::collection::vec(network(), 0..40), addresses in prop::collection::vec(address(), 50)) {
            let ranges = ranges(&networks);
            for ip in addresses {
                agrees(&networks, &ranges, ip);
            }
        }

        #[test]
        fn what_is_carved_out_is_not_in(inside in network(), holes in prop::collection::vec(network(), 0..6), addresses in prop::collection::vec(address(), 50)) {
            let mut collect = Collect::default();
            collect.add(inside, &holes, 0);
            let ranges = collect.merge();
            for ip in addresses.into_iter().filter(|_| holes.iter().all(|hole| inside.contains(hole))) {
                let expected = inside.contains(&ip) && !holes.iter().any(|hole| hole.contains(&ip));
                prop_assert_eq!(ranges.find(ip).is_some(), expected);
            }
        }
    }

    #[test]
    fn a_hundred_thousand_networks_are_looked_up_as_a_scan_would() {
        // A fixed multiplicative walk spreads the networks and addresses over all of IPv4.
        let spread = |n: u32| n.wrapping_mul(2_654_435_761);
        let networks: Vec<IpNet> =
            (0..100_000u32).map(|n| IpNet::new(Ipv4Addr::from(spread(n)).into(), 20 + (n % 13) as u8).unwrap().trunc()).collect();
        let ranges = ranges(&networks);
        let hits = (0..300u32).map(|n| spread(n * 331 + 7)).filter(|&n| {
            agrees(&networks, &ranges, Ipv4Addr::from(n).into());
            agrees(&networks, &ranges, Ipv4Addr::from(n ^ 0x8000_0000).into());
            ranges.find(Ipv4Addr::from(n).into()).is_some()
        });
        assert!(hits.count() > 0);
    }

    #[test]
    fn the_first_and_the_last_address_of_a_family_are_found() {
        let all = ranges(&["0.0.0.0/0".parse().unwrap(), "255.255.255.255/32".parse().unwrap(), "::/0".parse().unwrap()]);
        for ip in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            assert!(all.find(ip.parse().unwrap()).is_some(), "{ip}");
        }
        assert!(Ranges::default().find(Ipv4Addr::LOCALHOST.into()).is_none());
        assert!(Ranges::default().is_empty() && !all.is_empty());
    }
}
