//! The stages over one connection: its listener's pipeline and then its route's.

use std::sync::Arc;
use std::time::SystemTime;

use crate::gateway::listener::Listener;
use crate::gateway::route::Route;
use crate::observe::Observer;
use crate::observe::event::{Attempt, Event};
use crate::stage::pipeline::{self, Findings};
use crate::stage::{Client, Ending, FrameHead, FrameInspector, Pace, Refusal, Side, Verdict};

/// A connection keeps the parts of the snapshot it was judged by, and no other.
#[derive(Clone)]
pub(super) struct Policy {
    pub(super) listener: Arc<Listener>,
    pub(super) route: Arc<Route>,
}

impl Policy {
    /// Judges a live connection again; what only would be refused is for the log.
    ///
    /// # Errors
    /// The refusal that ends it.
    pub(super) fn review(&self, client: &Client, now: SystemTime, findings: &mut Findings) -> Verdict {
        self.listener.pipeline.review(client, now, findings)?;
        self.route.pipeline.review(client, now, findings)
    }

    /// What is to judge this connection's frames. Refusals that are only reported are logged and end here, so that to a session
    /// every refusal is one that ends it.
    pub(super) fn inspect(&self, client: &Arc<Client>, observer: &Arc<Observer>) -> Vec<Box<dyn FrameInspector>> {
        let mut inspectors = self.listener.pipeline.inspect(client);
        inspectors.extend(self.route.pipeline.inspect(client));
        let reporting = |inner| Box::new(Reporting { client: client.clone(), observer: observer.clone(), inner });
        inspectors.into_iter().map(|inner| reporting(inner) as _).collect()
    }

    /// When the verdicts on this connection next change by themselves: its identity ends, or a rule of a stage. What lies before
    /// `after` has been judged.
    pub(super) fn review_at(&self, client: &Client, after: Option<SystemTime>) -> Option<SystemTime> {
        let now = after.unwrap_or_else(SystemTime::now);
        let pipelines = [&self.listener.pipeline, &self.route.pipeline].map(|pipeline| pipeline.next_change(now));
        client.expires(after).into_iter().chain(pipelines.into_iter().flatten()).min()
    }

    /// Shapes what a refused client is told: the route's stages have the last word.
    pub(super) fn tell(&self, client: Option<&Client>, refusal: &mut Refusal) {
        pipeline::tell(&self.listener.pipeline, Some(&self.route.pipeline), client, refusal);
    }

    /// Tells every stage that the connection has ended.
    pub(super) fn close(&self, client: &Client, ending: &Ending) {
        self.listener.pipeline.close(client, ending);
        self.route.pipeline.close(client, ending);
    }
}

/// An inspector whose reports are logged here.
struct Reporting {
    client: Arc<Client>,
    observer: Arc<Observer>,
    inner: Box<dyn FrameInspector>,
}

impl FrameInspector for Reporting {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let refusal = match self.inner.begin(from, head) {
            Err(refusal) if refusal.report => refusal,
            judged => return judged,
        };
        self.observer.report(&Event::WouldRefuse { attempt: Attempt::from(&*self.client), refusal: &refusal });
        Ok(Pace::Go)
    }
}
