//! Metrics: what events tell, counted, and the page that Prometheus reads.
//!
//! ```text
//! Event ─▶ Observer ─▶ count ─▶ Routes, Host ─┐
//! Traffic, one for each route and thread ─────┤─▶ Registry ─▶ page
//! State, told by the engine at each scrape ───┘
//! ```
//!
//! Messages and bytes are no events: each connection adds to a [`Traffic`] that it holds, and which no other thread writes to.

mod config;
mod host;
mod labels;
mod process;
mod route;
mod routes;
mod state;
mod sums;
mod text;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use crate::stage::client::Traffic;
use crate::stage::refusal::{INTERNAL, TLS_FAILED};

use super::Logs;
use super::event::Event;

use config::InForce;
use host::Host;
use process::Process;
use routes::Routes;
use state::Told;

pub use state::{Certificate, Condition, Server, Slots, State};
pub use text::Format;

/// The result of a renewal that is in force.
const RENEWED: &str = "renewed";

/// What the gateway has by name: the labels that series may carry from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// Routes.
    pub routes: BTreeSet<&'a str>,
    /// Listeners.
    pub listeners: BTreeSet<&'a str>,
    /// Servers of upstreams, by their URLs.
    pub servers: BTreeSet<&'a str>,
}

/// The metrics of one engine.
#[derive(Debug)]
pub struct Metrics {
    routes: Arc<Routes>,
    host: Arc<Host>,
    config: Arc<InForce>,
    registry: Registry,
}

impl Metrics {
    /// The metrics of an engine with so many threads that carry connections, which starts now.
    pub fn new(threads: usize) -> Self {
        let now = SystemTime::now();
        let (routes, host, config) = (Arc::new(Routes::new(threads)), Arc::new(Host::new(now)), Arc::new(InForce::first(now)));
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("wsgate");
        own.register_collector(Box::new(routes.clone()));
        own.register_collector(Box::new(host.clone()));
        own.register_collector(Box::new(config.clone()));
        registry.sub_registry_with_prefix("process").register_collector(Box::new(Process));
        Self { routes, host, config, registry }
    }

    /// Counts a fact.
    pub(super) fn count(&self, event: &Event<'_>) {
        if event.outcome().is_some_and(|outcome| outcome.id == INTERNAL.id) {
            self.host.internal_errors.inc();
        }
        if let Event::Refused { attempt, refusal, .. } = event
            && refusal.outcome.id == TLS_FAILED.id
        {
            self.host.tls_failures.add([&attempt.peer.listener, &labels::rule(refusal.clause.as_ref())]);
        }
        match *event {
            Event::Open { client, handshake, .. } => {
                self.routes.with(&client.route, |route| route.opened(&client.peer.listener, handshake));
            }
            Event::Close { client, ending, duration, .. } => self.routes.with(&client.route, |route| route.closed(ending, duration)),
            Event::Request { client, status, cut, duration, .. } => {
                self.routes.with(&client.route, |route| route.answered(client, status, cut, duration));
            }
            Event::Refused { attempt, refusal, .. } => {
                self.routes.with(attempt.route.unwrap_or_default(), |route| route.refused(&attempt.peer.listener, refusal));
            }
            Event::WouldRefuse { attempt, refusal } => {
                self.routes.with(attempt.route.unwrap_or_default(), |route| route.would_refuse(refusal));
            }
            Event::LeftOut { attempt, why, count, .. } => {
                self.routes.with(attempt.route.unwrap_or_default(), |route| route.left_out(why, count));
            }
            Event::Renewed { client, .. } => self.routes.with(&client.route, |route| route.renewals.add([RENEWED])),
            Event::RenewalRefused { client, refusal, .. } => {
                self.routes.with(&client.route, |route| route.renewals.add([refusal.outcome.id]));
            }
            Event::UpstreamFailed { server, outcome, .. } => self.host.failures.add([server, outcome.id]),
            Event::AcceptPaused { listener, .. } => self.host.pause(listener, true),
            Event::AcceptResumed { listener } => self.host.pause(listener, false),
            Event::Reloaded { generation, is_saved, .. } => {
                self.config.replaced(generation, SystemTime::now());
                self.config.compared(is_saved);
            }
            Event::ReloadUnchanged { is_saved } | Event::ReloadRefused { is_saved, .. } => self.config.compared(is_saved),
            _ => {}
        }
    }

    /// What connections of this route on this thread add to. For as long as it is held the route's series are there.
    pub fn traffic(&self, route: &str, thread: usize) -> Arc<Traffic> {
        self.routes.with(route, |route| route.traffic(thread))
    }

    /// The gateway has these names now. Each of its routes has its series from here on; those of others go, a route's with its last
    /// connection.
    pub fn retain(&self, names: &Names<'_>) {
        self.routes.retain(&names.routes, &names.listeners);
        self.host.retain(&names.listeners, &names.servers);
    }

    /// Tells of the lines that these logs lose. Only the first call counts.
    pub fn watch(&self, logs: &Logs) {
        _ = self.host.logs.set(logs.clone());
    }

    /// The page. It takes a while where there are many routes: not for a thread that has connections to look after.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn page(&self, state: State, format: Format) -> Result<String, fmt::Error> {
        let mut page = String::new();
        encode_registry(&mut page, &self.registry)?;
        let mut now = Registry::with_prefix("wsgate");
        now.register_collector(Box::new(Told { state, open: self.routes.open() }));
        encode_registry(&mut page, &now)?;
        encode_eof(&mut page)?;
        Ok(match format {
            Format::OpenMetrics => page,
            Format::Plain => text::plain(&page),
        })
    }
}

#[cfg(test)]
mod tests;
