//! `[gateway]`: what holds for the whole process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteDefaults, Table};
use crate::config::fault::{Faults, KeyPath};
use crate::config::units::{Count, Interval, Switch};

/// `[gateway]`: what holds for the whole process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayTable {
    /// How many threads carry connections, 1 to 1024. Left out, one for each processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<Count<1024>>,
    /// How many connections all listeners may hold together; one more is refused with `overloaded`.
    pub max_connections: Switch<Count>,
    /// How connections end when the gateway stops.
    pub drain: Drain,
    /// Defaults for every route: each key of `[route.NAME]` but `path` and `endpoint`.
    #[serde(skip_serializing_if = "RouteDefaults::is_empty")]
    pub route: RouteDefaults,
}

impl Default for GatewayTable {
    fn default() -> Self {
        let max_connections = Switch::On(Count::of(100_000));
        Self { threads: None, max_connections, drain: Drain::default(), route: RouteDefaults::default() }
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

impl Table for GatewayTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        self.route.check(&at.key("route"), faults);
    }
}
