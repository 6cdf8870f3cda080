//! One server of an upstream, as the file writes it: `ws://host:port/base`, `wss://` where it speaks TLS.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderValue, Uri};

/// Where a WebSocket server listens when its URL names no port (RFC 6455 §3), without TLS and with it.
const WS_PORT: u16 = 80;
const WSS_PORT: u16 = 443;

/// A backend server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    name: Arc<str>,
    is_tls: bool,
    host: Box<str>,
    port: u16,
    authority: HeaderValue,
    base: Box<str>,
    weight: NonZeroU32,
    drains: bool,
}

impl Server {
    /// The same server with this share of the connections, beside the shares of the others; it is 1 where nothing is said.
    #[must_use]
    pub fn with_weight(self, weight: NonZeroU32) -> Self {
        Self { weight, ..self }
    }

    /// The same server, which gets no new connections from now on.
    #[must_use]
    pub fn draining(self) -> Self {
        Self { drains: true, ..self }
    }

    /// Its share of the connections.
    pub fn weight(&self) -> NonZeroU32 {
        self.weight
    }

    /// Whether it gets no new connections.
    pub fn drains(&self) -> bool {
        self.drains
    }

    /// Its URL, normalised: what it is called in logs, and what its state is kept by.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// What to resolve or dial: a name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its own `Host`.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// The path that stands before every path asked of it; empty, or `/` first and not last.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?} {what}; write it as \"ws://host:port\" or \"ws://host:port/base\"");
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("is not a whole URL"));
        };
        let is_tls = match scheme {
            "ws" => false,
            "wss" => true,
            _ => return Err(wrong(&format!("is a {scheme} URL, and servers are spoken to over ws or wss"))),
        };
        if text.contains('#') || uri.query().is_some() {
            return Err(wrong("has a query or a fragment, which a server cannot have"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("has a user name, which WebSocket does not send"));
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => {
                if is_tls {
                    WSS_PORT
                } else {
                    WS_PORT
                }
            }
            Some(port) => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("has no valid port"))?,
            None => return Err(wrong("has no valid host")),
        };
        let host = host.to_ascii_lowercase();
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("has no valid host"))?;
        let base = uri.path().trim_end_matches('/');
        Ok(Self {
            name: format!("{scheme}://{host}:{port}{base}").into(),
            is_tls,
            host: host.trim_matches(['[', ']']).into(),
            port,
            authority,
            base: base.into(),
            weight: NonZeroU32::MIN,
            drains: false,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_read_from_its_url() {
        let rows = [
            ("ws://127.0.0.1:9001", "ws://127.0.0.1:9001", "127.0.0.1", 9001, "127.0.0.1:9001", ""),
            ("ws://127.0.0.1:9001/", "ws://127.0.0.1:9001", "127.0.0.1", 9001, "127.0.0.1:9001", ""),
            ("ws://Chat.example", "ws://chat.example:80", "chat.example", 80, "Chat.example", ""),
            ("wss://Chat.example/v1", "wss://chat.example:443/v1", "chat.example", 443, "Chat.example", "/v1"),
            ("ws://[::1]:9001/v1/chat/", "ws://[::1]:9001/v1/chat", "::1", 9001, "[::1]:9001", "/v1/chat"),
        ];
        for (text, name, host, port, authority, base) in rows {
            let server: Server = text.parse().unwrap();
            assert_eq!((&**server.name(), server.host(), server.port()), (name, host, port), "{text}");
            assert_eq!((server.authority().to_str().unwrap(), server.base()), (authority, base), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_a_word_on_how_to_write_one() {
        let rows = [
            "",
            "ws://",
            "127.0.0.1:9001",
            "/chat",
            "http://a",
            "https://a",
            "ws://a:0",
            "ws://a:",
            "ws://a:99999",
            "ws://u@a",
            "ws://a?x",
            "ws://a/#x",
        ];
        for text in rows {
            let message = text.parse::<Server>().unwrap_err();
            assert!(message.contains("write it as"), "{text}: {message}");
        }
    }
}
