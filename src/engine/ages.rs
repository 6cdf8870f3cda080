//! Which connections still go by an earlier snapshot: its parts live for as long as one of them does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::gateway::Gateway;
use crate::gateway::listener::Listener;
use crate::gateway::route::Route;

use super::policy::Policy;

/// Snapshots by their numbers, the first being 1, and the parts of earlier ones that a connection still uses.
pub(super) struct Ages(Mutex<Parts>);

struct Parts {
    current: u64,
    /// Each with the last snapshot it was in force with. Only connections hold them.
    listeners: Vec<(Weak<Listener>, u64)>,
    routes: Vec<(Weak<Route>, u64)>,
}

impl Default for Ages {
    fn default() -> Self {
        Self(Mutex::new(Parts { current: 1, listeners: Vec::new(), routes: Vec::new() }))
    }
}

impl Ages {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the snapshot in force.
    pub(super) fn current(&self) -> u64 {
        self.parts().current
    }

    /// Another snapshot is in force: remembers the parts of the one before that are not in it.
    pub(super) fn put_aside(&self, before: &Gateway, after: &Gateway) {
        let mut parts = self.parts();
        let last = parts.current;
        parts.current += 1;
        parts.sweep();
        let is_in = |listener: &&Arc<Listener>| after.listeners.get(&listener.name).is_some_and(|other| Arc::ptr_eq(other, listener));
        let gone = before.listeners.values().filter(|listener| !is_in(listener));
        parts.listeners.extend(gone.map(|listener| (Arc::downgrade(listener), last)));
        let is_in = |route: &&Arc<Route>| after.route_named(&route.name).is_some_and(|other| Arc::ptr_eq(other, route));
        let gone = before.routes.iter().filter(|route| !is_in(route));
        parts.routes.extend(gone.map(|route| (Arc::downgrade(route), last)));
    }

    /// The last snapshot that had every part of this policy.
    pub(super) fn of(&self, policy: &Policy) -> u64 {
        let parts = self.parts();
        let listener = parts.listeners.iter().find(|(listener, _)| Weak::as_ptr(listener) == Arc::as_ptr(&policy.listener));
        let route = parts.routes.iter().find(|(route, _)| Weak::as_ptr(route) == Arc::as_ptr(&policy.route));
        let ages = [listener.map(|(_, age)| *age), route.map(|(_, age)| *age)];
        ages.into_iter().flatten().min().unwrap_or(parts.current)
    }

    /// How many parts of earlier snapshots connections still use.
    pub(super) fn aside(&self) -> usize {
        let mut parts = self.parts();
        parts.sweep();
        parts.listeners.len() + parts.routes.len()
    }
}

impl Parts {
    fn sweep(&mut self) {
        self.listeners.retain(|(listener, _)| listener.strong_count() > 0);
        self.routes.retain(|(route, _)| route.strong_count() > 0);
    }
}
