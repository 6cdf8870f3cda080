//! A page of metrics of the snapshot: where the gateway's numbers are served.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::fault::KeyPath;
use crate::config::table::MetricsTable;

use super::compile::Compiler;
use super::listener::has_v4_twin;

/// `[metrics.NAME]`, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name, without its kind.
    pub name: Arc<str>,
    /// Where it is served; none of them is a listener's.
    pub addresses: Vec<SocketAddr>,
    /// The path it is asked for by.
    pub path: Arc<str>,
}

impl Page {
    /// Whether an IPv4 address of this page has the same port, so that the IPv6 one has to keep to itself.
    pub fn has_v4_twin(&self, address: SocketAddr) -> bool {
        has_v4_twin(&self.addresses, address)
    }
}

impl Compiler<'_> {
    /// The pages, in the order of their names.
    pub(super) fn metrics(&mut self) -> Vec<Page> {
        let config = self.parts.config;
        let page = |(name, table): (&String, &MetricsTable)| Page {
            name: name.as_str().into(),
            addresses: self.addresses(&KeyPath::table("metrics", name), &table.address),
            path: table.path.as_str().into(),
        };
        config.metrics.iter().map(page).collect()
    }
}
