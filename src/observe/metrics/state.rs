//! State: what is true of a gateway at the moment of a scrape, told by the engine, counted by nobody.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::stage::outside::SourceFacts;

use super::write::{BYTES, Family, SECONDS, put};

static IN_PROGRESS: Family =
    Family::gauge("handshakes_in_progress", "Accepted connections that are not open yet, or are being told why not.");
static SLOTS_TAKEN: Family = Family::gauge("slots_taken", "Places taken of `max_connections`, of the gateway and of each listener.");
static SLOTS_MAX: Family = Family::gauge("slots_max", "As many as `max_connections` allows, where it does not say \"off\".");
static HANDSHAKES_MAX: Family = Family::gauge("handshakes_max", "As many as `max_handshakes` allows, where it does not say \"off\".");
static BUFFERED: Family =
    Family::gauge("buffered", "Bytes of messages that connections hold: read and not whole, or on their way to a peer.").in_unit(&BYTES);
static BUFFERED_MAX: Family =
    Family::gauge("buffered_max", "As many as `max_buffered` allows, where it does not say \"off\".").in_unit(&BYTES);
static UPSTREAM_CONNECTIONS: Family =
    Family::gauge("upstream_connections", "Connections to a server that are open or being opened, of all upstreams that share its state.");
static SERVER_STATE: Family = Family::gauge("upstream_server_state", "1 for the state a server is in, 0 for the others.");
static CERTIFICATE_EXPIRES: Family =
    Family::gauge("certificate_expires_timestamp", "When a certificate that a listener shows ends, in seconds since 1970.")
        .in_unit(&SECONDS);
static KEY_SET_FETCHED: Family =
    Family::gauge("key_set_fetched_timestamp", "When a key set was fetched last, in seconds since 1970; 0 where it never was.")
        .in_unit(&SECONDS);
static KEY_SET_KEYS: Family = Family::gauge("key_set_keys", "How many keys a key set has that can be used.");
static KEY_SET_FAILURES: Family = Family::counter("key_set_failures", "How often a key set could not be fetched, or was none.");

/// What an engine knows of itself when it is asked.
#[derive(Debug, Default)]
pub struct State {
    /// Connections and handshakes, those being shown out included.
    pub load: usize,
    /// Every limit on connections.
    pub slots: Vec<Slots>,
    /// How many handshakes there may be; none where they are not limited.
    pub max_handshakes: Option<usize>,
    /// How many bytes connections hold.
    pub buffered: usize,
    /// How many they may; none where they are not limited.
    pub max_buffered: Option<usize>,
    /// Every server of every upstream.
    pub servers: Vec<Server>,
    /// Every certificate that a listener shows.
    pub certificates: Vec<Certificate>,
    /// Every key set that is fetched.
    pub key_sets: Vec<SourceFacts>,
}

/// A certificate that a listener shows.
#[derive(Debug)]
pub struct Certificate {
    /// The listener.
    pub listener: Arc<str>,
    /// The first name it is for.
    pub name: Box<str>,
    /// Its last moment.
    pub not_after: SystemTime,
}

/// One `max_connections`.
#[derive(Debug)]
pub struct Slots {
    /// Whose, as the file names it: `gateway`, `listener.public`.
    pub of: String,
    /// Places that are taken.
    pub taken: usize,
    /// Places there are; none where they are not limited.
    pub max: Option<usize>,
}

/// One server of one upstream.
#[derive(Debug)]
pub struct Server {
    /// The upstream's name, or its URL where it has none.
    pub upstream: Arc<str>,
    /// The server's URL.
    pub server: Arc<str>,
    /// Connections that are open or being opened.
    pub connections: usize,
    /// How it is.
    pub condition: Condition,
}

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It gets connections.
    Up,
    /// It kept failing, and gets none for a while.
    Resting,
    /// The file says that it gets no new ones.
    Draining,
}

impl Condition {
    /// All there are, each with its word.
    const ALL: [(Self, &str); 3] = [(Self::Up, "up"), (Self::Resting, "resting"), (Self::Draining, "draining")];
}

/// The state, and how many of its connections are open.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) state: State,
    pub(super) open: i64,
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (encoder, State { load, slots, max_handshakes, buffered, max_buffered, servers, certificates, key_sets }) =
            (&mut encoder, &self.state);
        let open = usize::try_from(self.open).unwrap_or_default();
        IN_PROGRESS.only(encoder, &ConstGauge::new(load.saturating_sub(open)))?;
        let mut metric = SLOTS_TAKEN.begin(encoder)?;
        slots.iter().try_for_each(|slots| put(&mut metric, &[("of", &slots.of)], &ConstGauge::new(slots.taken)))?;
        let mut metric = SLOTS_MAX.begin(encoder)?;
        for (slots, max) in slots.iter().filter_map(|slots| Some((slots, slots.max?))) {
            put(&mut metric, &[("of", &slots.of)], &ConstGauge::new(max))?;
        }
        max_handshakes.iter().try_for_each(|max| HANDSHAKES_MAX.only(encoder, &ConstGauge::new(*max)))?;
        BUFFERED.only(encoder, &ConstGauge::new(*buffered))?;
        max_buffered.iter().try_for_each(|max| BUFFERED_MAX.only(encoder, &ConstGauge::new(*max)))?;
        let mut metric = UPSTREAM_CONNECTIONS.begin(encoder)?;
        for server in servers {
            put(&mut metric, &[("upstream", &server.upstream), ("server", &server.server)], &ConstGauge::new(server.connections))?;
        }
        let mut metric = SERVER_STATE.begin(encoder)?;
        for server in servers {
            for (condition, word) in Condition::ALL {
                let labels = [("upstream", &*server.upstream), ("server", &*server.server), ("state", word)];
                put(&mut metric, &labels, &ConstGauge::new(i64::from(server.condition == condition)))?;
            }
        }
        let mut metric = CERTIFICATE_EXPIRES.begin(encoder)?;
        for Certificate { listener, name, not_after } in certificates {
            let ends = not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            put(&mut metric, &[("listener", listener), ("name", name)], &ConstGauge::new(ends.as_secs_f64()))?;
        }
        tell_key_sets(encoder, key_sets)
    }
}

fn tell_key_sets(encoder: &mut DescriptorEncoder<'_>, sets: &[SourceFacts]) -> fmt::Result {
    let mut metric = KEY_SET_FETCHED.begin(encoder)?;
    for set in sets {
        let at = set.fetched.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        put(&mut metric, &[("set", &set.name)], &ConstGauge::new(at.as_secs_f64()))?;
    }
    let mut metric = KEY_SET_KEYS.begin(encoder)?;
    sets.iter().try_for_each(|set| put(&mut metric, &[("set", &set.name)], &ConstGauge::new(set.keys)))?;
    let mut metric = KEY_SET_FAILURES.begin(encoder)?;
    sets.iter().try_for_each(|set| put(&mut metric, &[("set", &set.name)], &ConstCounter::new(set.failures)))
}
