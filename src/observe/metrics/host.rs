//! What is counted of the gateway as a whole: its listeners, its backends, its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::observe::Logs;

use super::sums::Sums;
use super::write::{Family, SECONDS, put};

static BUILD: Family = Family::gauge("build_info", "1, with the version.");
static START: Family = Family::gauge("start_time", "When the gateway started, in seconds since 1970.").in_unit(&SECONDS);
static INTERNAL_ERRORS: Family =
    Family::counter("internal_errors", "Handshakes and connections that a fault of the gateway itself has ended.");
static ACCEPT_PAUSED: Family =
    Family::gauge("accept_paused", "1 while a listener accepts nothing because the system has no room for another socket.");
static UPSTREAM_FAILURES: Family =
    Family::counter("upstream_failures", "Tries to reach a server that failed, whether or not another server answered in its place.");
static TLS_FAILURES: Family = Family::counter("tls_failures", "TLS handshakes of clients that failed, by a word for why.");
static LOG_LINES_LOST: Family =
    Family::counter("log_lines_lost", "Lines that a log was too slow or too full for. Logs that write to one place count together.");

/// What is counted of the gateway as a whole.
#[derive(Debug)]
pub(super) struct Host {
    started: SystemTime,
    /// Not told by route: it is there from the start, so that the first one is seen.
    pub(super) internal_errors: Counter,
    /// By listener. Its addresses pause together: what they lack is the system's.
    paused: Mutex<BTreeMap<Box<str>, bool>>,
    /// By server and outcome.
    pub(super) failures: Sums<2>,
    /// By listener and reason.
    pub(super) tls_failures: Sums<2>,
    pub(super) logs: OnceLock<Logs>,
}

impl Host {
    pub(super) fn new(started: SystemTime) -> Self {
        Self {
            started,
            internal_errors: Counter::default(),
            paused: Mutex::default(),
            failures: Sums::default(),
            tls_failures: Sums::default(),
            logs: OnceLock::new(),
        }
    }

    fn paused(&self) -> MutexGuard<'_, BTreeMap<Box<str>, bool>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A listener has paused accepting, or accepts again.
    pub(super) fn pause(&self, listener: &str, is_paused: bool) {
        if let Some(paused) = self.paused().get_mut(listener) {
            *paused = is_paused;
        }
    }

    /// The gateway has these listeners and servers now, and begins to accept.
    pub(super) fn retain(&self, listeners: &BTreeSet<&str>, servers: &BTreeSet<&str>) {
        let mut paused = self.paused();
        *paused = listeners.iter().map(|listener| ((*listener).into(), false)).collect();
        drop(paused);
        self.failures.retain(|[server, _]| servers.contains(&**server));
        self.tls_failures.retain(|[listener, _]| listeners.contains(&**listener));
    }
}

impl Collector for Host {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        put(&mut BUILD.begin(encoder)?, &[("version", env!("CARGO_PKG_VERSION"))], &ConstGauge::new(1_i64))?;
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        START.only(encoder, &ConstGauge::new(started.as_secs_f64()))?;
        INTERNAL_ERRORS.only(encoder, &self.internal_errors)?;
        let mut metric = ACCEPT_PAUSED.begin(encoder)?;
        self.paused()
            .iter()
            .try_for_each(|(listener, paused)| put(&mut metric, &[("listener", listener)], &ConstGauge::new(i64::from(*paused))))?;
        self.failures.encode(&mut UPSTREAM_FAILURES.begin(encoder)?, &[], ["server", "outcome"])?;
        self.tls_failures.encode(&mut TLS_FAILURES.begin(encoder)?, &[], ["listener", "reason"])?;
        let mut metric = LOG_LINES_LOST.begin(encoder)?;
        for lost in self.logs.get().into_iter().flat_map(Logs::lost) {
            put(&mut metric, &[("log", &lost.sink)], &ConstCounter::new(lost.lines))?;
        }
        Ok(())
    }
}
