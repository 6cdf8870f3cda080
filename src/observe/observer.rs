//! The observer: whom the engine tells each fact, once, for the log and the metrics.

use super::event::Event;
use super::metrics::Metrics;

/// Takes every fact of one running engine.
#[derive(Debug)]
pub struct Observer {
    metrics: Metrics,
}

impl Observer {
    /// An observer of an engine with so many threads that carry connections.
    pub fn new(threads: usize) -> Self {
        Self { metrics: Metrics::new(threads) }
    }

    /// Counts a fact and logs it, in this order: who reads the line may count on the number.
    pub fn report(&self, event: &Event<'_>) {
        self.metrics.count(event);
        event.emit();
    }

    /// What has been counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
