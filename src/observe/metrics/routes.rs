//! What is counted by route: every series that goes when its route does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::stage::Side;

use super::route::Route;
use super::write::{BYTES, Family, SECONDS, put};

static CONNECTIONS: Family = Family::gauge("connections", "Connections that are open.");
static HANDSHAKES: Family =
    Family::counter("handshakes", "Handshakes that ended, by the id of their outcome as `wsgate errors` prints it, or \"open\" for a 101.");
static MESSAGES: Family = Family::counter("messages", "Messages passed on, counted at their first frame.");
static MESSAGE_BYTES: Family = Family::counter("message", "Payload bytes of messages passed on, as on the wire.").in_unit(&BYTES);
static CLOSES: Family = Family::counter(
    "closes",
    "Connections that ended, by who ended them, outcome and close code; \"other\" is any code of a peer's own that is not registered.",
);
static REFUSALS: Family =
    Family::counter("refusals", "Handshakes and live connections that a stage refused, by the rule's place in the stage's table.");
static WOULD_REFUSE: Family =
    Family::counter("would_refuse", "Would-be refusals, by stages and rules in report mode, which refuse nobody.");
static RENEWALS: Family = Family::counter(
    "renewals",
    "Credentials that live connections have shown to go on by: `renewed`, or the outcome of those that do not.",
);
static LEFT_OUT: Family = Family::counter("left_out", "Messages and control frames that a stage left out, of connections that went on.");
static HANDSHAKE: Family = histogram("handshake_duration", "From accept to the 101, of handshakes that got one.");
static SESSION: Family = histogram("session_duration", "From accept to the end, of connections that were open.");

static REQUESTS: Family = Family::counter(
    "requests",
    "Ordinary HTTP requests that were let in and have ended, by the class of the answer's status, empty where none began, and outcome.",
);
static REQUEST_BYTES: Family =
    Family::counter("request", "Bytes of the bodies of ordinary requests and of their answers, by who sent them.").in_unit(&BYTES);
static REQUEST: Family =
    histogram("request_duration", "From the first byte of an ordinary request that was let in to the end of its answer.");

const fn histogram(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: Some(&SECONDS), kind: MetricType::Histogram, help }
}

/// The routes by name; the empty name is for requests that reached none.
#[derive(Debug)]
pub(super) struct Routes {
    threads: usize,
    routes: RwLock<BTreeMap<Arc<str>, Arc<Route>>>,
}

impl Routes {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, routes: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Arc<str>, Arc<Route>>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Arc<str>, Arc<Route>>> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a route; one that the gateway has no more, or never had, is there for as long as a connection of it is.
    pub(super) fn with<T>(&self, name: &str, work: impl FnOnce(&Route) -> T) -> T {
        if let Some(route) = self.read().get(name) {
            return work(route);
        }
        let mut routes = self.write();
        work(routes.entry(name.into()).or_insert_with(|| Arc::new(Route::new(self.threads))))
    }

    /// The gateway has these routes and listeners now. Series of others are told no more, those of a route once its last connection has
    /// closed.
    pub(super) fn retain(&self, names: &BTreeSet<&str>, listeners: &BTreeSet<&str>) {
        for name in names.iter().chain(&[""]) {
            self.with(name, |route| route.is_current.store(true, Ordering::Relaxed));
        }
        let mut routes = self.write();
        for (name, route) in routes.iter() {
            route.is_current.store(name.is_empty() || names.contains(&**name), Ordering::Relaxed);
            route.retain_listeners(listeners);
        }
        routes.retain(|_, route| route.is_alive());
    }

    /// Those that are alive, in the order of their names; the others are forgotten.
    fn alive(&self) -> Vec<(Arc<str>, Arc<Route>)> {
        if self.read().values().any(|route| !route.is_alive()) {
            self.write().retain(|_, route| route.is_alive());
        }
        self.read().iter().map(|(name, route)| (name.clone(), route.clone())).collect()
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> i64 {
        self.read().values().map(|route| route.open.get()).sum()
    }
}

impl Collector for Routes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes = self.alive();
        let encoder = &mut encoder;
        let known = || routes.iter().filter(|(name, _)| !name.is_empty()).map(|(name, route)| (("route", &**name), route));
        let all = || routes.iter().map(|(name, route)| (("route", &**name), route));

        let mut metric = CONNECTIONS.begin(encoder)?;
        known().try_for_each(|(label, route)| put(&mut metric, &[label], &route.open))?;
        let mut metric = HANDSHAKES.begin(encoder)?;
        all().try_for_each(|(label, route)| route.handshakes.encode(&mut metric, &[label], ["listener", "outcome"]))?;
        for (family, of) in [(&MESSAGES, (|passed| passed.0) as fn((u64, u64)) -> u64), (&MESSAGE_BYTES, |passed| passed.1)] {
            let mut metric = family.begin(encoder)?;
            for (label, route) in known() {
                for (from, side) in [("client", Side::Client), ("upstream", Side::Upstream)] {
                    put(&mut metric, &[label, ("from", from)], &ConstCounter::new(of(route.passed(side))))?;
                }
            }
        }
        let mut metric = CLOSES.begin(encoder)?;
        known().try_for_each(|(label, route)| route.closes.encode(&mut metric, &[label], ["by", "outcome", "code"]))?;
        let decided = ["stage", "rule", "outcome"];
        let mut metric = REFUSALS.begin(encoder)?;
        all().try_for_each(|(label, route)| route.refusals.encode(&mut metric, &[label], decided))?;
        let mut metric = WOULD_REFUSE.begin(encoder)?;
        all().try_for_each(|(label, route)| route.would_refuse.encode(&mut metric, &[label], decided))?;
        let mut metric = LEFT_OUT.begin(encoder)?;
        all().try_for_each(|(label, route)| route.left_out.encode(&mut metric, &[label], decided))?;
        let mut metric = RENEWALS.begin(encoder)?;
        known().try_for_each(|(label, route)| route.renewals.encode(&mut metric, &[label], ["result"]))?;
        let mut metric = REQUESTS.begin(encoder)?;
        known().try_for_each(|(label, route)| route.requests.encode(&mut metric, &[label], ["status", "outcome"]))?;
        let mut metric = REQUEST_BYTES.begin(encoder)?;
        for (label, route) in known() {
            for (from, bytes) in ["client", "upstream"].into_iter().zip(&route.bodies) {
                put(&mut metric, &[label, ("from", from)], bytes)?;
            }
        }
        let mut metric = REQUEST.begin(encoder)?;
        known().try_for_each(|(label, route)| put(&mut metric, &[label], &route.request))?;
        let mut metric = HANDSHAKE.begin(encoder)?;
        known().try_for_each(|(label, route)| put(&mut metric, &[label], &route.handshake))?;
        let mut metric = SESSION.begin(encoder)?;
        known().try_for_each(|(label, route)| put(&mut metric, &[label], &route.session))
    }
}
