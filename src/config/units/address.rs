//! Where sockets are opened: addresses to listen on and URLs of backends.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::super::mask::bare;
use super::written_as_string;

/// The ports of `ws://` and `wss://` where a URL names none (RFC 6455 §3).
const WS_PORT: u16 = 80;
const WSS_PORT: u16 = 443;

/// A host and a port: `"127.0.0.1:8080"`, `"[::1]:8080"`, `"localhost:8080"`. Port 0 is one the system picks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address.
    Ip(SocketAddr),
    /// A name to be resolved, in lower case.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// The IP address, where it needs no resolving.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Name { .. } => None,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Name { port, .. } => *port,
        }
    }
}

/// A host, with a port or else this one.
pub(super) fn with_default_port(text: &str, port: u16) -> Result<Address, String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match (bracketed.unwrap_or(text).parse::<IpAddr>(), bracketed.is_some()) {
        (Ok(ip @ IpAddr::V6(_)), true) | (Ok(ip @ IpAddr::V4(_)), false) => Ok(Address::Ip(SocketAddr::new(ip, port))),
        (Ok(IpAddr::V6(ip)), false) => Err(format!("the IPv6 address {ip} needs brackets; write [{ip}]")),
        _ if is_host(text) => Ok(Address::Name { host: text.to_ascii_lowercase(), port }),
        _ => text.parse(),
    }
}

/// Whether this is a name that a resolver takes: letters, digits, `-`, `_` and single dots, not all of them digits and dots.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.len() <= 253 && text.split('.').all(is_label) && text.chars().any(|c| c.is_ascii_alphabetic())
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let wrong = || format!("{text:?} is not an address; write it as \"127.0.0.1:8080\", \"[::1]:8080\" or \"localhost:8080\"");
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        match (host, port.parse::<u16>()) {
            ("" | "*", Ok(port)) => {
                Err(format!("{text:?} names no address; write \"0.0.0.0:{port}\" for all of IPv4, \"[::]:{port}\" for all of both"))
            }
            (host, Ok(port)) if is_host(host) => Ok(Self::Name { host: host.to_ascii_lowercase(), port }),
            (host, Err(_)) if port.is_empty() && (is_host(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())) => {
                Err(format!("{text:?} has no port; write \"{host}:8080\""))
            }
            (_, Err(_)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(format!("{port} is not a port; ports are 0 to 65535"))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A backend's URL: `"ws://127.0.0.1:9001"`, with a path that requests are put below: `"wss://chat.internal/v2"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl {
    /// Whether it is `wss://`.
    pub is_tls: bool,
    /// Where to connect to.
    pub address: Address,
    /// The path requests are put below: empty, or `/` and at least one character more, without one at its end.
    pub path: String,
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{:?} is not a URL; write it as \"ws://127.0.0.1:9001\"", bare(text)));
        };
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            other => {
                let meant = if other == "https" { "wss" } else { "ws" };
                return Err(format!("\"{}://\" is not spoken to backends; write \"{meant}://{}\"", bare(scheme), bare(rest)));
            }
        };
        if rest.contains(['?', '#', '@']) {
            return Err("the URL has more than a host, a port and a path; leave query, fragment and user name out".to_owned());
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = path.trim_end_matches('/');
        if path.parse::<http::uri::PathAndQuery>().is_err() && !path.is_empty() {
            return Err(format!("{path:?} is not a path of a URL; percent-encode what is not ASCII"));
        }
        let port = if is_tls { WSS_PORT } else { WS_PORT };
        Ok(Self { is_tls, address: with_default_port(authority, port)?, path: path.to_owned() })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_tls { "wss" } else { "ws" }, self.address, self.path)
    }
}

written_as_string!(
    Address,
    "Address",
    "an address: \"127.0.0.1:8080\", \"[::1]:8080\", \"localhost:8080\"",
    r"^(\[[^\]]+\]|[A-Za-z0-9._-]+):[0-9]+$"
);
written_as_string!(ServerUrl, "ServerUrl", "a URL: \"ws://127.0.0.1:9001\"", r"^[Ww][Ss][Ss]?://[^\s?#@]+$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_or_a_name_with_a_port() {
        for (written, ip) in
            [("127.0.0.1:8080", true), ("[::1]:0", true), ("0.0.0.0:1", true), ("localhost:65535", false), ("chat-1.internal:80", false)]
        {
            let address: Address = written.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.ip().is_some()), (written, ip));
        }
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for (written, said) in [
            ("127.0.0.1", "\"127.0.0.1\" has no port"),
            ("localhost", "\"localhost\" has no port"),
            (":8080", "\":8080\" names no address"),
            ("*:8080", "\"*:8080\" names no address"),
            ("localhost:65536", "65536 is not a port"),
            ("localhost:http", "\"localhost:http\" is not an address"),
            ("::1:8080", "\"::1:8080\" is not an address"),
            ("1.2.3:80", "\"1.2.3:80\" is not an address"),
            ("ws://localhost:80", "\"ws://localhost:80\" is not an address"),
            ("a b:80", "\"a b:80\" is not an address"),
        ] {
            assert_eq!(written.parse::<Address>().unwrap_err().split("; ").next(), Some(said));
        }
    }

    #[test]
    fn a_url_has_a_port_and_a_path_without_a_slash_at_its_end() {
        for (written, read) in [
            ("ws://127.0.0.1:9001", "ws://127.0.0.1:9001"),
            ("ws://Chat.internal", "ws://chat.internal:80"),
            ("WS://[::1]/", "ws://[::1]:80"),
            ("ws://10.0.0.1/v2/", "ws://10.0.0.1:80/v2"),
            ("Wss://Chat.internal/", "wss://chat.internal:443"),
            ("wss://[::1]:9001", "wss://[::1]:9001"),
        ] {
            assert_eq!(written.parse::<ServerUrl>().unwrap().to_string(), read);
        }
    }

    #[test]
    fn what_is_no_url_says_what_to_write() {
        for (written, said) in [
            ("127.0.0.1:9001", "\"127.0.0.1:9001\" is not a URL"),
            ("http://a:1", "\"http://\" is not spoken to backends"),
            ("https://a:1", "\"https://\" is not spoken to backends"),
            ("ws://a:1/?q=1", "the URL has more than a host, a port and a path"),
            ("ws://user:pass@a:1", "the URL has more than a host, a port and a path"),
            ("ws://a:1/ä b", "\"/ä b\" is not a path of a URL"),
            ("ws://::1", "the IPv6 address ::1 needs brackets"),
            ("ws://", "\"\" is not an address"),
        ] {
            assert_eq!(written.parse::<ServerUrl>().unwrap_err().split("; ").next(), Some(said));
        }
    }
}
