//! What an edit has changed: the parts of one snapshot against those of the one before.

use std::collections::BTreeMap;
use std::path::absolute;
use std::sync::Arc;

use crate::config::table::LogTable;

use super::Gateway;
use super::compile::Requests;
use super::metrics::Page;

/// The tables of a file that took the place of another, by what became of them. Names are as the file refers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Those that say something else, or whose files do, or that refer to one that does.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// How many are as they were.
    pub kept: usize,
}

impl Changes {
    /// Whether every table is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Gateway {
    /// What has changed from another snapshot to this one. Parts are the same where they are the same value.
    pub fn changes_since(&self, before: &Self) -> Changes {
        let (old, new) = (before.parts(), self.parts());
        let mut changes = Changes::default();
        for (name, part) in &new {
            match old.get(name) {
                None => changes.added.push(name.clone()),
                Some(other) if other == part => changes.kept += 1,
                Some(_) => changes.changed.push(name.clone()),
            }
        }
        changes.removed = old.into_keys().filter(|name| !new.contains_key(name)).collect();
        if !self.has_frame_of(before) {
            changes.changed.push("gateway".to_owned());
        }
        changes
    }

    /// Whether what holds for the whole process is as in another snapshot.
    fn has_frame_of(&self, other: &Self) -> bool {
        let frame = |gateway: &Self| (gateway.threads, gateway.drain, gateway.reload);
        let limits = |gateway: &Self| (gateway.max_connections, gateway.max_handshakes, gateway.max_buffered);
        // Of a file elsewhere, as a plan may be of one, by where the path leads from the root.
        let control = |gateway: &Self| gateway.control.clone().map(|place| place.on().map(|path| absolute(&path).unwrap_or(path)));
        frame(self) == frame(other) && limits(self) == limits(other) && control(self) == control(other)
    }

    /// Every part by its name, with what tells it from another of that name.
    fn parts(&self) -> BTreeMap<String, Identity<'_>> {
        let listeners = self.listeners.iter().map(|(name, listener)| (format!("listener.{name}"), Identity::of(listener)));
        let routes = self.routes.iter().zip(&self.requests);
        let routes =
            routes.map(|(route, requests)| (format!("route.{}", route.name), Identity::Route(Arc::as_ptr(route).cast(), requests)));
        let logs = self.logs.iter().map(|(name, table)| (format!("log.{name}"), Identity::Log(table)));
        let pages = self.metrics.iter().map(|page| (format!("metrics.{}", page.name), Identity::Page(page)));
        self.kept.parts().chain(listeners).chain(routes).chain(logs).chain(pages).collect()
    }
}

/// What tells a part from another of the same name: where its value lies, or what its table says.
#[derive(PartialEq)]
pub(super) enum Identity<'a> {
    Value(*const ()),
    /// The requests a route takes are no part of it: to take others wakes nobody who is on it.
    Route(*const (), &'a Requests),
    Log(&'a LogTable),
    Page(&'a Page),
}

impl Identity<'_> {
    pub(super) fn of<T: ?Sized>(part: &Arc<T>) -> Self {
        Self::Value(Arc::as_ptr(part).cast())
    }
}
