//! What an edit has made of each route, and which tables are why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Mode;
use crate::stage::Pipeline;

use super::Gateway;
use super::compile::Requests;
use super::listener::Listener;
use super::route::Route;

/// What an edit has made of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// The route's name, without its kind.
    pub name: Arc<str>,
    /// What has become of it.
    pub fate: Fate,
    /// The tables that are why, as the file refers to them.
    pub because: Vec<String>,
}

/// What became of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is as it was, in every part.
    Unchanged,
    /// It says something else, or something it is made of does.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl Gateway {
    /// What has become of every route from another snapshot to this one, those that are gone among them, in the order of their names.
    pub fn routes_since(&self, before: &Self) -> Vec<RouteChange> {
        let names: BTreeSet<&Arc<str>> = before.routes.iter().chain(&self.routes).map(|route| &route.name).collect();
        let change = |name: &Arc<str>| {
            let (fate, because) = match (Whole::of(before, name), Whole::of(self, name)) {
                (Some(old), Some(new)) => match new.differs_by(&old) {
                    because if because.is_empty() => (Fate::Unchanged, because),
                    because => (Fate::Changed, because),
                },
                (None, _) => (Fate::Added, BTreeSet::from([format!("route.{name}")])),
                (Some(_), None) => (Fate::Removed, BTreeSet::from([format!("route.{name}")])),
            };
            RouteChange { name: name.clone(), fate, because: because.into_iter().collect() }
        };
        names.into_iter().map(change).collect()
    }
}

/// A route with all that a connection of it goes by.
struct Whole<'a> {
    route: &'a Arc<Route>,
    requests: &'a Requests,
    listeners: BTreeMap<&'a str, &'a Arc<Listener>>,
    endpoint: String,
}

impl<'a> Whole<'a> {
    fn of(gateway: &'a Gateway, name: &str) -> Option<Self> {
        let index = gateway.index_of(name)?;
        let (route, requests) = (gateway.routes.get(index)?, gateway.requests.get(index)?);
        // Left out it is the only one there is.
        let takes = |listener: &str| requests.listeners.is_empty() || requests.listeners.iter().any(|name| name == listener);
        let listeners = gateway.listeners.iter().map(|(name, listener)| (&**name, listener)).filter(|(name, _)| takes(name)).collect();
        // One that is a URL stands in the route's own table.
        let endpoint = if route.answers.contains("://") { format!("route.{name}") } else { route.answers.to_string() };
        Some(Self { route, requests, listeners, endpoint })
    }

    /// The tables in which it differs from another: none where it does not.
    fn differs_by(&self, other: &Self) -> BTreeSet<String> {
        let mut because = BTreeSet::new();
        for (name, listener) in &self.listeners {
            let before = other.listeners.get(name).filter(|before| !Arc::ptr_eq(before, listener));
            because.extend(before.into_iter().flat_map(|before| listeners_differ(before, listener)));
        }
        if self.requests != other.requests {
            because.insert(format!("route.{}", self.route.name));
        }
        if !Arc::ptr_eq(self.route, other.route) {
            because.extend(self.routes_differ(other));
        }
        because
    }

    fn routes_differ(&self, other: &Self) -> BTreeSet<String> {
        let (new, old) = (self.route, other.route);
        let mut because = pipelines_differ(&old.pipeline, &new.pipeline);
        if new.endpoint != old.endpoint {
            because.extend([self.endpoint.clone(), other.endpoint.clone()]);
        }
        if because.is_empty() || !new.has_settings_of(old) {
            because.insert(format!("route.{}", new.name));
        }
        because
    }
}

fn listeners_differ(old: &Listener, new: &Listener) -> BTreeSet<String> {
    let mut because = pipelines_differ(&old.pipeline, &new.pipeline);
    if because.is_empty() || !new.has_settings_of(old) {
        because.insert(format!("listener.{}", new.name));
    }
    because
}

/// The stages that stand in one of two pipelines only, or are others than they were; none where only their order is.
fn pipelines_differ(old: &Pipeline, new: &Pipeline) -> BTreeSet<String> {
    let steps = |pipeline: &Pipeline| -> BTreeMap<String, (*const (), Mode)> {
        pipeline.steps().map(|step| (step.name.to_string(), (Arc::as_ptr(&step.stage).cast(), step.mode))).collect()
    };
    let (old, new) = (steps(old), steps(new));
    old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}
