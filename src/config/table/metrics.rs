//! `[metrics.NAME]`: where the gateway's numbers are served to Prometheus.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Table;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{Address, Many, written_as_string};

/// `[metrics.NAME]`: where the gateway's numbers are served to Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsTable {
    /// Where to serve them: one `"host:port"` or a list, none of them a listener's. Nobody is asked who they are: let the network keep others
    /// away from an address that is not loopback.
    pub address: Many<Address>,
    /// The path of the page.
    #[serde(default = "MetricsTable::path")]
    pub path: PagePath,
}

impl MetricsTable {
    /// The default of `path`.
    pub fn path() -> PagePath {
        PagePath("/metrics".to_owned())
    }
}

impl Table for MetricsTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.address.is_empty() {
            faults.push(Fault::new(at.key("address"), "metrics need an address").hint("write \"127.0.0.1:9100\""));
        }
    }
}

/// The path of a page as a request names it: `/` first, and what RFC 3986 §3.3 lets stand in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePath(String);

impl PagePath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PagePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c);
        if !text.starts_with('/') {
            return Err(format!("{text:?} is not a path; write it as \"/metrics\""));
        }
        match text.chars().find(|c| !is_allowed(*c)) {
            None => Ok(Self(text.to_owned())),
            Some(c) => Err(format!("{text:?} is not a path: {c:?} cannot stand in one")),
        }
    }
}

impl fmt::Display for PagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(PagePath, "PagePath", "a path: \"/metrics\"");
