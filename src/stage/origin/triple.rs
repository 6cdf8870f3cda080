//! Origins as scheme, host and port (RFC 6454 §4): compared as what they are, never as texts.

use std::net::Ipv6Addr;

/// An origin that is not opaque. Scheme and host are lower case, and the port is there wherever the scheme has a default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Triple {
    pub(super) scheme: Box<str>,
    pub(super) host: Box<str>,
    pub(super) port: Option<u16>,
}

impl Triple {
    /// Reads `scheme://host[:port]` and nothing beside it: no path, no slash at the end, no user, no list.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, behind) = rest.split_once(']')?;
                let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) };
                (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (named(host)?, Some(port)),
                None => (named(authority)?, None),
            },
        };
        let port = match port {
            Some(port) => Some(number(port)?),
            None => default_port(&scheme),
        };
        Some(Self { scheme: scheme.into(), host: host.into(), port })
    }

    /// Whether a page of this origin was served by the host and port that the request asks for. Over TLS that ends here it has to be an
    /// `https` one; elsewhere the scheme is not compared, as TLS may end in front of the gateway, and then only the browser knows of it.
    pub(super) fn is_served_by(&self, host: &str, port: Option<u16>, is_tls: bool) -> bool {
        let is_scheme = &*self.scheme == "https" || (&*self.scheme == "http" && !is_tls);
        is_scheme && *self.host == *host && self.port == port.or_else(|| default_port(&self.scheme))
    }
}

/// A host that is a name or an IPv4 address.
fn named(host: &str) -> Option<String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host)).then(|| host.to_ascii_lowercase())
}

fn number(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_its_scheme_host_and_port_however_it_is_written() {
        for (one, other) in [
            ("https://example.com", "HTTPS://Example.COM:443"),
            ("http://example.com", "http://example.com:80"),
            ("http://[::1]:8080", "http://[0:0::1]:8080"),
            ("chrome-extension://abcdef", "chrome-extension://ABCDEF"),
        ] {
            assert_eq!(Triple::parse(one).unwrap(), Triple::parse(other).unwrap());
        }
        for (one, other) in [
            ("https://example.com", "http://example.com"),
            ("https://example.com", "https://example.com:8443"),
            ("https://example.com", "https://example.com."),
            ("http://example.com:443", "https://example.com"),
        ] {
            assert_ne!(Triple::parse(one).unwrap(), Triple::parse(other).unwrap());
        }
    }

    #[test]
    fn what_is_not_one_origin_is_none() {
        for text in [
            "",
            "null",
            "example.com",
            "https://",
            "https:example.com",
            "://example.com",
            "https://example.com/",
            "https://example.com/chat",
            "https://example.com?x",
            "https://example.com#x",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:+443",
            "https://example.com:65536",
            "https://example.com:443:443",
            "https://example.com https://evil.example",
            "https://example.com, https://evil.example",
            "https://exämple.com",
            "https://exa%6dple.com",
            "https://[::1",
            "https://[::1]443",
            "https://[example.com]",
            " https://example.com",
            "1https://example.com",
        ] {
            assert_eq!(Triple::parse(text), None, "{text:?}");
        }
    }
}
