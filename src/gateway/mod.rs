//! Shape to snapshot: compiles a config into one immutable value.
//!
//! All that can fail about a file fails here, before anything of it is in force.

pub mod admission;
pub mod catalog;
mod changes;
mod compile;
pub mod expansion;
mod expected;
mod fitting;
mod health;
mod http;
mod kept;
pub mod listener;
mod log_file;
mod mentions;
pub mod metrics;
mod needs;
mod parts;
pub mod proxies;
mod references;
pub mod request;
pub mod route;
mod route_change;
mod routes;
mod schema;
pub mod table;
pub mod tls;
pub mod trial;
mod trust;
mod upstream;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::table::{LogTable, Reload as ReloadTable, TestTable};
use crate::config::units::{Percent, Switch};
use crate::endpoint::upstream::Upstream;
use crate::stage::Stage;
use crate::stage::outside::Outside;
use crate::stage::slots::Slots;
use crate::stage::ticket;
use crate::wire::budget::Budget;

use listener::Listener;
use metrics::Page;
use route::Route;
use table::Table;
use table::choice::Way;

pub use catalog::Catalog;
pub use changes::Changes;
pub use compile::Compiled;
pub use route_change::{Fate, RouteChange};
pub use schema::schema;

/// A compiled config: everything connections are conducted by.
pub struct Gateway {
    /// How many threads carry connections.
    pub threads: usize,
    /// How connections end when the gateway stops.
    pub drain: Drain,
    /// How an edit takes effect on what is open.
    pub reload: Reload,
    /// How many connections all listeners hold together; they outlive a snapshot.
    pub slots: Arc<Slots>,
    /// How many they may; `None` is no limit.
    pub max_connections: Option<usize>,
    /// How many handshakes are in progress; they outlive a snapshot.
    pub handshakes: Arc<Slots>,
    /// How many may be; `None` is no limit.
    pub max_handshakes: Option<usize>,
    /// How many bytes connections hold; they outlive a snapshot.
    pub budget: Arc<Budget>,
    /// How many they may; `None` is no limit.
    pub max_buffered: Option<usize>,
    /// What its stages have asked of services; it outlives a snapshot.
    pub outside: Arc<Outside>,
    /// Where its control socket is to be, unless in the runtime folder.
    pub control: Option<Switch<PathBuf>>,
    /// The listeners, by name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// The routes, in the order of their names.
    pub routes: Vec<Arc<Route>>,
    /// The upstreams, by name; one that is only a URL by that.
    pub upstreams: BTreeMap<Arc<str>, Arc<Upstream>>,
    /// Where its numbers are served.
    pub metrics: Vec<Page>,
    /// Where log lines go, as the file says it.
    pub logs: BTreeMap<String, LogTable>,
    /// The stages and rules in `mode = "report"`, by their places: they refuse nobody.
    pub reporting: Vec<String>,
    /// The folder that relative paths belong to.
    pub folder: PathBuf,
    /// What each route takes of each listener, to tell why one takes a request.
    pub ways: Vec<Way>,
    /// What the file expects to come of requests.
    pub tests: BTreeMap<String, TestTable>,
    /// The files that its parts were read from.
    pub files: BTreeSet<PathBuf>,
    tables: HashMap<Arc<str>, Table<usize>>,
    /// The listeners with a stage that renews by tickets, on them or on a route of theirs.
    tickets: BTreeSet<Arc<str>>,
    /// What each of the routes takes, in their order.
    requests: Vec<compile::Requests>,
    kept: kept::Kept,
}

/// How connections end when the gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still taken.
    pub delay: Duration,
    /// The time over which the open ones are closed.
    pub over: Duration,
}

/// How an edit takes effect on what is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether it does when it is saved.
    pub watch: bool,
    /// The time over which connections that it ends are closed.
    pub spread: Duration,
    /// The least time between two of them.
    pub between: Duration,
    /// The share of connections that it may close.
    pub max_closed: Option<Percent>,
}

impl Reload {
    fn of(table: &ReloadTable) -> Self {
        let ReloadTable { watch, spread, rate, max_closed } = table;
        Self { watch: *watch, spread: spread.get(), between: rate.cost(1), max_closed: max_closed.on() }
    }
}

/// Named segments of a host and path, with what they stand for.
pub type Params = Box<[(Arc<str>, Box<str>)]>;

impl Gateway {
    /// The route for a request to this listener; `host` is lower case and without port, `path` as [`normalise`](crate::stage::path::normalise) gives it.
    pub fn route(&self, listener: &str, host: &str, path: &str) -> Option<(&Arc<Route>, Params)> {
        let found = self.tables.get(listener)?.find(host, path)?;
        Some((self.routes.get(*found.route)?, found.params))
    }

    /// The route of this name.
    pub fn route_named(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(self.index_of(name)?)
    }

    /// Whether this path of a listener's is taken before any route: connections there may have tickets to be renewed by.
    pub fn renews_at(&self, listener: &str, path: &str) -> bool {
        path == ticket::PATH && self.tickets.contains(listener)
    }

    /// Which of the routes has this name, and which of their requests are its.
    fn index_of(&self, name: &str) -> Option<usize> {
        self.routes.binary_search_by(|route| (*route.name).cmp(name)).ok()
    }

    /// Each stage that judges anybody, once, however many routes it serves.
    pub fn stages(&self) -> Vec<Arc<dyn Stage>> {
        let listeners = self.listeners.values().map(|listener| &listener.pipeline);
        let pipelines = listeners.chain(self.routes.iter().map(|route| &route.pipeline));
        let by_name: BTreeMap<_, _> = pipelines.flat_map(|pipeline| pipeline.steps()).map(|step| (&*step.name, &step.stage)).collect();
        by_name.into_values().cloned().collect()
    }

    /// Whether it sends every request to the route of the same name as another does.
    pub fn routes_as(&self, other: &Self) -> bool {
        self.requests == other.requests && self.listeners.keys().eq(other.listeners.keys())
    }

    /// Puts its limits in force on what it shares with the snapshot before it, and has its stages begin.
    pub fn take_effect(&self) {
        self.stages().iter().for_each(|stage| stage.take_effect());
        self.slots.set_max(self.max_connections);
        self.handshakes.set_max(self.max_handshakes);
        self.budget.set_max(self.max_buffered);
        for listener in self.listeners.values() {
            listener.slots.set_max(listener.max_connections);
        }
    }
}
