//! What the engine tells of itself when its metrics are asked for.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::gateway::tls;
use crate::observe::Observer;
use crate::observe::metrics::{Certificate, Condition, Format, Names, Server, Slots, State};
use crate::stage::slots::Slots as Places;

use super::Shared;
use super::worker::Worker;

/// How many may ask for metrics over HTTP at a time; a connection beyond is closed at once.
const CLIENTS: usize = 16;

/// Whoever writes a page of metrics needs this of the engine.
pub(super) struct Scraper {
    shared: Arc<Shared>,
    workers: Vec<Arc<Worker>>,
    /// Those who ask over HTTP now, over all pages.
    pub(super) clients: Arc<Places>,
}

impl Scraper {
    pub(super) fn new(shared: Arc<Shared>, workers: Vec<Arc<Worker>>) -> Self {
        Self { shared, workers, clients: Arc::new(Places::new(Some(CLIENTS))) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The path that this page is asked for by; none where there is no such page any more.
    pub(super) fn path(&self, page: &str) -> Option<Arc<str>> {
        self.shared.gateway.load().metrics.iter().find(|other| *other.name == *page).map(|page| page.path.clone())
    }

    pub(super) fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// The page, as of now. See [`Metrics::page`](crate::observe::Metrics::page).
    pub(super) fn page(&self, format: Format) -> Result<String, fmt::Error> {
        let load = self.workers.iter().map(|worker| worker.load()).sum();
        let gateway = self.shared.gateway.load();
        let state = State {
            load,
            slots: slots(&gateway),
            max_handshakes: gateway.max_handshakes,
            buffered: gateway.budget.held(),
            max_buffered: gateway.max_buffered,
            servers: servers(&gateway),
            certificates: certificates(&gateway),
            key_sets: gateway.outside.sources(),
        };
        self.observer().metrics().page(state, format)
    }
}

fn slots(gateway: &Gateway) -> Vec<Slots> {
    let whole = Slots { of: "gateway".to_owned(), taken: gateway.slots.taken(), max: gateway.max_connections };
    let listeners = gateway.listeners.values().map(|listener| Slots {
        of: format!("listener.{}", listener.name),
        taken: listener.slots.taken(),
        max: listener.max_connections,
    });
    [whole].into_iter().chain(listeners).collect()
}

fn servers(gateway: &Gateway) -> Vec<Server> {
    let now = Instant::now();
    let all = gateway.upstreams.iter().flat_map(|(name, upstream)| upstream.servers().map(move |(server, state)| (name, server, state)));
    all.map(|(name, server, state)| Server {
        upstream: name.clone(),
        server: server.name().clone(),
        connections: state.open(),
        condition: match state.rest(now).is_zero() {
            _ if server.drains() => Condition::Draining,
            true => Condition::Up,
            false => Condition::Resting,
        },
    })
    .collect()
}

fn certificates(gateway: &Gateway) -> Vec<Certificate> {
    let certificate = |(listener, shown): (&Arc<str>, &tls::Shown)| Certificate {
        listener: listener.clone(),
        name: shown.name.clone(),
        not_after: shown.not_after,
    };
    tls::shown(gateway).map(certificate).collect()
}

/// The names that labels may have while this gateway is in force.
pub(super) fn names(gateway: &Gateway) -> Names<'_> {
    Names {
        routes: gateway.routes.iter().map(|route| &*route.name).collect(),
        listeners: gateway.listeners.keys().map(|name| &**name).collect(),
        servers: gateway.upstreams.values().flat_map(|upstream| upstream.servers()).map(|(server, _)| &**server.name()).collect(),
    }
}
