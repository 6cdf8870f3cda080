//! Which config is in force, and how the last attempt to change it went.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::gauge::ConstGauge;

use super::write::{Family, SECONDS};

static GENERATION: Family = Family::gauge("config_generation", "Which config is in force: 1 since the start, one more with each reload.");
static SUCCESSFUL: Family = Family::gauge(
    "config_last_reload_successful",
    "Whether the file, as it was last read, is in force: 0 where its edit was refused, or gone back from.",
);
static SUCCESS: Family =
    Family::gauge("config_last_reload_success_timestamp", "When the config in force was taken, in seconds since 1970.").in_unit(&SECONDS);

/// The config in force.
#[derive(Debug)]
pub(super) struct InForce {
    generation: AtomicU64,
    is_successful: AtomicBool,
    /// In milliseconds since 1970.
    since: AtomicU64,
}

impl InForce {
    /// The config that the process starts with.
    pub(super) fn first(now: SystemTime) -> Self {
        Self { generation: AtomicU64::new(1), is_successful: AtomicBool::new(true), since: AtomicU64::new(milliseconds(now)) }
    }

    /// Another is in force from now on.
    pub(super) fn replaced(&self, generation: u64, now: SystemTime) {
        self.since.store(milliseconds(now), Ordering::Relaxed);
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// It is what the file says, or not.
    pub(super) fn compared(&self, is_saved: bool) {
        self.is_successful.store(is_saved, Ordering::Relaxed);
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

impl Collector for InForce {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        GENERATION.only(encoder, &ConstGauge::new(self.generation.load(Ordering::Relaxed)))?;
        SUCCESSFUL.only(encoder, &ConstGauge::new(i64::from(self.is_successful.load(Ordering::Relaxed))))?;
        let since = std::time::Duration::from_millis(self.since.load(Ordering::Relaxed));
        SUCCESS.only(encoder, &ConstGauge::new(since.as_secs_f64()))
    }
}
