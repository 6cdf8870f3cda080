//! The stages over one connection: its listener's pipeline and then its route's.

use std::sync::Arc;
use std::time::SystemTime;

use crate::gateway::listener::Listener;
use crate::gateway::route::Route;
use crate::stage::pipeline::{self, Findings};
use crate::stage::renewal::{self, Renewing, Warning};
use crate::stage::{Client, Ending, Inspector, Pipeline, Refusal, Verdict};

/// A connection keeps the parts of the snapshot it was judged by, and no other.
#[derive(Clone)]
pub(super) struct Policy {
    pub(super) listener: Arc<Listener>,
    pub(super) route: Arc<Route>,
}

impl Policy {
    /// Whether it is the same in every part.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.listener, &other.listener) && Arc::ptr_eq(&self.route, &other.route)
    }

    /// Whether connections are let in by the same: what a listener says of sockets and handshakes is nothing to those that are in.
    pub(super) fn lets_in_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.route, &other.route) && self.listener.pipeline == other.listener.pipeline
    }

    /// Whether a refusal that `next` has only reported was this one's to report already, by the same stage in the same mode.
    pub(super) fn has_said(&self, next: &Self, refusal: &Refusal) -> bool {
        let step = |policy: &Self| {
            let pipelines = [&policy.listener.pipeline, &policy.route.pipeline];
            pipelines.into_iter().flat_map(Pipeline::steps).find(|step| Some(&step.name) == refusal.stage.as_ref()).cloned()
        };
        step(self).is_some_and(|own| step(next).is_some_and(|step| step == own))
    }

    /// Judges a live connection again; what only would be refused is for the log.
    ///
    /// # Errors
    /// The refusal that ends it.
    pub(super) fn review(&self, client: &Client, now: SystemTime, findings: &mut Findings) -> Verdict {
        self.listener.review(client, now)?;
        self.listener.pipeline.review(client, now, findings)?;
        self.route.pipeline.review(client, now, findings)
    }

    /// The first stage for which every compressed message has to stand alone; in report mode too, as it may not stay in it.
    pub(super) fn bars_takeover(&self) -> Option<&str> {
        let steps = [&self.listener.pipeline, &self.route.pipeline].into_iter().flat_map(Pipeline::steps);
        steps.filter(|step| step.stage.bars_takeover()).map(|step| &*step.name).next()
    }

    /// What is to judge this connection's frames, inspectors of `before` among it where their stage is still in force.
    pub(super) fn inspect(&self, client: &Client, mut before: Vec<Inspector>) -> Vec<Inspector> {
        let mut inspectors = self.listener.pipeline.inspect(client, &mut before);
        inspectors.extend(self.route.pipeline.inspect(client, &mut before));
        inspectors
    }

    /// When the verdicts on this connection next change by themselves: its identity ends, or a rule of a stage; or when it is to be
    /// warned of that. What lies before `after` has been judged; where it has only come in, some of it when it was accepted.
    pub(super) fn review_at(&self, client: &Client, after: Option<SystemTime>) -> Option<SystemTime> {
        let judged = after.unwrap_or(client.peer.accepted);
        let pipelines = [&self.listener.pipeline, &self.route.pipeline].map(|pipeline| pipeline.next_change(judged));
        let warnings = self.warnings(client).map(|(_, warning)| warning.from);
        client.expires(after).into_iter().chain(pipelines.into_iter().flatten()).chain(warnings).min()
    }

    /// The stages that renew what they have proven of this client.
    pub(super) fn renewing<'a>(&'a self, client: &Client) -> impl Iterator<Item = Renewing<'a>> {
        [&self.listener.pipeline, &self.route.pipeline].into_iter().flat_map(|pipeline| renewal::renewing(pipeline, client))
    }

    /// What is still to be said of what they have proven.
    pub(super) fn warnings<'a>(&'a self, client: &Client) -> impl Iterator<Item = (Renewing<'a>, Warning)> {
        let unsaid = self.renewing(client).filter(|renewing| !client.identities.is_warned(&renewing.identity.by));
        unsaid.filter_map(|renewing| renewing.renewal.warning(client).map(|warning| (renewing, warning)))
    }

    /// Shapes what a refused client is told: the route's stages have the last word.
    pub(super) fn tell(&self, client: &Client, refusal: &mut Refusal) {
        pipeline::tell(&self.listener.pipeline, Some(&self.route.pipeline), Some(client), refusal);
    }

    /// Tells every stage that the connection has ended.
    pub(super) fn close(&self, client: &Client, ending: &Ending) {
        self.listener.pipeline.close(client, ending);
        self.route.pipeline.close(client, ending);
    }
}
