//! `[upstream.NAME]`: servers of a backend, and how they are dialled.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SendProxy, Server, Sticky, Table, UpstreamTls};
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::nearest::nearest;
use crate::config::units::{Count, Interval, Many, ServerUrl, written_as_string};

/// `[upstream.NAME]`: servers of a backend, and how they are dialled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTable {
    /// The servers: one `"ws://host:port"`, or `"wss://host:port"` for TLS, a table that says more of it, or a list.
    #[schemars(extend("minItems" = 1))]
    pub servers: Many<Server>,
    /// How a server is chosen for a new connection.
    #[serde(default)]
    pub balance: Balance,
    /// What keeps a client with its server, for as long as that takes connections: `"ip"` (an IPv6 client's `/64`), `"user"`,
    /// `"header:NAME"` and `"query:NAME"` give equal values the same server; `"cookie:NAME"` is one the gateway sets with its 101.
    /// Where there is no value, `balance` chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// How long a server may take to accept the connection.
    #[serde(default = "UpstreamTable::connect_timeout")]
    pub connect_timeout: Interval,
    /// How long a server may take to answer the upgrade.
    #[serde(default = "UpstreamTable::handshake_timeout")]
    pub handshake_timeout: Interval,
    /// How many servers are tried for one client, 1 to 10: each takes up to `connect_timeout` of its patience.
    #[serde(default = "UpstreamTable::tries")]
    pub tries: Count<10>,
    /// The beginning of the path that the servers do not see: with `"/chat"` a request for `/chat/room` asks them for `/room`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<Prefix>,
    /// The `Host` header the servers see: the client's, the server's own, or a host written here.
    #[serde(default)]
    pub host_header: HostHeader,
    /// Whether servers are told the client's address in a PROXY header before the request, `"v1"` or `"v2"`: only servers that expect
    /// one can make sense of it.
    #[serde(default)]
    pub proxy_protocol: SendProxy,
    /// For `wss://` servers: `{ ca, cert, key, server_name }`. Without it, they have to have certificates that this machine trusts, for
    /// the hosts of their URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
}

impl UpstreamTable {
    /// The default of `connect_timeout`.
    pub const fn connect_timeout() -> Interval {
        Interval::seconds(3)
    }

    /// The default of `handshake_timeout`.
    pub const fn handshake_timeout() -> Interval {
        Interval::seconds(5)
    }

    /// The default of `tries`.
    pub const fn tries() -> Count<10> {
        Count::of(2)
    }

    /// An upstream of this one server, with every default.
    pub fn of(url: ServerUrl) -> Self {
        Self {
            servers: Many(vec![Server::of(url)]),
            balance: Balance::default(),
            sticky: None,
            connect_timeout: Self::connect_timeout(),
            handshake_timeout: Self::handshake_timeout(),
            tries: Self::tries(),
            strip_prefix: None,
            host_header: HostHeader::default(),
            proxy_protocol: SendProxy::default(),
            tls: None,
        }
    }
}

impl Table for UpstreamTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.servers.is_empty() {
            faults.push(Fault::new(at.key("servers"), "an upstream needs a server").hint("write \"ws://127.0.0.1:9001\""));
        }
        for (index, server) in self.servers.iter().enumerate() {
            if self.servers.iter().take(index).any(|earlier| earlier.url == server.url) {
                faults.push(Fault::new(at.key("servers").index(index), format!("{} is there twice", server.url)));
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(&at.key("tls"), faults);
            for (index, server) in self.servers.iter().enumerate().filter(|(_, server)| !server.url.is_tls) {
                let fault = Fault::new(at.key("servers").index(index), format!("{} is spoken to without TLS", server.url));
                let fault = fault.hint(format!("write {:?}, or leave `tls` out", server.url.to_string().replacen("ws://", "wss://", 1)));
                faults.push(fault.also(at.key("tls"), "tls"));
            }
        }
        if !self.servers.is_empty() && self.servers.iter().all(|server| server.drain) {
            let fault = Fault::warning(at.key("servers"), format!("every server of {at} is draining, so its clients are refused"));
            faults.push(fault.hint("take `drain` out of one of them"));
        }
    }
}

/// The beginning of a path: `/` and at least one character more, without one at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim_end_matches('/') {
            "" => Err(format!("{text:?} strips nothing; leave it out")),
            prefix if prefix.starts_with('/') => Ok(Self(prefix.to_owned())),
            prefix => Err(format!("{text:?} is not the beginning of a path; write \"/{prefix}\"")),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(Prefix, "Prefix", "the beginning of a path: \"/chat\"", r"^/.*[^/]");

/// How a server is chosen for a new connection, each by its `weight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The one with the fewest connections of this gateway for its weight.
    #[default]
    LeastConn,
    /// One after the other.
    RoundRobin,
    /// By chance.
    Random,
}

/// The `Host` header that servers see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's own.
    #[default]
    Client,
    /// The host and port of the server's URL.
    Server,
    /// This one.
    Literal(String),
}

impl FromStr for HostHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = ["client", "server"];
        match (text, nearest(text, words)) {
            ("client", _) => Ok(Self::Client),
            ("server", _) => Ok(Self::Server),
            (_, Some(word)) => Err(format!("{text:?} is neither \"client\" nor \"server\"; did you mean \"{word}\"?")),
            _ if text.parse::<http::uri::Authority>().is_ok_and(|host| !host.as_str().contains('@')) => Ok(Self::Literal(text.to_owned())),
            _ => Err(format!("{text:?} is not a host; write \"client\", \"server\" or a host as \"chat.example.com\"")),
        }
    }
}

impl fmt::Display for HostHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Literal(host) => host,
        })
    }
}

written_as_string!(HostHeader, "HostHeader", "\"client\", \"server\" or a host", r"^[^\s/@]+$");
