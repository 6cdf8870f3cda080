//! Shape to snapshot: compiles a config into one immutable value.
//!
//! All that can fail about a file fails here, before anything of it is in force.

pub mod catalog;
mod compile;
pub mod expansion;
mod fitting;
mod health;
pub mod listener;
mod log_file;
mod needs;
mod parts;
pub mod path;
mod references;
pub mod route;
mod routes;
mod schema;
pub mod table;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::table::LogTable;
use crate::stage::slots::Slots;

use listener::Listener;
use route::Route;
use table::Table;

pub use catalog::Catalog;
pub use schema::schema;

/// A compiled config: everything connections are conducted by.
pub struct Gateway {
    /// How many threads carry connections.
    pub threads: usize,
    /// How connections end when the gateway stops.
    pub drain: Drain,
    /// How many connections all listeners hold together; they outlive a snapshot.
    pub slots: Arc<Slots>,
    /// How many they may; `None` is no limit.
    pub max_connections: Option<usize>,
    /// The listeners, by name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// The routes, in the order of their names.
    pub routes: Vec<Arc<Route>>,
    /// Where log lines go, as the file says it.
    pub logs: BTreeMap<String, LogTable>,
    /// The stages and rules in `mode = "report"`, by their places: they refuse nobody.
    pub reporting: Vec<String>,
    /// The folder that relative paths belong to.
    pub folder: PathBuf,
    tables: HashMap<Arc<str>, Table<usize>>,
}

/// How connections end when the gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still taken.
    pub delay: Duration,
    /// The time over which the open ones are closed.
    pub over: Duration,
}

/// Named segments of a host and path, with what they stand for.
pub type Params = Box<[(Arc<str>, Box<str>)]>;

impl Gateway {
    /// The route for a request to this listener; `host` is lower case and without port, `path` as [`path::normalise`] gives it.
    pub fn route(&self, listener: &str, host: &str, path: &str) -> Option<(&Arc<Route>, Params)> {
        let found = self.tables.get(listener)?.find(host, path)?;
        Some((self.routes.get(*found.route)?, found.params))
    }

    /// Puts its limits in force on the slots it shares with the snapshot before it.
    pub fn take_effect(&self) {
        self.slots.set_max(self.max_connections);
        for listener in self.listeners.values() {
            listener.slots.set_max(listener.max_connections);
        }
    }
}
