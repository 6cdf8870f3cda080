//! `[gateway]`: what holds for the whole process.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteDefaults, Table};
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{Count, Frequency, Interval, Percent, Size, Switch};

/// `[gateway]`: what holds for the whole process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayTable {
    /// How many threads carry connections, 1 to 1024. Left out, one for each processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<Count<1024>>,
    /// How many connections all listeners may hold together; one more is refused with `overloaded`.
    pub max_connections: Switch<Count>,
    /// How many handshakes may be in progress; one more is refused with `overloaded`. They count among the connections too.
    pub max_handshakes: Switch<Count>,
    /// How many bytes of messages connections may hold in memory together: of those that a stage reads and that are not whole, and of
    /// those that a peer has not taken yet. A connection that needs more is closed with `overloaded`.
    pub max_buffered: Switch<Size>,
    /// The socket that `wsgate status`, `reload`, `kick` and others talk to: a path, or `"off"`. Left out, one in the runtime folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Switch<PathBuf>>,
    /// How connections end when the gateway stops.
    pub drain: Drain,
    /// How an edit of the file takes effect.
    pub reload: Reload,
    /// Defaults for every route: each key of `[route.NAME]` but `path` and `endpoint`.
    #[serde(skip_serializing_if = "RouteDefaults::is_empty")]
    pub route: RouteDefaults,
}

impl Default for GatewayTable {
    fn default() -> Self {
        let max_connections = Switch::On(Count::of(100_000));
        let (max_handshakes, max_buffered) = (Switch::On(Count::of(10_000)), Switch::On(Size::bytes(1 << 30)));
        let (drain, reload, route) = (Drain::default(), Reload::default(), RouteDefaults::default());
        Self { threads: None, max_connections, max_handshakes, max_buffered, control: None, drain, reload, route }
    }
}

/// `drain`: how connections end when the gateway stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// How long new connections are still taken after a stop was asked for, so that load balancers see it coming. Left out, not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Interval>,
    /// The time over which the connections that are open are closed.
    pub over: Interval,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: None, over: Interval::seconds(30) }
    }
}

/// `reload`: how an edit of the file takes effect on the connections that are open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Whether an edit takes effect when it is saved; otherwise on SIGHUP and `wsgate reload` only.
    pub watch: bool,
    /// The time over which connections that an edit ends are closed, so that their clients do not all come back at once. Those that a
    /// firewall or a revocation turns away are closed at once.
    pub spread: Interval,
    /// How many of them are closed at most, one after the other, however short `spread` is.
    pub rate: Frequency<Count>,
    /// The share of open connections that an edit may close; one that would close more is refused, unless it is forced.
    pub max_closed: Switch<Percent>,
}

impl Default for Reload {
    fn default() -> Self {
        Self { watch: true, spread: Interval::seconds(10), rate: Frequency::per_second(500), max_closed: Switch::Off }
    }
}

impl Table for GatewayTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if matches!(&self.control, Some(Switch::On(path)) if path.file_name().is_none()) {
            let fault = Fault::new(at.key("control"), "this names no socket");
            faults.push(fault.hint("write a path, as \"wsgate.sock\", or \"off\""));
        }
        self.route.check(&at.key("route"), faults);
    }
}
