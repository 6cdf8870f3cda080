//! `[listener.NAME]`: an address that connections are accepted on.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ListenerTls, ProxyProtocol, Table, TrustedProxies};
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::StageRef;
use crate::config::units::{Address, Count, Interval, Many, Size, Switch, written_as_string};

/// `[listener.NAME]`: an address that connections are accepted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTable {
    /// Where to listen: one `"host:port"` or a list. Port 0 is one that the system picks.
    #[schemars(extend("minItems" = 1))]
    pub address: Many<Address>,
    /// The stages that judge every connection of this listener, before those of its route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipeline: Vec<StageRef>,
    /// How many connections this listener may hold; one more is refused with `overloaded`. `"off"`: as many as the gateway.
    #[serde(default = "ListenerTable::max_connections")]
    pub max_connections: Switch<Count>,
    /// How long a client may take to send its request head.
    #[serde(default = "ListenerTable::handshake_timeout")]
    pub handshake_timeout: Interval,
    /// The largest request head, 1KiB to 64KiB; a larger one is refused with `head_too_large`.
    #[serde(default = "ListenerTable::max_head")]
    pub max_head: HeadSize,
    /// The most headers of a request, up to 1024; one more is refused with `head_too_large`.
    #[serde(default = "ListenerTable::max_headers")]
    pub max_headers: Count<1024>,
    /// Proxies that say for whom they speak: their networks, or `{ cidrs, files, header }`. Of a request from one of them `header`,
    /// `x-forwarded-for` unless said otherwise, tells the client's address: its last entry that is none of these networks. From
    /// everybody else it counts for nothing. A connection keeps the address that it opened with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<TrustedProxies>,
    /// Balancers that say for whom they speak before the first byte of a connection: `{ from = ["10.0.0.0/8"] }`. Who connects from
    /// there has to begin with a PROXY header, version 1 or 2, within 5 s; where it names a proxy of `trusted_proxies`, that one's
    /// header is believed as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// TLS, and nothing else, on every address: `{ cert = "fullchain.pem", key = "privkey.pem" }`, or
    /// `{ certificates, client_ca, client_auth, min_version }`. Files that change are taken in like an edit, which closes nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1, and WebSocket over it (RFC 8441): within TLS to clients that choose it, otherwise to those that
    /// begin with it.
    #[serde(default = "ListenerTable::http2")]
    pub http2: bool,
}

impl ListenerTable {
    /// The default of `max_connections`.
    pub const fn max_connections() -> Switch<Count> {
        Switch::Off
    }

    /// The default of `handshake_timeout`.
    pub const fn handshake_timeout() -> Interval {
        Interval::seconds(10)
    }

    /// The default of `http2`.
    pub const fn http2() -> bool {
        true
    }

    /// The default of `max_head`.
    pub const fn max_head() -> HeadSize {
        HeadSize(Size::bytes(16 << 10))
    }

    /// The default of `max_headers`.
    pub const fn max_headers() -> Count<1024> {
        Count::of(64)
    }
}

impl Table for ListenerTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.address.is_empty() {
            faults.push(Fault::new(at.key("address"), "a listener needs an address").hint("write \"127.0.0.1:8080\""));
        }
        if let Some(trusted) = &self.trusted_proxies {
            trusted.check(&at.key("trusted_proxies"), faults);
        }
        if let Some(announced) = &self.proxy_protocol {
            announced.check(&at.key("proxy_protocol"), faults);
        }
        if let Some(tls) = &self.tls {
            tls.check(&at.key("tls"), faults);
        }
    }
}

/// The size of a request head, 1KiB to 64KiB: below, ordinary browsers would be refused; above, a target no longer fits into a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeadSize(Size);

impl HeadSize {
    /// In bytes.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for HeadSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: Size = text.parse()?;
        if (1 << 10..=64 << 10).contains(&size.get()) { Ok(Self(size)) } else { Err(format!("{size} is not between 1KiB and 64KiB")) }
    }
}

impl fmt::Display for HeadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_string!(HeadSize, "HeadSize", "a number of bytes: \"16KiB\"", r"^[0-9]*[1-9][0-9]*\s*(B|KiB)$");
