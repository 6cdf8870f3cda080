//! `sticky`: what keeps a client with its server.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;

use crate::config::nearest::nearest;
use crate::config::units::written_as_string;

/// What keeps a client with its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// A cookie of this name that the gateway sets.
    Cookie(Box<str>),
    /// The client's address; of an IPv6 one its network, the first 64 bits.
    Ip,
    /// The authenticated user's name.
    User,
    /// The header of this name, all its lines, as the backend is sent it.
    Header(HeaderName),
    /// The parameter of this name in the query, the first of them.
    Query(Box<str>),
}

impl FromStr for Sticky {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let example = match kind {
            "cookie" => "cookie:server",
            "header" => "header:X-Room",
            _ => "query:room",
        };
        let nameless = || format!("{text:?} names no {kind}; a name is letters, digits and dashes, as \"{example}\"");
        match (kind, name) {
            ("ip", None) => Ok(Self::Ip),
            ("user", None) => Ok(Self::User),
            // A cookie's name is a token (RFC 6265 §4.1.1), as a header's is; of a cookie the case counts.
            ("cookie", Some(name)) => HeaderName::from_bytes(name.as_bytes()).map(|_| Self::Cookie(name.into())).map_err(|_| nameless()),
            ("header", Some(name)) => name.parse().map(Self::Header).map_err(|_| nameless()),
            ("query", Some(name)) if is_parameter(name) => Ok(Self::Query(name.into())),
            ("query", Some(_)) => Err(nameless()),
            ("cookie" | "header" | "query", None) => Err(format!("{text:?} does not say which; write \"{example}\"")),
            _ => Err(match nearest(kind, ["cookie", "ip", "user", "header", "query"]) {
                Some(near @ ("ip" | "user")) => format!("{text:?} is nothing to stick by; did you mean \"{near}\"?"),
                Some(near) => format!("{text:?} is nothing to stick by; did you mean \"{near}:{}\"?", name.unwrap_or("NAME")),
                None => {
                    format!(
                        "{text:?} is nothing to stick by; there are \"cookie:NAME\", \"ip\", \"user\", \"header:NAME\" and \"query:NAME\""
                    )
                }
            }),
        }
    }
}

fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#%+".contains(&byte))
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Ip => f.write_str("ip"),
            Self::User => f.write_str("user"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

written_as_string!(
    Sticky,
    "Sticky",
    "what to stick by: \"cookie:NAME\", \"ip\", \"user\", \"header:NAME\", \"query:NAME\"",
    "^(ip|user|(cookie|header|query):.+)$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_stick_by_prints_as_it_is_written() {
        for written in ["cookie:WSGATE", "ip", "user", "header:x-room", "query:room"] {
            assert_eq!(written.parse::<Sticky>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_nothing_to_stick_by_says_what_to_write() {
        for (written, told) in [
            ("cookie", "\"cookie\" does not say which; write \"cookie:server\""),
            ("cookie:a b", "\"cookie:a b\" names no cookie; a name is letters, digits and dashes, as \"cookie:server\""),
            ("query:", "\"query:\" names no query; a name is letters, digits and dashes, as \"query:room\""),
            ("ip:x", "\"ip:x\" is nothing to stick by; did you mean \"ip\"?"),
            ("cokie:X", "\"cokie:X\" is nothing to stick by; did you mean \"cookie:X\"?"),
        ] {
            assert_eq!(written.parse::<Sticky>().unwrap_err(), told);
        }
        assert!("source".parse::<Sticky>().unwrap_err().contains("there are \"cookie:NAME\", \"ip\""));
    }
}
