//! Whom a listener believes about where its clients are, and what comes of their word.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::stage::Refusal;
use crate::stage::refusal::BAD_HANDSHAKE;
use crate::wire::fields::only;
use crate::wire::hops::{hops, is_list, is_secure};

/// The most proxies that are believed to stand between a client and the gateway.
pub const MAX_HOPS: usize = 32;

/// What proxies say of the scheme that the client spoke.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A set of addresses: networks without overlap, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Box<[IpNet]>);

impl Networks {
    /// What these cover together.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut networks = IpNet::aggregate(&networks.to_vec());
        networks.sort_unstable_by_key(IpNet::network);
        Self(networks.into())
    }

    /// Whether the address is in one of them. An IPv4-mapped one must be unmapped already.
    pub fn contain(&self, ip: IpAddr) -> bool {
        let before = self.0.partition_point(|network| network.network() <= ip);
        before.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|network| network.contains(&ip))
    }

    /// The networks.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> {
        self.0.iter().copied()
    }
}

/// Proxies that are believed, and the header they are believed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Networks,
    header: HeaderName,
}

/// What proxies say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The client's address.
    pub ip: IpAddr,
    /// The proxies it came through, the nearest last; nobody where the client speaks for itself.
    pub hops: Vec<IpAddr>,
    /// Whether the client came over TLS; none where nothing is said of it.
    pub secure: Option<bool>,
}

impl TrustedProxies {
    /// Proxies of these networks, believed by this header.
    pub fn new(networks: Networks, header: HeaderName) -> Self {
        Self { networks, header }
    }

    /// The one header they are believed by, where it holds the client's address and nothing else.
    pub fn address_header(&self) -> Option<&HeaderName> {
        Some(&self.header).filter(|header| !is_list(header))
    }

    /// Their networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Whether whoever connects from this address speaks for others.
    pub fn contain(&self, ip: IpAddr) -> bool {
        self.networks.contain(ip)
    }

    /// Where the client is, by the word of the proxy at `peer`: each entry was written by who stands behind it, so they are believed
    /// from the last one on, up to the first that is no proxy of ours. Without an entry the proxy speaks for itself, as in its probes.
    ///
    /// # Errors
    /// `bad_handshake`, by what is wrong with the header: nobody can say then whose request it is.
    pub fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Said, Box<Refusal>> {
        let wrong = |rule: &str| Box::new(Refusal::new(BAD_HANDSHAKE).rule(format!("{}: {rule}", self.header)));
        let (mut ip, mut way, mut secure) = (peer, Vec::new(), None);
        for hop in hops(headers, &self.header).map_err(wrong)?.into_iter().rev() {
            if !self.contain(ip) {
                break;
            }
            if way.len() == MAX_HOPS {
                return Err(wrong("more than 32 proxies"));
            }
            let hop = hop.ok_or_else(|| wrong("an entry that is no address"))?;
            way.push(ip);
            (ip, secure) = (hop.ip, hop.secure);
        }
        way.reverse();
        let scheme = || only(headers, &X_FORWARDED_PROTO).and_then(|scheme| is_secure(str::from_utf8(scheme).ok()?));
        Ok(Said { ip, hops: way, secure: secure.or_else(scheme) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn networks(list: &[&str]) -> Networks {
        let networks: Vec<IpNet> = list.iter().map(|network| network.parse().unwrap()).collect();
        Networks::new(&networks)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_the_networks_that_cover_it() {
        let some = networks(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/25", "192.0.2.128/25", "2001:db8::/32", "::1/128"]);
        let rows = [("10.1.2.3", true), ("192.0.2.200", true), ("2001:db8::7", true), ("::1", true)];
        for (address, is_in) in
            rows.into_iter().chain([("9.255.255.255", false), ("11.0.0.0", false), ("192.0.3.0", false), ("::2", false)])
        {
            assert_eq!(some.contain(ip(address)), is_in, "{address}");
        }
        assert!(!networks(&[]).contain(ip("10.0.0.1")));
        assert_eq!(networks(&["0.0.0.0/1", "128.0.0.0/1"]).iter().collect::<Vec<_>>(), ["0.0.0.0/0".parse().unwrap()]);
    }

    /// The header that proxies are believed by, the lines of a request, and what comes of them.
    type Row<'a> = (&'static str, &'a [(&'static str, &'a str)], &'a str);

    /// Whom a request from 10.0.0.1 with these lines is from, and through whom it came, over which scheme.
    fn said(header: &'static str, lines: &[(&'static str, &str)]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let proxies = TrustedProxies::new(networks(&["10.0.0.0/8", "2001:db8::/32"]), HeaderName::from_static(header));
        let Said { ip, hops, secure } = proxies.resolve(self::ip("10.0.0.1"), &headers).map_err(|refusal| refusal.rule.unwrap())?;
        let way: Vec<String> = [ip].iter().chain(&hops).map(ToString::to_string).collect();
        Ok(format!("{}{}", way.join(" "), if secure == Some(true) { " https" } else { "" }))
    }

    #[test]
    fn the_client_is_the_last_entry_that_is_no_proxy_of_ours() {
        let list = "x-forwarded-for";
        let rows: &[Row<'_>] = &[
            (list, &[], "10.0.0.1"),
            (list, &[(list, "")], "10.0.0.1"),
            (list, &[(list, "192.0.2.7")], "192.0.2.7 10.0.0.1"),
            (list, &[(list, "1.1.1.1, 192.0.2.7")], "192.0.2.7 10.0.0.1"),
            (list, &[(list, "garbage, 192.0.2.7")], "192.0.2.7 10.0.0.1"),
            (list, &[(list, "1.1.1.1, 192.0.2.7"), (list, "2001:db8::1, 10.0.0.2")], "192.0.2.7 2001:db8::1 10.0.0.2 10.0.0.1"),
            (list, &[(list, "10.0.0.3, 10.0.0.2")], "10.0.0.3 10.0.0.2 10.0.0.1"),
            (list, &[(list, "::ffff:10.0.0.2")], "10.0.0.2 10.0.0.1"),
            (list, &[("x-real-ip", "1.1.1.1"), ("forwarded", "for=1.1.1.1")], "10.0.0.1"),
            (list, &[(list, "192.0.2.7"), ("x-forwarded-proto", "https")], "192.0.2.7 10.0.0.1 https"),
            (list, &[("x-forwarded-proto", "wss")], "10.0.0.1 https"),
            (list, &[("x-forwarded-proto", "https, http")], "10.0.0.1"),
            (list, &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")], "10.0.0.1"),
            ("forwarded", &[("forwarded", "for=192.0.2.7;proto=https, for=10.0.0.2;proto=http")], "192.0.2.7 10.0.0.2 10.0.0.1 https"),
            ("forwarded", &[("forwarded", "for=192.0.2.7;proto=http"), ("x-forwarded-proto", "https")], "192.0.2.7 10.0.0.1"),
            ("cf-connecting-ip", &[("cf-connecting-ip", "192.0.2.7"), (list, "1.1.1.1")], "192.0.2.7 10.0.0.1"),
        ];
        for (header, lines, way) in rows {
            assert_eq!(said(header, lines).as_deref(), Ok(*way), "{lines:?}");
        }
    }

    #[test]
    fn a_proxy_that_does_not_say_whom_it_speaks_for_is_not_taken_for_the_client() {
        let list = "x-forwarded-for";
        let many = vec!["10.0.0.2"; MAX_HOPS + 1].join(", ");
        let rows: &[Row<'_>] = &[
            (list, &[(list, "192.0.2.7, unknown")], "x-forwarded-for: an entry that is no address"),
            (list, &[(list, "192.0.2.7, _hidden, 10.0.0.2")], "x-forwarded-for: an entry that is no address"),
            (list, &[(list, &many)], "x-forwarded-for: more than 32 proxies"),
            ("forwarded", &[("forwarded", "for=unknown")], "forwarded: an entry that is no address"),
            ("forwarded", &[("forwarded", "for=\"")], "forwarded: a malformed entry"),
            ("x-real-ip", &[("x-real-ip", "192.0.2.7, 192.0.2.8")], "x-real-ip: an entry that is no address"),
            ("x-real-ip", &[("x-real-ip", "192.0.2.7"), ("x-real-ip", "192.0.2.7")], "x-real-ip: more than one line of it"),
        ];
        for (header, lines, rule) in rows {
            assert_eq!(said(header, lines), Err((*rule).to_owned()), "{lines:?}");
        }
    }
}
