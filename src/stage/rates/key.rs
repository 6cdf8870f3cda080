//! Keys: whose traffic counts together.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderName;
use ipnet::IpNet;

use crate::config::units::written_as_string;
use crate::stage::{Client, Peer};

/// The network of an IPv6 client: one customer is given no less.
const IPV6: u8 = 64;

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// The client's network, of these lengths.
    Ip {
        /// For IPv4.
        v4: u8,
        /// For IPv6.
        v6: u8,
    },
    /// The authenticated user's name.
    User,
    /// A verified claim.
    Claim(Box<str>),
    /// A request header, all its values.
    Header(HeaderName),
    /// The route.
    Route,
    /// The connection: nobody shares it.
    Connection,
}

impl KeyPart {
    /// `"ip"`.
    pub(in crate::stage) const ADDRESS: Self = Self::Ip { v4: 32, v6: 64 };

    /// Whether it is known as soon as the client's address is.
    pub(in crate::stage) fn is_of_address(&self) -> bool {
        matches!(self, Self::Ip { .. })
    }

    /// Whether only a stage that authenticates can make it known.
    pub(in crate::stage) fn is_of_identity(&self) -> bool {
        matches!(self, Self::User | Self::Claim(_))
    }
}

/// A key of these parts for this client, for as much of it as is known; what a client does not have it has in common with all others
/// that do not.
pub(in crate::stage) struct Key<'a> {
    pub(in crate::stage) parts: &'a [KeyPart],
    pub(in crate::stage) peer: &'a Peer,
    pub(in crate::stage) client: Option<&'a Client>,
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for part in self.parts {
            match (part, self.client) {
                (KeyPart::Ip { v4, v6 }, _) => network(self.peer.ip, *v4, *v6).hash(state),
                (_, None) => {}
                (KeyPart::User, Some(client)) => client.user().hash(state),
                (KeyPart::Claim(name), Some(client)) => client.claim(name).map(|claim| claim.to_string()).hash(state),
                (KeyPart::Header(name), Some(client)) => {
                    let values = client.request.iter().flat_map(|request| request.headers.get_all(name));
                    let values: Vec<&[u8]> = values.map(http::HeaderValue::as_bytes).collect();
                    values.hash(state);
                }
                (KeyPart::Route, Some(client)) => client.route.hash(state),
                (KeyPart::Connection, Some(client)) => client.id.hash(state),
            }
        }
    }
}

fn network(ip: IpAddr, v4: u8, v6: u8) -> IpAddr {
    let ip = ip.to_canonical();
    let length = if ip.is_ipv4() { v4 } else { v6 };
    IpNet::new(ip, length).map_or(ip, |network| network.network())
}

fn length(text: &str, most: u8) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("{text:?} is no length of a network, 1 to {most}; \"ip/24\" is for IPv4, \"ip/24/48\" for IPv4 and IPv6"))
}

impl FromStr for KeyPart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned()).ok_or(format!("{text:?} names nothing"));
        let mut ip = text.split('/');
        match (text, text.split_once(':')) {
            ("user", _) => Ok(Self::User),
            ("route", _) => Ok(Self::Route),
            ("connection", _) => Ok(Self::Connection),
            (_, Some(("claim", name))) => named(name).map(|name| Self::Claim(name.into())),
            (_, Some(("header", name))) => {
                named(name)?.parse().map(Self::Header).map_err(|_| format!("{name:?} is no name a header could have"))
            }
            _ => match (ip.next(), ip.next(), ip.next(), ip.next()) {
                (Some("ip"), None, ..) => Ok(Self::Ip { v4: 32, v6: IPV6 }),
                (Some("ip"), Some(v4), None, _) => Ok(Self::Ip { v4: length(v4, 32)?, v6: IPV6 }),
                (Some("ip"), Some(v4), Some(v6), None) => Ok(Self::Ip { v4: length(v4, 32)?, v6: length(v6, 128)? }),
                _ => Err(format!(
                    "{text:?} is nothing to count by; there are \"ip\", \"ip/24\", \"user\", \"claim:NAME\", \"header:NAME\", \"route\" and \
                     \"connection\""
                )),
            },
        }
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Ip { v4: 32, v6: IPV6 } => Cow::Borrowed("ip"),
            Self::Ip { v4, v6: IPV6 } => format!("ip/{v4}").into(),
            Self::Ip { v4, v6 } => format!("ip/{v4}/{v6}").into(),
            Self::User => "user".into(),
            Self::Claim(name) => format!("claim:{name}").into(),
            Self::Header(name) => format!("header:{name}").into(),
            Self::Route => "route".into(),
            Self::Connection => "connection".into(),
        })
    }
}

written_as_string!(
    KeyPart,
    "KeyPart",
    "what to count by: \"ip\", \"ip/24\", \"user\", \"claim:NAME\", \"header:NAME\", \"route\", \"connection\"",
    r"^(ip(/[0-9]+){0,2}|user|route|connection|(claim|header):.+)$"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::fingerprint::Fingerprint;
    use crate::stage::{Identity, Proof, sample};

    fn parts(written: &[&str]) -> Vec<KeyPart> {
        written.iter().map(|part| part.parse().unwrap()).collect()
    }

    fn client(ip: &str, user: &str, header: &str, id: u64) -> Client {
        let mut client = sample::client(&[("x-tenant", header)]);
        client.peer = sample::peer(ip);
        client.id = id;
        let claims = format!("{{\"sub\":\"{user}\",\"team\":[\"{header}\"]}}").into();
        let user = Some(user.into());
        let by = "jwt.users".into();
        client.prove(Identity {
            by,
            user,
            claims,
            expires: None,
            proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
        });
        client
    }

    /// Whether two clients count together by this key.
    fn together(key: &[&str], one: &Client, other: &Client) -> bool {
        let parts = parts(key);
        let of = |client: &Client| Fingerprint::of(Key { parts: &parts, peer: &client.peer, client: Some(client) });
        of(one) == of(other)
    }

    #[test]
    fn clients_count_together_where_every_part_of_the_key_is_the_same() {
        let one = client("192.0.2.7", "alice", "acme", 1);
        let near = client("192.0.2.8", "alice", "acme", 2);
        let far = client("198.51.100.1", "bob", "acme", 3);
        let mut elsewhere = client("192.0.2.7", "alice", "other", 4);
        elsewhere.route = "other".into();
        for (key, others) in [
            (&["ip"][..], [false, false, true]),
            (&["ip/24"], [true, false, true]),
            (&["user"], [true, false, true]),
            (&["claim:sub"], [true, false, true]),
            (&["claim:team"], [true, true, false]),
            (&["header:x-tenant"], [true, true, false]),
            (&["route"], [true, true, false]),
            (&["connection"], [false, false, false]),
            (&["route", "user"], [true, false, false]),
            (&["header:x-none"], [true, true, true]),
        ] {
            assert_eq!([&near, &far, &elsewhere].map(|other| together(key, &one, other)), others, "{key:?}");
        }
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network_and_a_mapped_one_as_ipv4() {
        let at = |ip| client(ip, "alice", "acme", 1);
        for (key, one, other, counts) in [
            ("ip", "2001:db8::1", "2001:db8::ffff:2", true),
            ("ip", "2001:db8::1", "2001:db8:0:1::1", false),
            ("ip/24/48", "2001:db8::1", "2001:db8:0:1::1", true),
            ("ip", "::ffff:192.0.2.7", "192.0.2.7", true),
        ] {
            assert_eq!(together(&[key], &at(one), &at(other)), counts, "{key} {one} {other}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let (one, other) = (client("192.0.2.7", "ab", "c", 1), client("192.0.2.7", "a", "bc", 2));
        assert!(!together(&["user", "header:x-tenant"], &one, &other));
    }

    #[test]
    fn a_part_prints_as_it_is_read_and_nonsense_says_what_there_is() {
        for written in ["ip", "ip/24", "ip/24/48", "user", "claim:realm.id", "header:x-tenant", "route", "connection"] {
            assert_eq!(written.parse::<KeyPart>().unwrap().to_string(), written);
        }
        for (written, said) in [
            ("address", "nothing to count by; there are"),
            ("ip/33", "no length of a network, 1 to 32"),
            ("ip/0", "no length of a network, 1 to 32"),
            ("ip/24/129", "1 to 128"),
            ("ip/24/64/1", "nothing to count by"),
            ("claim:", "names nothing"),
            ("header:a b", "no name a header could have"),
        ] {
            assert!(written.parse::<KeyPart>().unwrap_err().contains(said), "{written}");
        }
    }
}
