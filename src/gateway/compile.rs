//! Compiles a document into a snapshot, and tells every fault of it on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::config::document::Document;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::nearest::nearest;
use crate::config::reference::Name;
use crate::config::table::{ListenerTable, Route as Shape};
use crate::config::units::{Address, Count, Interval, Switch};
use crate::config::world::{Machine, World};
use crate::stage::Renewal;
use crate::stage::cells::Cells;
use crate::stage::outside::Outside;
use crate::stage::pipeline::Pipeline;
use crate::stage::slots::Slots;
use crate::wire::budget::Budget;
use crate::wire::head::Limits;

use super::catalog::Catalog;
use super::kept::Before;
use super::listener::Listener;
use super::parts::Parts;
use super::route::Route;
use super::table::choice::Way;
use super::{Drain, Gateway, Reload, log_file};

impl Gateway {
    /// Compiles a document on this machine. What outlives a snapshot is taken from and kept in `cells`.
    ///
    /// There is a gateway unless the faults [refuse](Faults::refuse) it.
    pub fn compile(document: &Document, catalog: &Catalog, cells: &Cells) -> (Option<Self>, Faults) {
        Self::compile_in(document, catalog, cells, &Machine)
    }

    /// [`Gateway::compile`], with all that is beyond the document's own text looked up there.
    pub fn compile_in(document: &Document, catalog: &Catalog, cells: &Cells, world: &dyn World) -> (Option<Self>, Faults) {
        let Compiled { gateway, faults, .. } = Self::compile_after(None, document, catalog, cells, world);
        (gateway, faults)
    }

    /// The same, for a document that takes the place of the one `before` was compiled from, with the same cells. Parts, listeners and
    /// routes that come out as they were are taken over: they are then the same values.
    pub fn compile_after(before: Option<&Self>, document: &Document, catalog: &Catalog, cells: &Cells, world: &dyn World) -> Compiled {
        let (config, mut faults) = Config::read_in(document, &catalog.kinds(), world);
        let Some(config) = config else { return Compiled { gateway: None, faults, files: BTreeSet::new() } };
        let parts = Parts::new(&config, catalog, cells, world, Before(before));
        let mut compiler = Compiler { parts, cells, world, listeners: BTreeMap::new(), bound: Vec::new(), ways: Vec::new() };
        compiler.listeners();
        let metrics = compiler.metrics();
        let (routes, tables) = compiler.routes();
        compiler.mentions();
        compiler.logs(document.files());
        compiler.tests();
        compiler.parts.unused_pipelines();
        compiler.parts.warn_of_unused();
        let listeners = std::mem::take(&mut compiler.listeners);
        let upstreams = compiler.parts.upstreams();
        let ways = std::mem::take(&mut compiler.ways);
        let Parts { faults: found, kept, files, .. } = compiler.parts;
        faults.extend(found);
        let requests = config.routes().map(|route| Requests::of(&route)).collect();
        let routes: Vec<Arc<Route>> = routes.into_iter().flatten().collect();
        let tickets = take_tickets(&listeners, &routes, &ways);
        let gateway = Self {
            threads: threads(config.gateway.threads),
            drain: Drain {
                delay: config.gateway.drain.delay.map(Interval::get).unwrap_or_default(),
                over: config.gateway.drain.over.get(),
            },
            reload: Reload::of(&config.gateway.reload),
            slots: cells.cell("gateway", "", || Slots::new(None)),
            max_connections: count(config.gateway.max_connections),
            handshakes: cells.cell("gateway", "handshakes", || Slots::new(None)),
            max_handshakes: count(config.gateway.max_handshakes),
            budget: cells.cell("gateway", "buffered", || Budget::new(None)),
            max_buffered: config.gateway.max_buffered.on().map(|size| usize::try_from(size.get()).unwrap_or(usize::MAX)),
            outside: Outside::of(cells),
            control: config.gateway.control.as_ref().map(|control| match control {
                Switch::On(path) => Switch::On(config.folder.join(path)),
                Switch::Off => Switch::Off,
            }),
            listeners,
            routes,
            reporting: config.reporting().iter().map(ToString::to_string).collect(),
            upstreams,
            metrics,
            logs: config.logs,
            folder: config.folder,
            tables,
            tickets,
            ways,
            tests: config.tests,
            files: files.clone(),
            requests,
            kept,
        };
        Compiled { gateway: Some(gateway).filter(|_| !faults.refuse()), faults, files }
    }
}

/// The listeners with a stage that renews by tickets, on them or on a route of theirs.
fn take_tickets(listeners: &BTreeMap<Arc<str>, Arc<Listener>>, routes: &[Arc<Route>], ways: &[Way]) -> BTreeSet<Arc<str>> {
    let takes = |pipeline: &Pipeline| pipeline.steps().any(|step| step.stage.renewal().is_some_and(Renewal::takes_tickets));
    let those: BTreeSet<&str> = routes.iter().filter(|route| takes(&route.pipeline)).map(|route| &*route.name).collect();
    let by_route = ways.iter().filter(|way| those.contains(&*way.route)).map(|way| way.listener.clone());
    listeners.values().filter(|listener| takes(&listener.pipeline)).map(|listener| listener.name.clone()).chain(by_route).collect()
}

/// What compiling came to.
pub struct Compiled {
    /// The snapshot, unless the faults refuse it.
    pub gateway: Option<Gateway>,
    /// Every fault of the document.
    pub faults: Faults,
    /// The files that its parts were read from, those that could not be read among them.
    pub files: BTreeSet<PathBuf>,
}

/// Which requests a route takes, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) route: String,
    pub(super) listeners: Vec<String>,
    hosts: Vec<String>,
    paths: Vec<String>,
}

impl Requests {
    fn of(route: &Shape<'_>) -> Self {
        let listeners = route.listener.iter().map(|name| name.as_str().to_owned()).collect();
        Self { route: route.name.to_owned(), listeners, hosts: route.host.to_vec(), paths: route.path.to_vec() }
    }
}

/// The snapshot while it is made.
pub(super) struct Compiler<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) cells: &'a Cells,
    pub(super) world: &'a dyn World,
    pub(super) listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    bound: Vec<Bound>,
    /// What each route takes.
    pub(super) ways: Vec<Way>,
}

/// An address that is taken, by which table, and where it says so.
struct Bound {
    address: SocketAddr,
    by: KeyPath,
    at: KeyPath,
}

impl Bound {
    /// Whether the system would give only one of these two addresses out. Of one table `[::]` leaves IPv4 to its twin.
    fn meets(&self, address: SocketAddr, by: &KeyPath) -> bool {
        let (ours, theirs) = (self.address.ip(), address.ip());
        let is_same_family = ours.is_ipv4() == theirs.is_ipv4();
        let covers = |one: SocketAddr| one.ip().is_unspecified() && (is_same_family || (one.is_ipv6() && self.by != *by));
        address.port() != 0 && self.address.port() == address.port() && (ours == theirs || covers(self.address) || covers(address))
    }
}

impl Compiler<'_> {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.parts.fault(fault);
    }

    fn listeners(&mut self) {
        let config = self.parts.config;
        if config.names("listener").next().is_none() && config.is_whole("listener") {
            let fault = Fault::new(KeyPath::default(), "there is no listener, so nothing would be served");
            self.fault(fault.hint("write a table [listener.NAME] with an address, as \"127.0.0.1:8765\""));
        }
        for (name, shape) in &config.listeners {
            let at = KeyPath::table("listener", name);
            let listener = self.listener(name, shape, &at);
            let listener = self.parts.before.listener(listener);
            self.listeners.insert(name.as_str().into(), listener);
        }
    }

    /// The addresses of a table, resolved; each belongs to one table.
    pub(super) fn addresses(&mut self, table: &KeyPath, written: &[Address]) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for (index, address) in written.iter().enumerate() {
            let at = table.key("address").index(index);
            let found = resolve(address, &at, self.world).unwrap_or_else(|fault| {
                self.fault(fault);
                Vec::new()
            });
            for address in found {
                match self.bound.iter().find(|bound| bound.meets(address, table)) {
                    Some(other) => {
                        let fault = match other.address == address {
                            true => Fault::new(at.clone(), format!("{address} is taken already")),
                            false => Fault::new(at.clone(), format!("{address} cannot be bound beside {}", other.address))
                                .hint(format!("{} is every address: leave the other out", widest(address, other.address))),
                        };
                        let fault = fault.also(other.at.clone(), other.by.to_string());
                        self.fault(fault);
                    }
                    None => {
                        self.bound.push(Bound { address, by: table.clone(), at: at.clone() });
                        addresses.push(address);
                    }
                }
            }
        }
        addresses
    }

    fn listener(&mut self, name: &str, shape: &ListenerTable, at: &KeyPath) -> Listener {
        let (trusted_proxies, proxy_protocol) = self.proxies(shape, at);
        let addresses = self.addresses(at, &shape.address);
        let tls = shape.tls.as_ref().and_then(|tls| self.termination(name, (tls, shape.http2), &addresses, at));
        Listener {
            name: name.into(),
            addresses,
            pipeline: Pipeline::new(self.parts.entries(&at.key("pipeline"), &shape.pipeline, &[])),
            slots: self.cells.cell("listener", name, || Slots::new(None)),
            max_connections: count(shape.max_connections),
            handshake_timeout: shape.handshake_timeout.get(),
            head: Limits::new(usize::try_from(shape.max_head.get()).unwrap_or(usize::MAX), shape.max_headers.get() as usize),
            trusted_proxies,
            proxy_protocol,
            tls,
            http2: shape.http2,
        }
    }

    pub(super) fn unknown(&mut self, at: &KeyPath, kind: &str, name: &Name) {
        let config = self.parts.config;
        if config.declares(kind, name.as_str()) {
            return;
        }
        let fault = Fault::new(at.clone(), format!("there is no [{kind}.{name}]"));
        self.fault(match nearest(name.as_str(), config.names(kind)) {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => fault.hint(format!("write a table [{kind}.{name}]")),
        });
    }

    /// `read` is what the config was read from.
    fn logs(&mut self, read: &[PathBuf]) {
        let config = self.parts.config;
        let read: Vec<PathBuf> = read.iter().map(|file| plain(file)).collect();
        let mut files: BTreeMap<PathBuf, &str> = BTreeMap::new();
        for (name, log) in &config.logs {
            let at = KeyPath::table("log", name);
            for (index, route) in log.routes.iter().flat_map(|routes| routes.iter()).enumerate() {
                self.unknown(&at.key("routes").index(index), "route", route);
            }
            let Some(file) = log.file.as_deref().map(|file| short(&config.path(file))) else { continue };
            if let Err(fault) = log_file::judge(&file, at.key("file"), self.world) {
                self.fault(fault);
            }
            let file = plain(&file);
            if read.contains(&file) {
                let fault = Fault::new(at.key("file"), format!("log.{name} would write to the file that it is configured in"));
                self.fault(fault.hint("give it a file of its own"));
            }
            if let Some(other) = files.insert(file, name) {
                let fault = Fault::new(at.key("file"), format!("log.{name} and log.{other} write to the same file"));
                let fault = fault.hint("give each a file of its own: both would rotate it, and their lines would mix");
                self.fault(fault.also(KeyPath::table("log", other).key("file"), format!("log.{other}")));
            }
        }
    }
}

/// A path without its `.` steps, as it is told.
fn short(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

/// A path from the root and without `.` and `..`, so that most ways to write one file are the same; links are not followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain
}

/// The one of two addresses that stands for all of its family.
fn widest(one: SocketAddr, other: SocketAddr) -> SocketAddr {
    if one.ip().is_unspecified() && (one.is_ipv6() || !other.ip().is_unspecified()) { one } else { other }
}

/// The addresses that one of the file means.
fn resolve(address: &Address, at: &KeyPath, world: &dyn World) -> Result<Vec<SocketAddr>, Fault> {
    match address {
        Address::Ip(address) => Ok(vec![*address]),
        Address::Name { host, port } => {
            let found = world.addresses(host, *port).ok_or_else(|| Fault::unknown(at.clone(), format!("the name {host}")))?;
            let mut found = found.map_err(|error| Fault::new(at.clone(), format!("cannot resolve {host}: {error}")))?;
            found.sort_unstable();
            found.dedup();
            Ok(found)
        }
    }
}

fn threads<const MAX: u32>(wanted: Option<Count<MAX>>) -> usize {
    wanted.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |threads| threads.get() as usize)
}

fn count<const MAX: u32>(switch: Switch<Count<MAX>>) -> Option<usize> {
    switch.on().map(|count| count.get() as usize)
}
