//! What each event looks like in a log: its name, level, target and fields.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tracing::field::{DisplayValue, display};

use super::event::{Attempt, Event, Shown, Told, user};
use crate::config::units::Moment;
use crate::stage::refusal::{ANSWERED, Level};
use crate::stage::{Client, Ending, Peer, Refusal, Side};

/// The target of events about one connection.
pub(super) const ACCESS: &str = "wsgate::access";
/// The target of events about the gateway.
pub(super) const GATEWAY: &str = "wsgate::gateway";
/// The event that reports lost lines: losing it is no loss worth another report.
pub(super) const LOG_LINES_LOST: &str = "log_lines_lost";

/// Gives an event to `tracing`. Its name is the metadata's name, for our own lines, and the message, for other subscribers.
/// `tracing` wants levels to be constants, so a level that is known at run time only (`at`) makes one call site for each.
macro_rules! line {
    ($target:ident, at $level:expr, $name:expr, $($fields:tt)*) => {
        match $level {
            Level::Error => line!($target, ERROR, $name, $($fields)*),
            Level::Warn => line!($target, WARN, $name, $($fields)*),
            Level::Info => line!($target, INFO, $name, $($fields)*),
        }
    };
    ($target:ident, $level:ident, $name:expr, $($fields:tt)*) => {
        tracing::event!(name: $name, target: $target, tracing::Level::$level, { message = $name, $($fields)* })
    };
}

/// What a rule says of a connection that goes on.
macro_rules! said_of {
    ($name:literal, $attempt:expr, $refusal:expr) => {{
        let (attempt, refusal): (&Attempt<'_>, &Refusal) = ($attempt, $refusal);
        let (port, peer) = other_end(attempt.peer);
        line!(
            ACCESS,
            INFO,
            $name,
            connection = %Id(attempt.connection),
            listener = &*attempt.peer.listener,
            route = attempt.route,
            outcome = refusal.outcome.id,
            stage = refusal.stage.as_deref(),
            rule = refusal.rule.as_deref(),
            ip = %attempt.peer.ip,
            port,
            peer = shown(peer),
            host = attempt.host,
            path = attempt.path,
            user = attempt.user
        );
    }};
}

/// What becomes of the token of a live connection; what it is about in brackets, and what else there is to say behind that.
macro_rules! of_token {
    ($level:ident, $name:literal, $client:expr, [$($what:tt)*], $($more:tt)*) => {
        line!(
            ACCESS,
            $level,
            $name,
            connection = %Id($client.id),
            listener = &*$client.peer.listener,
            route = &*$client.route,
            $($what)*,
            ip = %$client.peer.ip,
            user = user($client),
            $($more)*
        )
    };
}

impl Event<'_> {
    /// Reports it, on the calling thread, without waiting for any disk.
    pub fn emit(&self) {
        match *self {
            Self::Open { client, subprotocol, upstream, handshake } => open(client, subprotocol, upstream, handshake),
            Self::Sample { client, age } => sample(client, age),
            Self::Close { client, ending, subprotocol, upstream, duration } => close(client, ending, (subprotocol, upstream), duration),
            Self::Request { client, method, status, cut, upstream, duration } => request(client, (method, status), cut, upstream, duration),
            Self::Refused { attempt, refusal, told, duration } => refused(&attempt, refusal, told, duration),
            Self::WouldRefuse { attempt, refusal } => said_of!("would_refuse", &attempt, refusal),
            Self::LeftOut { attempt, why, is_first: true, .. } => said_of!("left_out", &attempt, why),
            Self::Expiring { client, stage, left } => expiring(client, stage, left),
            Self::Renewed { client, stage, how, expires } => renewed(client, stage, how, expires),
            Self::RenewalRefused { client, how, refusal } => renewal_refused(client, how, refusal),
            _ => self.emit_of_gateway(),
        }
    }

    fn emit_of_gateway(&self) {
        match *self {
            Self::Started { version, config, listeners } => {
                line!(GATEWAY, INFO, "started", version, config = %config.display(), listeners);
            }
            Self::Listening { of, address } => {
                let (listener, metrics) = of.names();
                line!(GATEWAY, INFO, "listening", listener, metrics, address = %address);
            }
            Self::NoLongerListening { of, address } => {
                let (listener, metrics) = of.names();
                line!(GATEWAY, INFO, "no_longer_listening", listener, metrics, address = %address);
            }
            Self::UpstreamFailed { is_replaced: false, .. } => {}
            Self::UpstreamFailed { connection, route, server, outcome, detail, is_replaced: true } => {
                let connection = shown(connection.map(Id));
                line!(GATEWAY, WARN, "upstream_failed", connection, route, server, outcome = outcome.id, detail);
            }
            Self::UpstreamResting { server, rest } => line!(GATEWAY, WARN, "upstream_resting", server, rest = seconds(rest)),
            Self::UpstreamBack { server } => line!(GATEWAY, INFO, "upstream_back", server),
            Self::AcceptPaused { listener, error } => line!(GATEWAY, ERROR, "accept_paused", listener, error = %error),
            Self::AcceptResumed { listener } => line!(GATEWAY, INFO, "accept_resumed", listener),
            Self::CertificateEnds { listener, certificate, at } => {
                line!(GATEWAY, WARN, "certificate_ends", listener, certificate, at = %Moment::at(at));
            }
            Self::Stopping { delay } => line!(GATEWAY, INFO, "stopping", delay = seconds(delay)),
            Self::Draining { connections, over } => line!(GATEWAY, INFO, "draining", connections, over = seconds(over)),
            Self::Drained { closed, cut, duration } => line!(GATEWAY, INFO, "drained", closed, cut, duration = seconds(duration)),
            Self::Stopped => line!(GATEWAY, INFO, "stopped",),
            Self::LogLinesLost { sink, lines, error } => line!(GATEWAY, ERROR, LOG_LINES_LOST, sink, lines, error),
            Self::LogFileStuck { sink, error } => line!(GATEWAY, ERROR, "log_file_stuck", sink, error),
            Self::Reloaded { .. } => self.emit_reloaded(),
            Self::ReloadUnchanged { .. } => line!(GATEWAY, INFO, "reload_unchanged",),
            Self::ReloadRefused { faults, .. } => line!(GATEWAY, ERROR, "reload_refused", faults),
            Self::WatchLimited { error, every } => line!(GATEWAY, WARN, "watch_limited", error, every = seconds(every)),
            Self::Warning { text } => line!(GATEWAY, WARN, "warning", text),
            Self::Command { verb, by, what } => {
                line!(GATEWAY, INFO, "command", verb, by, what = Some(what).filter(|what| !what.is_empty()));
            }
            Self::InternalError { what } => line!(GATEWAY, ERROR, "internal_error", what),
            _ => self.emit_of_services(),
        }
    }

    fn emit_of_services(&self) {
        match *self {
            Self::KeySetFetched { set, keys, added, removed } => {
                line!(GATEWAY, INFO, "key_set_fetched", set, keys, added = listed(added), removed = listed(removed));
            }
            Self::KeySetFailed { set, error, has_keys: true } => line!(GATEWAY, WARN, "key_set_failed", set, error),
            Self::KeySetFailed { set, error, has_keys: false } => line!(GATEWAY, ERROR, "key_set_failed", set, error),
            Self::KeyPassedOver { set, key } => line!(GATEWAY, WARN, "key_passed_over", set, key),
            Self::ServiceFailed { stage, error, lets_in } => line!(GATEWAY, ERROR, "service_failed", stage, error, lets_in),
            Self::ServiceBack { stage } => line!(GATEWAY, INFO, "service_back", stage),
            _ => {}
        }
    }

    fn emit_reloaded(&self) {
        let Self::Reloaded { generation, added, changed, removed, kept, connections, compiled, applied, .. } = *self else { return };
        line!(
            GATEWAY,
            INFO,
            "reloaded",
            generation,
            added = listed(added),
            changed = listed(changed),
            removed = listed(removed),
            kept,
            connections_kept = connections.kept,
            connections_adopted = connections.adopted,
            connections_closed = connections.closed,
            connections_leaving = Some(connections.leaving).filter(|count| *count > 0),
            causes = Some(connections.causes).filter(|causes| !causes.is_empty()),
            compiled = seconds(compiled),
            applied = seconds(applied)
        );
    }
}

/// Names, where there are any.
fn listed<S: AsRef<str>>(names: &[S]) -> Option<DisplayValue<String>> {
    Some(names).filter(|names| !names.is_empty()).map(|names| display(names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")))
}

fn open(client: &Client, subprotocol: Option<&str>, upstream: Option<&str>, handshake: Duration) {
    let (port, peer) = other_end(&client.peer);
    let tls = client.peer.tls.as_deref();
    line!(
        ACCESS,
        INFO,
        "open",
        connection = %Id(client.id),
        listener = &*client.peer.listener,
        route = &*client.route,
        ip = %client.peer.ip,
        port,
        peer = shown(peer),
        host = client.host(),
        path = client.path(),
        http = version(&client.peer),
        user = user(client),
        tls = tls.map(|tls| tls.version),
        cipher = tls.map(|tls| tls.cipher),
        sni = tls.and_then(|tls| tls.server_name.as_deref()),
        resumed = tls.map(|tls| tls.is_resumed),
        subprotocol,
        upstream,
        handshake = seconds(handshake)
    );
}

fn sample(client: &Client, age: Duration) {
    let (from_client, from_upstream) = (client.counters.from(Side::Client), client.counters.from(Side::Upstream));
    line!(
        ACCESS,
        INFO,
        "sample",
        connection = %Id(client.id),
        route = &*client.route,
        client_messages = from_client.messages(),
        client_bytes = from_client.bytes(),
        upstream_messages = from_upstream.messages(),
        upstream_bytes = from_upstream.bytes(),
        age = seconds(age)
    );
}

fn expiring(client: &Client, stage: &str, left: Duration) {
    of_token!(INFO, "token_expiring", client, [stage], left = seconds(left));
}

fn renewed(client: &Client, stage: &str, how: Shown, expires: Option<SystemTime>) {
    of_token!(INFO, "renewed", client, [stage, how = how.as_str()], expires = shown(expires.map(Moment::at)));
}

fn renewal_refused(client: &Client, how: Shown, refusal: &Refusal) {
    let (stage, rule) = (refusal.stage.as_deref(), refusal.rule.as_deref());
    of_token!(WARN, "renewal_refused", client, [outcome = refusal.outcome.id, stage, rule, how = how.as_str()],);
}

fn close(client: &Client, ending: &Ending, (subprotocol, upstream): (Option<&str>, Option<&str>), duration: Duration) {
    let (port, peer) = other_end(&client.peer);
    let (from_client, from_upstream) = (client.counters.from(Side::Client), client.counters.from(Side::Upstream));
    line!(
        ACCESS,
        at ending.outcome.level,
        "close",
        connection = %Id(client.id),
        listener = &*client.peer.listener,
        route = &*client.route,
        by = ending.by.as_str(),
        outcome = ending.outcome.id,
        code = ending.code,
        reason = Some(&*ending.reason).filter(|reason| !reason.is_empty()),
        stage = ending.stage.as_deref(),
        rule = ending.rule.as_deref(),
        ip = %client.peer.ip,
        port,
        peer = shown(peer),
        host = client.host(),
        path = client.path(),
        http = version(&client.peer),
        user = user(client),
        subprotocol,
        upstream,
        client_messages = from_client.messages(),
        client_bytes = from_client.bytes(),
        upstream_messages = from_upstream.messages(),
        upstream_bytes = from_upstream.bytes(),
        duration = seconds(duration)
    );
}

fn request(client: &Client, (method, status): (&str, Option<u16>), cut: Option<&Refusal>, upstream: Option<&str>, duration: Duration) {
    let (port, peer) = other_end(&client.peer);
    let (from_client, from_upstream) = (client.counters.from(Side::Client), client.counters.from(Side::Upstream));
    let outcome = cut.map_or(ANSWERED, |cut| cut.outcome);
    line!(
        ACCESS,
        at outcome.level,
        "request",
        connection = %Id(client.id),
        listener = &*client.peer.listener,
        route = &*client.route,
        method,
        status,
        outcome = outcome.id,
        stage = cut.and_then(|cut| cut.stage.as_deref()),
        rule = cut.and_then(|cut| cut.rule.as_deref()),
        ip = %client.peer.ip,
        port,
        peer = shown(peer),
        host = client.host(),
        path = client.path(),
        http = version(&client.peer),
        user = user(client),
        upstream,
        client_bytes = from_client.bytes(),
        upstream_bytes = from_upstream.bytes(),
        duration = seconds(duration)
    );
}

fn refused(attempt: &Attempt<'_>, refusal: &Refusal, told: Told, duration: Duration) {
    let (port, peer) = other_end(attempt.peer);
    let (status, code) = match told {
        Told::Status(status) => (Some(status), None),
        Told::Code(code) => (None, Some(code)),
        Told::Nothing => (None, None),
    };
    line!(
        ACCESS,
        at refusal.outcome.level,
        "refused",
        connection = %Id(attempt.connection),
        listener = &*attempt.peer.listener,
        route = attempt.route,
        outcome = refusal.outcome.id,
        status,
        code,
        stage = refusal.stage.as_deref(),
        rule = refusal.rule.as_deref(),
        ip = %attempt.peer.ip,
        port,
        peer = shown(peer),
        host = attempt.host,
        path = attempt.path,
        http = version(attempt.peer),
        user = attempt.user,
        duration = seconds(duration)
    );
}

/// The client's port where the socket's other end is the client, or that other end where it is a proxy that speaks for the client.
fn other_end(peer: &Peer) -> (Option<u16>, Option<SocketAddr>) {
    if peer.address.ip().to_canonical() == peer.ip { (Some(peer.address.port()), None) } else { (None, Some(peer.address)) }
}

/// The version of HTTP, where it is not the usual one.
fn version(peer: &Peer) -> Option<&'static str> {
    peer.http2.then_some("2")
}

/// A value that is there or not, as a field that is.
fn shown<T: fmt::Display>(value: Option<T>) -> Option<DisplayValue<T>> {
    value.map(display)
}

/// A length of time in seconds; formatted with three decimals.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A connection's id, as 16 hex digits.
struct Id(u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
