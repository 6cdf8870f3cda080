//! URLs of services that are asked over HTTP.

use std::fmt;
use std::str::FromStr;

use super::super::mask::bare;
use super::written_as_string;
use super::{Address, address};

/// The ports of `http://` and `https://` where a URL names none (RFC 9110 §4.2).
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// A URL that is asked: `"https://login.example.com/keys"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpUrl {
    /// Whether it is `https://`.
    pub is_tls: bool,
    /// Where to connect to.
    pub address: Address,
    /// The path, `/` at least, and the query where there is one.
    pub target: String,
}

impl HttpUrl {
    /// The host as it is dialled and as certificates name it: an address has no brackets.
    pub fn host(&self) -> String {
        match &self.address {
            Address::Ip(address) => address.ip().to_string(),
            Address::Name { host, .. } => host.clone(),
        }
    }

    /// The host, and the port where it is not the scheme's own (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        let whole = self.address.to_string();
        let usual = if self.is_tls { HTTPS_PORT } else { HTTP_PORT };
        match whole.strip_suffix(&format!(":{usual}")) {
            Some(host) if self.address.port() == usual => host.to_owned(),
            _ => whole,
        }
    }

    /// What it is called in logs: without its query, which may hold a secret.
    pub fn shown(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", if self.is_tls { "https" } else { "http" }, self.authority())
    }

    /// Whether nobody between here and there could answer in its place: it is TLS, or this machine.
    pub fn is_private(&self) -> bool {
        let is_here = match &self.address {
            Address::Ip(address) => address.ip().is_loopback(),
            Address::Name { host, .. } => host == "localhost",
        };
        self.is_tls || is_here
    }

    /// The same place, asked for this path below its own.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        let base = self.target.split('?').next().unwrap_or_default().trim_end_matches('/');
        Self { target: format!("{base}{path}"), ..self.clone() }
    }

    /// Where a `Location` of its answer leads (RFC 9110 §10.2.2). From TLS none leads out of it.
    ///
    /// # Errors
    /// Says why it leads nowhere.
    pub fn follow(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.is_tls { "https" } else { "http" };
        let next = if location.contains("://") {
            location.parse()?
        } else if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}").parse()?
        } else {
            let path = self.target.split('?').next().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = match location {
                "" => return Err("it leads nowhere".to_owned()),
                _ if location.starts_with('/') => location.to_owned(),
                _ if location.starts_with('?') => format!("{path}{location}"),
                _ => format!("{folder}/{location}"),
            };
            format!("{scheme}://{}{target}", self.authority()).parse::<Self>()?
        };
        match self.is_tls && !next.is_tls {
            true => Err(format!("it leads from https to {}", next.shown())),
            false => Ok(next),
        }
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{:?} is not a URL; write it as \"https://login.example.com/keys\"", bare(text)));
        };
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(format!("\"{}://\" is not asked; write \"https://{}\"", bare(scheme), bare(rest))),
        };
        if rest.contains(['#', '@']) {
            return Err("the URL has a fragment or a user name, which no service is asked with; leave it out".to_owned());
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        if target.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(format!(
                "{:?} is not a path of a URL, or not with that query; percent-encode what has no place in one",
                bare(&target)
            ));
        }
        let port = if is_tls { HTTPS_PORT } else { HTTP_PORT };
        Ok(Self { is_tls, address: address::with_default_port(authority, port)?, target })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_tls { "https" } else { "http" }, self.authority(), self.target)
    }
}

written_as_string!(HttpUrl, "HttpUrl", "a URL: \"https://login.example.com/keys\"", r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s#@]+$");

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_reads_as_it_is_asked() {
        for (text, written, host) in [
            ("https://login.example.com", "https://login.example.com/", "login.example.com"),
            ("HTTPS://Login.example.com:443/keys?a=b", "https://login.example.com/keys?a=b", "login.example.com"),
            ("http://127.0.0.1:8080/auth", "http://127.0.0.1:8080/auth", "127.0.0.1"),
            ("http://[::1]:80?x", "http://[::1]/?x", "::1"),
            ("http://a.example:443/", "http://a.example:443/", "a.example"),
        ] {
            assert_eq!((url(text).to_string().as_str(), url(text).host().as_str()), (written, host), "{text}");
        }
        for wrong in
            ["", "keys", "ftp://a/", "https://", "https://a b/", "https://me@a/", "https://a/#b", "https://a:99999/", "http://a/ b"]
        {
            assert!(wrong.parse::<HttpUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_redirect_leads_where_its_location_says_and_never_out_of_tls() {
        for (from, location, to) in [
            ("https://a.example/x/keys?q", "https://b.example/k", Some("https://b.example/k")),
            ("https://a.example/x/keys?q", "/k?r#s", Some("https://a.example/k?r")),
            ("https://a.example/x/keys?q", "other", Some("https://a.example/x/other")),
            ("https://a.example/x/keys?q", "?r", Some("https://a.example/x/keys?r")),
            ("https://a.example/x", "//b.example/k", Some("https://b.example/k")),
            ("http://a.example/x", "https://a.example/x", Some("https://a.example/x")),
            ("https://a.example/x", "http://a.example/x", None),
            ("https://a.example/x", "file:///etc/passwd", None),
            ("https://a.example/x", "", None),
        ] {
            assert_eq!(url(from).follow(location).ok().map(|url| url.to_string()).as_deref(), to, "{from} {location}");
        }
    }

    #[test]
    fn what_lies_below_a_url_is_asked_beside_its_last_slash() {
        for base in ["https://a.example/realm", "https://a.example/realm/", "https://a.example/realm/?q"] {
            assert_eq!(url(base).below("/.well-known/x").to_string(), "https://a.example/realm/.well-known/x");
        }
        assert_eq!(url("https://a.example").below("/k").to_string(), "https://a.example/k");
        assert_eq!(url("https://a.example/keys?token=secret").shown(), "https://a.example/keys");
    }
}
