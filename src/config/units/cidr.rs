//! Networks and addresses, as firewalls and proxies list them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use super::written_as_string;

/// A network or a single address: `"10.0.0.0/8"`, `"2001:db8::/32"`, `"192.0.2.7"`.
///
/// Read from text it has no bit set after its prefix, and an IPv4-mapped IPv6 network (RFC 4291 §2.5.5.2) is the IPv4 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(pub IpNet);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = match (text.parse::<IpAddr>(), text.parse::<IpNet>()) {
            (Ok(address), _) => IpNet::from(address),
            (Err(_), Ok(net)) => net,
            (Err(_), Err(_)) => {
                return Err(format!("{text:?} is not a network; write it as \"10.0.0.0/8\", \"2001:db8::/32\" or \"192.0.2.7\""));
            }
        };
        let network = net.trunc();
        if net == network {
            return Ok(Self(unmapped(network)));
        }
        let (address, extent) = (Self(IpNet::from(net.addr())), extent(network));
        Err(format!("{net} is {network}, {extent}; write {network} if that is meant, or {address} for the one address"))
    }
}

/// How much a network covers, in words.
fn extent(network: IpNet) -> String {
    let family = if network.addr().is_ipv4() { "IPv4" } else { "IPv6" };
    match (network.prefix_len(), network.max_prefix_len() - network.prefix_len()) {
        (0, _) => format!("all of {family}"),
        (1, _) => format!("half of {family}"),
        (2, _) => format!("a quarter of {family}"),
        (3, _) => format!("an eighth of {family}"),
        (_, bits @ 0..=31) => format!("{} addresses", 1u64 << bits),
        (_, bits) => format!("2^{bits} addresses"),
    }
}

/// The IPv4 network that an IPv4-mapped one stands for; any other as it is.
fn unmapped(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let (Some(v4), Some(prefix)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(net) = Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(net);
    }
    network
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { write!(f, "{}", self.0.addr()) } else { write!(f, "{}", self.0) }
    }
}

written_as_string!(
    Cidr,
    "Cidr",
    "a network or an address: \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"",
    r"^[0-9A-Fa-f:.]+(/[0-9]+)?$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_without_host_bits_is_itself() {
        for (written, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(written.parse::<Cidr>().unwrap().to_string(), read);
        }
    }

    #[test]
    fn an_ipv4_mapped_network_is_the_ipv4_one() {
        for (written, read) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "a fault"),
        ] {
            assert_eq!(written.parse::<Cidr>().map_or("a fault".to_owned(), |cidr| cidr.to_string()), read);
        }
    }

    #[test]
    fn host_bits_are_a_fault_that_says_what_they_would_mean() {
        for (written, said) in [
            ("203.0.113.0/2", "203.0.113.0/2 is 192.0.0.0/2, a quarter of IPv4"),
            ("10.0.0.1/0", "10.0.0.1/0 is 0.0.0.0/0, all of IPv4"),
            ("10.1.0.0/8", "10.1.0.0/8 is 10.0.0.0/8, 16777216 addresses"),
            ("10.0.0.1/31", "10.0.0.1/31 is 10.0.0.0/31, 2 addresses"),
            ("2001:db8::1/64", "2001:db8::1/64 is 2001:db8::/64, 2^64 addresses"),
        ] {
            assert_eq!(written.parse::<Cidr>().unwrap_err().split("; ").next(), Some(said));
        }
    }

    #[test]
    fn what_is_no_network_is_a_fault() {
        for written in ["", "localhost", "10.0.0.0/33", "10.0.0", "10.0.0.*", "10.0.0.0/255.0.0.0", "fe80::1%eth0", " 10.0.0.0/8"] {
            assert!(written.parse::<Cidr>().unwrap_err().contains("is not a network"), "{written}");
        }
    }
}
