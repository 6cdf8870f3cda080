//! Selection: which events a sink takes.

use std::fmt;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata};

use super::emit::ACCESS;

/// Which events a sink takes: those that pass every part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Events of this level and above. Of events that are not the gateway's own (a plugin's, a library's), `debug` and `trace` are never
    /// taken: some libraries report every frame.
    pub level: LevelFilter,
    /// Where there are any: only events that carry one of these routes. What carries no route, as a request that no route covers or the
    /// gateway's own start, belongs to no route's log and is left out.
    pub routes: Vec<Arc<str>>,
    /// One kind of events.
    pub only: Option<Only>,
}

/// One kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// What happened to a connection: `open`, `sample`, `close`, `refused`, `would_refuse`, `left_out`,
    /// `token_expiring`, `renewed`, `renewal_refused`.
    Access,
    /// What did not go as it should: warnings and errors, of connections and of the gateway.
    Errors,
}

impl Default for Selection {
    /// Everything of level `info` and above.
    fn default() -> Self {
        Self { level: LevelFilter::INFO, routes: Vec::new(), only: None }
    }
}

impl Selection {
    /// Whether events of this kind may be taken; which route they carry is asked of each.
    pub(super) fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        let kind = match self.only {
            None => true,
            Some(Only::Access) => metadata.target() == ACCESS,
            Some(Only::Errors) => level <= Level::WARN,
        };
        let is_fact = is_ours(metadata) || (level <= Level::INFO && !is_of_peers(metadata));
        kind && !metadata.is_span() && level <= self.level && is_fact
    }

    /// Whether this event, of a kind that is wanted, carries a route that is.
    pub(super) fn takes(&self, event: &Event<'_>) -> bool {
        if self.routes.is_empty() {
            return true;
        }
        let mut carries = Carries { routes: &self.routes, one: false };
        event.record(&mut carries);
        carries.one
    }
}

/// Whether it is an event of the gateway itself.
pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().strip_prefix("wsgate").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether a library tells of what a peer does, which strangers could fill the log with: what matters of it is told in lines of our own.
fn is_of_peers(metadata: &Metadata<'_>) -> bool {
    matches!(metadata.target().split("::").next(), Some("h2" | "hyper" | "hyper_util"))
}

/// Looks whether an event carries one of these routes.
struct Carries<'a> {
    routes: &'a [Arc<str>],
    one: bool,
}

impl Visit for Carries<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.one |= field.name() == "route" && self.routes.iter().any(|route| **route == *value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
