//! What is counted of one route.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::stage::client::Traffic;
use crate::stage::refusal::ANSWERED;
use crate::stage::{Client, Ending, Party, Refusal, Side};

use super::labels;
use super::sums::Sums;

/// Upper bounds of the buckets of handshakes, in seconds: a local one takes a millisecond, and by 10 s most clients have given up.
const HANDSHAKE: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The same of sessions, from a second over a minute, an hour and a day to a week.
const SESSION: [f64; 13] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0];

/// The same of ordinary requests: a poll that waits for news takes half a minute.
const REQUEST: [f64; 13] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0];

/// The outcome of a handshake that ended in a 101.
const OPEN: &str = "open";

/// Everything that is counted of one route, or of requests that reached none.
#[derive(Debug)]
pub(super) struct Route {
    /// Messages and bytes, one for each thread so that no two write to the same; made when the first connection comes there.
    traffic: Box<[OnceLock<Arc<Traffic>>]>,
    pub(super) open: Gauge,
    /// By listener and outcome.
    pub(super) handshakes: Sums<2>,
    /// By who ended it, outcome and code.
    pub(super) closes: Sums<3>,
    /// By stage, rule and outcome.
    pub(super) refusals: Sums<3>,
    /// The same, of what only reports.
    pub(super) would_refuse: Sums<3>,
    pub(super) left_out: Sums<3>,
    /// Credentials that live connections have shown, by result.
    pub(super) renewals: Sums<1>,
    pub(super) handshake: Histogram,
    pub(super) session: Histogram,
    /// Ordinary requests by class of status and outcome.
    pub(super) requests: Sums<2>,
    pub(super) request: Histogram,
    /// Bytes of their bodies, and of the answers'.
    pub(super) bodies: [Counter; 2],
    /// Whether the gateway has this route now.
    pub(super) is_current: AtomicBool,
}

impl Route {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            traffic: (0..threads).map(|_| OnceLock::new()).collect(),
            open: Gauge::default(),
            handshakes: Sums::default(),
            closes: Sums::default(),
            refusals: Sums::default(),
            would_refuse: Sums::default(),
            left_out: Sums::default(),
            renewals: Sums::default(),
            handshake: Histogram::new(HANDSHAKE),
            session: Histogram::new(SESSION),
            requests: Sums::default(),
            request: Histogram::new(REQUEST),
            bodies: Default::default(),
            is_current: AtomicBool::new(false),
        }
    }

    /// What connections on this thread add to; of a thread nobody knows, to nothing that is told.
    pub(super) fn traffic(&self, thread: usize) -> Arc<Traffic> {
        self.traffic.get(thread).map(|traffic| traffic.get_or_init(Arc::default).clone()).unwrap_or_default()
    }

    /// Messages and bytes from one side so far.
    pub(super) fn passed(&self, from: Side) -> (u64, u64) {
        let tallies = self.traffic.iter().filter_map(OnceLock::get).map(|traffic| traffic.from(from));
        tallies.fold((0, 0), |(messages, bytes), tally| (messages + tally.messages(), bytes + tally.bytes()))
    }

    /// Whether it is to be told of: the gateway has it, or a connection of it is there still.
    pub(super) fn is_alive(&self) -> bool {
        self.is_current.load(Ordering::Relaxed)
            || self.traffic.iter().filter_map(OnceLock::get).any(|traffic| Arc::strong_count(traffic) > 1)
    }

    pub(super) fn opened(&self, listener: &str, took: Duration) {
        self.handshakes.add([listener, OPEN]);
        self.handshake.observe(took.as_secs_f64());
        self.open.inc();
    }

    pub(super) fn closed(&self, ending: &Ending, lasted: Duration) {
        self.closes.add([ending.by.as_str(), ending.outcome.id, &labels::code(ending)]);
        self.session.observe(lasted.as_secs_f64());
        self.open.dec();
        if let (Party::Gateway, Some(stage)) = (ending.by, &ending.stage) {
            self.refusals.add([stage, &labels::rule(ending.clause.as_deref()), ending.outcome.id]);
        }
    }

    pub(super) fn answered(&self, client: &Client, status: Option<u16>, cut: Option<&Refusal>, took: Duration) {
        self.requests.add([labels::class(status), cut.map_or(ANSWERED, |cut| cut.outcome).id]);
        self.request.observe(took.as_secs_f64());
        for (side, bodies) in [Side::Client, Side::Upstream].into_iter().zip(&self.bodies) {
            bodies.inc_by(client.counters.from(side).bytes());
        }
    }

    pub(super) fn refused(&self, listener: &str, refusal: &Refusal) {
        self.handshakes.add([listener, refusal.outcome.id]);
        if let Some(stage) = &refusal.stage {
            self.refusals.add([stage, &labels::rule(refusal.clause.as_ref()), refusal.outcome.id]);
        }
    }

    pub(super) fn would_refuse(&self, refusal: &Refusal) {
        let stage = refusal.stage.as_deref().unwrap_or_default();
        self.would_refuse.add([stage, &labels::rule(refusal.clause.as_ref()), refusal.outcome.id]);
    }

    pub(super) fn left_out(&self, why: &Refusal, count: u64) {
        let stage = why.stage.as_deref().unwrap_or_default();
        self.left_out.add_many([stage, &labels::rule(why.clause.as_ref()), why.outcome.id], count);
    }

    /// Forgets the listeners that are not among these.
    pub(super) fn retain_listeners(&self, listeners: &BTreeSet<&str>) {
        self.handshakes.retain(|[listener, _]| listeners.contains(&**listener));
    }
}
