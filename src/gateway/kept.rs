//! What a snapshot remembers of how its parts were made, so that the next one takes over those that would come out the same.
//!
//! A part is made anew at each compilation, as that is how its faults are found and its files are read. Where it was made of the same
//! as before, the one that is in force is taken in its place: who holds it need not be woken.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Part;
use crate::config::reference::{EndpointRef, PartRef};
use crate::endpoint::Endpoint;
use crate::endpoint::upstream::Upstream;
use crate::stage::Stage;
use crate::stage::inputs::Inputs;

use super::Gateway;
use super::changes::Identity;
use super::listener::Listener;
use super::route::Route;

/// How the stages and endpoints of a snapshot were made, by reference.
#[derive(Default)]
pub(super) struct Kept {
    stages: BTreeMap<PartRef, Origin<Arc<dyn Stage>>>,
    own: BTreeMap<EndpointRef, Origin<Endpoint>>,
    upstreams: BTreeMap<EndpointRef, Arc<Upstream>>,
}

/// A part, and what it was made of.
struct Origin<P> {
    table: Part,
    inputs: Inputs,
    /// The upstreams its table names.
    uses: Vec<Endpoint>,
    made: P,
}

impl<P: Clone> Origin<P> {
    /// The part that was made of the same before.
    fn or_before(mut self, before: Option<&Self>) -> Self {
        let is_same = |other: &&Self| other.table.says_the_same(&self.table) && other.inputs == self.inputs && other.uses == self.uses;
        if let Some(before) = before.filter(is_same) {
            self.made = before.made.clone();
        }
        self
    }
}

impl Kept {
    /// Every part that a table made, by its name.
    pub(super) fn parts(&self) -> impl Iterator<Item = (String, Identity<'_>)> {
        let stages = self.stages.iter().map(|(name, origin)| (name.to_string(), Identity::of(&origin.made)));
        let own = self.own.iter().map(|(name, origin)| (name.to_string(), Identity::Value(origin.made.address())));
        let upstreams = self.upstreams.iter().map(|(name, upstream)| (name.to_string(), Identity::of(upstream)));
        stages.chain(own).chain(upstreams)
    }
}

/// The snapshot before this one, if there is one.
#[derive(Clone, Copy)]
pub(super) struct Before<'a>(pub(super) Option<&'a Gateway>);

impl Before<'_> {
    fn kept(&self) -> Option<&Kept> {
        self.0.map(|gateway| &gateway.kept)
    }

    /// The stage to take: `made`, or the one before where that was made of the same.
    pub(super) fn stage(&self, kept: &mut Kept, of: &PartRef, table: &Part, inputs: Inputs, made: Arc<dyn Stage>) -> Arc<dyn Stage> {
        let before = self.kept().and_then(|kept| kept.stages.get(of));
        let origin = Origin { table: table.clone(), inputs, uses: Vec::new(), made }.or_before(before);
        let made = origin.made.clone();
        kept.stages.insert(of.clone(), origin);
        made
    }

    /// The endpoint to take, as with stages; it uses these upstreams.
    pub(super) fn own(&self, kept: &mut Kept, of: &EndpointRef, table: &Part, uses: Vec<Arc<Upstream>>, made: Endpoint) -> Endpoint {
        let before = self.kept().and_then(|kept| kept.own.get(of));
        let uses = uses.into_iter().map(Endpoint::Upstream).collect();
        let origin = Origin { table: table.clone(), inputs: Inputs::default(), uses, made }.or_before(before);
        let made = origin.made.clone();
        kept.own.insert(of.clone(), origin);
        made
    }

    /// The upstream to take, as with stages.
    pub(super) fn upstream(&self, kept: &mut Kept, of: &EndpointRef, made: Upstream) -> Endpoint {
        let before = self.kept().and_then(|kept| kept.upstreams.get(of)).filter(|before| before.settings() == made.settings());
        let taken = before.cloned().unwrap_or_else(|| Arc::new(made));
        kept.upstreams.insert(of.clone(), taken.clone());
        Endpoint::Upstream(taken)
    }

    /// The listener to take: the one before where it is equal.
    pub(super) fn listener(&self, listener: Listener) -> Arc<Listener> {
        let before = self.0.and_then(|gateway| gateway.listeners.get(&listener.name)).filter(|before| ***before == listener);
        before.cloned().unwrap_or_else(|| Arc::new(listener))
    }

    /// The route to take, as with listeners.
    pub(super) fn route(&self, route: Route) -> Arc<Route> {
        let before = self.0.and_then(|gateway| gateway.route_named(&route.name)).filter(|before| ***before == route);
        before.cloned().unwrap_or_else(|| Arc::new(route))
    }
}
