//! Events: every fact that the gateway reports, typed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::stage::refusal::ANSWERED;
use crate::stage::{Client, Ending, Outcome, Refusal};

pub(super) use super::about::user;
pub use super::about::{Attempt, Concerned, Owner, Shown, Told};

/// One fact, borrowed from whoever knows it, at the moment it is true.
///
/// Its level, name and fields stand in one place, `emit.rs`; what it counts in another, `metrics/mod.rs`. Nothing is reported per frame or
/// message.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The config is compiled and every socket is bound.
    Started {
        /// The gateway's version.
        version: &'a str,
        /// The file or folder that was read.
        config: &'a Path,
        /// How many listeners it has.
        listeners: usize,
    },
    /// A listener takes connections at one of its addresses, or a page of metrics is served there.
    Listening {
        /// Whose address it is.
        of: Owner<'a>,
        /// The address as bound, with the port that was given for port 0.
        address: SocketAddr,
    },
    /// An address is served no more: an edit took it out.
    NoLongerListening {
        /// Whose address it was.
        of: Owner<'a>,
        /// The address.
        address: SocketAddr,
    },
    /// The upgrade is answered with 101.
    Open {
        /// The connection.
        client: &'a Client,
        /// The subprotocol that was agreed on.
        subprotocol: Option<&'a str>,
        /// The server it was connected to, where its endpoint is an upstream.
        upstream: Option<&'a str>,
        /// From accept to 101.
        handshake: Duration,
    },
    /// A connection that has been open for long, from time to time.
    Sample {
        /// The connection, with its counters as they stand.
        client: &'a Client,
        /// From accept to now.
        age: Duration,
    },
    /// A connection has ended; its level is its outcome's.
    Close {
        /// The connection, with its counters as they ended.
        client: &'a Client,
        /// How, and by whom.
        ending: &'a Ending,
        /// The subprotocol that was agreed on.
        subprotocol: Option<&'a str>,
        /// The server it was connected to, where its endpoint is an upstream.
        upstream: Option<&'a str>,
        /// From accept to the end.
        duration: Duration,
    },
    /// An ordinary HTTP request was let in and has ended; its level is its outcome's.
    Request {
        /// Who made it, with its counters as they ended.
        client: &'a Client,
        /// Its method.
        method: &'a str,
        /// The status of the answer, where one has begun.
        status: Option<u16>,
        /// What has ended it before its answer was whole.
        cut: Option<&'a Refusal>,
        /// The server that was asked.
        upstream: Option<&'a str>,
        /// From its first byte to the end.
        duration: Duration,
    },
    /// A handshake was refused; its level is its outcome's.
    Refused {
        /// Whose.
        attempt: Attempt<'a>,
        /// The decision.
        refusal: &'a Refusal,
        /// What the client was told of it.
        told: Told,
        /// From accept to the answer.
        duration: Duration,
    },
    /// A stage or rule in `mode = "report"` would have refused.
    WouldRefuse {
        /// Whom.
        attempt: Attempt<'a>,
        /// The decision that was not enforced.
        refusal: &'a Refusal,
    },
    /// Messages or control frames of a live connection were left out.
    LeftOut {
        /// Whose.
        attempt: Attempt<'a>,
        /// For breaking this rule.
        why: &'a Refusal,
        /// How many.
        count: u64,
        /// Whether this rule has left out nothing of this connection's before; only then there is a line.
        is_first: bool,
    },
    /// A live connection ends soon, as what it was let in by does; once for each.
    Expiring {
        /// The connection.
        client: &'a Client,
        /// The stage that has let it in.
        stage: &'a str,
        /// How long until it ends.
        left: Duration,
    },
    /// A live connection has shown a newer credential and goes on by that.
    Renewed {
        /// The connection.
        client: &'a Client,
        /// The stage that has verified it.
        stage: &'a str,
        /// How it was shown.
        how: Shown,
        /// When the connection ends by it.
        expires: Option<SystemTime>,
    },
    /// A live connection has shown a credential that does not renew it.
    RenewalRefused {
        /// The connection.
        client: &'a Client,
        /// How it was shown.
        how: Shown,
        /// Why; the connection runs on under its old deadline, or its `close` follows.
        refusal: &'a Refusal,
    },
    /// One try to reach a server has failed; another may follow.
    UpstreamFailed {
        /// The connection it was for; none for a health probe.
        connection: Option<u64>,
        /// That connection's route.
        route: Option<&'a str>,
        /// The server, as the file writes it.
        server: &'a str,
        /// What the client would be told if this were the last try.
        outcome: Outcome,
        /// What the system or the server said.
        detail: &'a str,
        /// Whether another server has answered in its place. Where none has, the refusal tells of every try, and this has no line.
        is_replaced: bool,
    },
    /// A server that kept failing gets no connections for a while.
    UpstreamResting {
        /// The server, as the file writes it.
        server: &'a str,
        /// For how long.
        rest: Duration,
    },
    /// A server that rested is used again.
    UpstreamBack {
        /// The server, as the file writes it.
        server: &'a str,
    },
    /// The system refuses new sockets, so the listener waits before it accepts again.
    AcceptPaused {
        /// The listener's name.
        listener: &'a str,
        /// What the system said.
        error: &'a std::io::Error,
    },
    /// The listener accepts again.
    AcceptResumed {
        /// The listener's name.
        listener: &'a str,
    },
    /// A certificate that clients are shown ends soon, or has ended: nothing has renewed it.
    CertificateEnds {
        /// The listener's name.
        listener: &'a str,
        /// The first name it is for; where it has none, its subject.
        certificate: &'a str,
        /// Its last moment.
        at: SystemTime,
    },
    /// A key set was fetched for the first time, again after failures, or with other keys than before.
    KeySetFetched {
        /// What it is called: its URL, or its issuer.
        set: &'a str,
        /// How many keys it has.
        keys: usize,
        /// The names of those that are new.
        added: &'a [Arc<str>],
        /// The names of those that are gone.
        removed: &'a [Arc<str>],
    },
    /// A key set could not be fetched, and could before.
    KeySetFailed {
        /// What it is called.
        set: &'a str,
        /// Why.
        error: &'a str,
        /// Whether there are keys from before, which serve on.
        has_keys: bool,
    },
    /// A key of a key set cannot be used here.
    KeyPassedOver {
        /// What the set is called.
        set: &'a str,
        /// Which key, and why.
        key: &'a str,
    },
    /// A service that decides could not be asked, and could before.
    ServiceFailed {
        /// The stage that asks.
        stage: &'a str,
        /// Why.
        error: &'a str,
        /// Whether clients are let in all the same.
        lets_in: bool,
    },
    /// It answers again.
    ServiceBack {
        /// The stage that asks.
        stage: &'a str,
    },
    /// A stop was asked for: the gateway is not ready from now on, as health endpoints tell it, and still takes connections.
    Stopping {
        /// For how long.
        delay: Duration,
    },
    /// The gateway is stopping: it accepts nothing more and closes what is open, spread over time.
    Draining {
        /// How many connections are open.
        connections: usize,
        /// Over how long they are closed.
        over: Duration,
    },
    /// No connection is left.
    Drained {
        /// How many were closed with a Close frame, or ended by themselves.
        closed: usize,
        /// How many were cut off because time was up.
        cut: usize,
        /// From the beginning of the drain to now.
        duration: Duration,
    },
    /// The gateway is about to exit.
    Stopped,
    /// Lines did not reach a log: its queue was full, or writing failed.
    LogLinesLost {
        /// The log's name.
        sink: &'a str,
        /// How many since this was last reported.
        lines: u64,
        /// What the system said last, where writing failed.
        error: Option<&'a str>,
    },
    /// A log file could not be rotated or reopened; its lines still go to the file that is open.
    LogFileStuck {
        /// The log's name.
        sink: &'a str,
        /// What the system said.
        error: &'a str,
    },
    /// An edit of the config is in force.
    Reloaded {
        /// How many configs have been in force with this one.
        generation: u64,
        /// Which tables are new.
        added: &'a [String],
        /// Which are others than they were, or refer to one that is.
        changed: &'a [String],
        /// Which are gone.
        removed: &'a [String],
        /// How many are as they were.
        kept: usize,
        /// What it means for the connections that are open.
        connections: Concerned<'a>,
        /// From the beginning of the reading to the compiled config.
        compiled: Duration,
        /// From there until the last connection was judged.
        applied: Duration,
        /// Whether it is what the file says, as that was last read: a list that changes puts no edit in force that was refused.
        is_saved: bool,
    },
    /// The config was read again, and says what is in force.
    ReloadUnchanged {
        /// As of [`Reloaded`](Self::Reloaded).
        is_saved: bool,
    },
    /// An edit of the config does not take effect: what was in force still is.
    ReloadRefused {
        /// Every fault, one a line, or the one reason.
        faults: &'a str,
        /// Whether what is in force is what the file says all the same: it was something else that somebody asked for.
        is_saved: bool,
    },
    /// The system refuses to watch some of the files that the config is read from: they are read again every so often instead.
    WatchLimited {
        /// Why, with the setting to raise where there is one.
        error: &'a str,
        /// How often they are read.
        every: Duration,
    },
    /// The config is taken, but holds something its operator would want to know.
    Warning {
        /// The warning, rendered on one line.
        text: &'a str,
    },
    /// An operator has asked for something, over the control socket.
    Command {
        /// What: the word that was typed.
        verb: &'a str,
        /// Who.
        by: &'a str,
        /// Of what, or with what.
        what: &'a str,
    },
    /// A fault of the gateway itself.
    InternalError {
        /// What went wrong.
        what: &'a str,
    },
}

impl Event<'_> {
    /// What a handshake or connection has come to, where this is its end.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Close { ending, .. } => Some(ending.outcome),
            Self::Request { cut, .. } => Some(cut.map_or(ANSWERED, |cut| cut.outcome)),
            Self::Refused { refusal, .. } => Some(refusal.outcome),
            _ => None,
        }
    }
}
