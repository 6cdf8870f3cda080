//! The one table of outcomes: what each refusal or ending is called, answered and logged as.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::KeyPath;

use super::template::Template;

/// How loudly an outcome is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Something was refused or retried.
    Warn,
    /// Nothing is wrong.
    Info,
}

/// The longest reason a Close frame can carry: 125 bytes of payload less the code (RFC 6455 §5.5).
pub const MAX_REASON: usize = 123;

/// One row of the table: what a connection is told when the gateway refuses or ends it.
///
/// A plugin has rows of its own, most easily made from one of ours: `Outcome { id: "tenant_blocked", reason: "tenant blocked", ..FORBIDDEN }`.
/// It lists them in [`Configure::OUTCOMES`](super::Configure::OUTCOMES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The stable name, the same in the response, the log and the metric.
    pub id: &'static str,
    /// HTTP status while the upgrade is not answered, 400..=599 (RFC 9110 §15).
    pub status: Option<u16>,
    /// Close code for the client after the upgrade (RFC 6455 §7.4).
    pub code: Option<u16>,
    /// Close code for the backend of a connection that ends so.
    pub upstream_code: u16,
    /// What the client is told unless an `errors` stage words it otherwise; at most 123 bytes.
    pub reason: &'static str,
    /// How loudly it is logged.
    pub level: Level,
    /// When it happens, for `wsgate errors`.
    pub summary: &'static str,
}

/// Whether an endpoint may send this close code (RFC 6455 §7.4 and the IANA registry); 1010 is the client's own word.
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1009 | 1011..=1014 | 3000..=4999)
}

impl Outcome {
    /// Whether the wire can carry it: a status of a refusal, codes that may be sent, a reason that fits.
    pub const fn is_sound(&self) -> bool {
        let status = match self.status {
            Some(status) => 400 <= status && status <= 599,
            None => true,
        };
        let code = match self.code {
            Some(code) => is_close_code(code),
            None => true,
        };
        status && code && is_close_code(self.upstream_code) && self.reason.len() <= MAX_REASON
    }
}

/// Writes the rows as constants and the list of them all.
macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $status:expr, $code:expr, $upstream:literal, $level:ident, $reason:literal, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $name: Outcome = Outcome {
                id: $id, status: $status, code: $code, upstream_code: $upstream,
                reason: $reason, level: Level::$level, summary: $summary,
            };
        )*
        /// Every outcome the gateway itself can make, in the order `wsgate errors` prints them.
        pub const TABLE: &[Outcome] = &[$($name),*];
    };
}

outcomes! {
    BAD_HANDSHAKE = "bad_handshake", Some(400), None, 1001, Warn, "bad handshake", "the request is not a well-formed HTTP/1.1 WebSocket handshake";
    BAD_PROXY_HEADER = "bad_proxy_header", None, None, 1001, Warn, "bad PROXY header", "a peer that `proxy_protocol` names did not begin with a PROXY header, or with a malformed one; it is told nothing";
    TLS_FAILED = "tls_failed", None, None, 1001, Warn, "TLS failed", "the client and the listener have not agreed on TLS; the rule says why, and the client is told by an alert at most";
    HANDSHAKE_TIMEOUT = "handshake_timeout", Some(408), None, 1001, Warn, "handshake timed out", "the request head did not arrive within `handshake_timeout`";
    UPGRADE_REQUIRED = "upgrade_required", Some(426), None, 1001, Warn, "this address speaks WebSocket", "an ordinary HTTP request reached a route without `http`";
    BODY_TOO_LARGE = "body_too_large", Some(413), None, 1001, Warn, "request body too large", "the body of an ordinary request exceeds `http.max_body`";
    BAD_BODY = "bad_body", Some(400), None, 1001, Warn, "bad request body", "the body of an ordinary request is not framed as its head says";
    BODY_TIMEOUT = "body_timeout", Some(408), None, 1001, Warn, "request body timed out", "no byte of an ordinary request's body came for 30 s";
    METHOD_NOT_ALLOWED = "method_not_allowed", Some(405), None, 1001, Warn, "only GET and HEAD are answered here", "a probe of a health endpoint came with another method than GET or HEAD, or a renewal by a ticket with another than POST";
    BAD_VERSION = "bad_version", Some(426), None, 1001, Warn, "WebSocket version 13 is required", "the client asked for a WebSocket version other than 13";
    HEAD_TOO_LARGE = "head_too_large", Some(431), None, 1001, Warn, "request head too large", "the request head exceeds `max_head` or `max_headers`";
    URI_TOO_LONG = "uri_too_long", Some(414), None, 1001, Warn, "request target too long", "the request line alone exceeds `max_head`";
    NO_ROUTE = "no_route", Some(404), None, 1001, Warn, "no such route", "no route covers this listener, host and path";
    TICKET_UNKNOWN = "ticket_unknown", Some(404), None, 1001, Warn, "no such connection", "a renewal was asked for with a ticket that no live connection of the listener has, or none that renews by tickets";
    TOKEN_MISSING = "token_missing", Some(401), Some(3000), 1001, Warn, "Authentication required", "no credential stood in any of the configured sources";
    TOKEN_INVALID = "token_invalid", Some(401), Some(3000), 1001, Warn, "Invalid token", "the token is malformed, wrongly signed, or a claim does not hold; or there is no such API key";
    TOKEN_EXPIRED = "token_expired", Some(401), Some(3000), 1001, Warn, "Token Expired", "the token or API key has expired, at the handshake or under the live connection";
    CERTIFICATE_MISSING = "certificate_missing", Some(403), Some(3003), 1001, Warn, "certificate required", "the client has shown no certificate of its own";
    CERTIFICATE_DENIED = "certificate_denied", Some(403), Some(3003), 1001, Warn, "certificate not allowed", "the client's certificate is not among those that are let in, or is trusted no more";
    CERTIFICATE_EXPIRED = "certificate_expired", Some(403), Some(3003), 1001, Warn, "certificate expired", "the client's certificate has expired, at the handshake or under the live connection";
    AUTH_TIMEOUT = "auth_timeout", None, Some(3008), 1001, Warn, "Authentication timed out", "the first message with the credential did not arrive in time";
    AUTH_UNAVAILABLE = "auth_unavailable", Some(503), Some(1013), 1001, Warn, "authentication unavailable", "a key set or an authentication service cannot be reached";
    SCOPE_INSUFFICIENT = "scope_insufficient", Some(403), Some(3003), 1001, Warn, "insufficient scope", "the identity is known but lacks a right the route asks for";
    FORBIDDEN = "forbidden", Some(403), Some(3003), 1001, Warn, "forbidden", "a stage forbids this connection";
    IP_DENIED = "ip_denied", Some(403), Some(3003), 1001, Warn, "forbidden", "a firewall denies the client's address";
    ORIGIN_DENIED = "origin_denied", Some(403), Some(3003), 1001, Warn, "origin not allowed", "the page's origin is not allowed here";
    REVOKED = "revoked", Some(403), Some(3003), 1001, Warn, "revoked", "the credential has been revoked";
    KICKED = "kicked", Some(403), Some(3003), 1001, Warn, "disconnected by an operator", "an operator ended the connection";
    RATE_LIMITED = "rate_limited", Some(429), Some(1008), 1001, Warn, "too many requests", "a rate limit is used up";
    TOO_MANY_CONNECTIONS = "too_many_connections", Some(429), Some(1008), 1001, Warn, "too many connections", "a limit on concurrent connections is used up";
    SESSION_REPLACED = "session_replaced", Some(429), Some(1008), 1001, Warn, "signed in elsewhere", "a newer connection took this one's place";
    OVERLOADED = "overloaded", Some(503), Some(1013), 1001, Warn, "try again later", "the gateway is at its `max_connections`, `max_handshakes` or `max_buffered`, or the listener at its `max_connections`";
    UPSTREAM_REFUSED = "upstream_refused", Some(502), Some(1011), 1001, Error, "backend unavailable", "no server of the upstream could be reached";
    UPSTREAM_BAD_HANDSHAKE = "upstream_bad_handshake", Some(502), Some(1011), 1001, Error, "backend answered badly", "the backend's answer is not one that RFC 6455 allows to an upgrade, or RFC 9112 to a request";
    UPSTREAM_DECLINED = "upstream_declined", None, Some(1011), 1001, Warn, "backend declined", "the backend answered the upgrade with a refusal of its own: passed on over HTTP, a Close after the 101";
    UPSTREAM_TIMEOUT = "upstream_timeout", Some(504), Some(1011), 1001, Error, "backend timed out", "the backend did not accept, or did not answer, in time";
    UPSTREAM_LOST = "upstream_lost", None, Some(1011), 1001, Error, "backend lost", "the backend's connection ended without a Close frame, or within an answer";
    UPSTREAM_PROTOCOL_ERROR = "upstream_protocol_error", None, Some(1011), 1002, Error, "backend broke the protocol", "the backend sent a frame RFC 6455 forbids";
    UPSTREAM_NOT_UTF8 = "upstream_not_utf8", None, Some(1011), 1007, Error, "backend text is not UTF-8", "the backend sent a text message that has to be read and is not valid UTF-8";
    UPSTREAM_MESSAGE_TOO_LARGE = "upstream_message_too_large", None, Some(1011), 1009, Error, "backend message too large", "the backend sent a message over `max_message`";
    PROTOCOL_ERROR = "protocol_error", None, Some(1002), 1001, Warn, "protocol error", "the client sent a frame RFC 6455 forbids, or broke HTTP/2 (RFC 9113)";
    TYPE_NOT_ALLOWED = "type_not_allowed", None, Some(1003), 1001, Warn, "message type not allowed", "the client sent a message of a type that a message stage does not let pass";
    UPSTREAM_TYPE_NOT_ALLOWED = "upstream_type_not_allowed", None, Some(1011), 1003, Error, "backend sent a message of the wrong type", "the backend sent a message of a type that a message stage does not let pass";
    NOT_UTF8 = "not_utf8", None, Some(1007), 1001, Warn, "text is not UTF-8", "a text message is not valid UTF-8";
    SCHEMA_VIOLATION = "schema_violation", None, Some(1007), 1001, Warn, "message does not fit the schema", "the client sent what is not JSON, or does not fit the JSON Schema, where a message stage asks for it";
    UPSTREAM_SCHEMA_VIOLATION = "upstream_schema_violation", None, Some(1011), 1007, Error, "backend message does not fit the schema", "the backend sent what is not JSON, or does not fit the JSON Schema, where a message stage asks for it";
    MESSAGE_DENIED = "message_denied", None, Some(1008), 1001, Warn, "message denied", "a rule of a message stage denies what the client sent";
    UPSTREAM_MESSAGE_DENIED = "upstream_message_denied", None, Some(1011), 1008, Error, "backend message denied", "a rule of a message stage denies what the backend sent, or that there is so much of it";
    MESSAGE_TOO_LARGE = "message_too_large", None, Some(1009), 1001, Warn, "message too large", "the client sent a message over `max_message`";
    TOO_MANY_FRAGMENTS = "too_many_fragments", None, Some(1009), 1001, Warn, "too many fragments", "a message came in more fragments than are kept";
    IDLE = "idle", None, Some(3008), 1001, Info, "idle", "no message passed for longer than `idle`";
    NO_PONG = "no_pong", None, Some(1011), 1001, Warn, "no answer to ping", "a peer did not answer a ping within `pong`";
    SLOW_CONSUMER = "slow_consumer", None, Some(1013), 1001, Warn, "reading too slowly", "a peer took no byte for 30 s while data waited for it";
    LIFETIME = "lifetime", None, Some(1001), 1001, Info, "connection lifetime reached", "the connection is as old as `lifetime` allows";
    SHUTTING_DOWN = "shutting_down", Some(503), Some(1001), 1001, Info, "shutting down", "the gateway is stopping";
    DRAINING = "draining", Some(503), Some(1012), 1001, Info, "please reconnect", "an edit changed the route, and its `on_reload` is \"drain\"";
    ROUTE_CHANGED = "route_changed", Some(503), Some(1012), 1001, Info, "please reconnect", "an edit changed the route so that this connection cannot go on under it";
    ROUTE_REMOVED = "route_removed", Some(503), Some(1012), 1001, Info, "no longer served", "an edit took away the route or listener of this connection";
    REBALANCE = "rebalance", Some(503), Some(1012), 1001, Info, "please reconnect", "an edit took this connection's server out of its upstream";
    INTERNAL = "internal", Some(500), Some(1011), 1011, Error, "internal error", "a fault of the gateway itself";
    CLIENT_LOST = "client_lost", None, None, 1001, Info, "client lost", "the client's connection ended without a Close frame, or before it had its answer";
    ANSWERED = "answered", None, None, 1001, Info, "", "an ordinary request has the backend's own answer, whole";
    CLOSED = "closed", None, None, 1001, Info, "", "a peer closed the connection with a Close frame; its own code and reason are passed on";
}

/// A stage's, or the gateway's, no: which row of the table, and what this client is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The row of the table.
    pub outcome: Outcome,
    /// What the client is told; cut to 123 bytes where it goes into a Close frame.
    pub reason: Cow<'static, str>,
    /// Close code for the client, where it differs from the row's (`errors.codes`).
    pub code: Option<u16>,
    /// When to try again, for `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Which stage decided, as the file names it (`"firewall.office"`); the pipeline fills it in.
    pub stage: Option<Arc<str>>,
    /// Which rule of that stage decided, for the log; never told to the client.
    pub rule: Option<Box<str>>,
    /// Where that rule stands in the stage's table.
    pub clause: Option<Clause>,
    /// Whether no credential was shown: of a list of authentications, the next is asked then. `token_missing` says so by itself.
    pub is_missing: bool,
    /// A would-be refusal of a rule in `mode = "report"`: logged and counted, not enforced.
    pub report: bool,
    /// How the client is told; `errors` stages change it.
    pub telling: Telling,
}

/// Where in its stage's own table a rule stands. Nothing of it is allocated for a refusal: stages keep what they need to say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The key; one of an inner table by its dotted path.
    pub key: &'static str,
    /// The element, where the key holds a list.
    pub index: Option<usize>,
    /// The line, counted from 1, of the file which that element names, as it names it.
    pub line: Option<(Arc<Path>, usize)>,
}

/// The form in which a refused client is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// The body of an HTTP refusal.
    pub body: Body,
    /// The text message sent on the socket before the Close frame; see [`Refusal::notification`].
    pub notify: Option<Arc<Template>>,
    /// Accept the upgrade and close at once, where the row has a close code.
    pub accept_close: bool,
    /// What the client is answered over HTTP by whoever was asked and refuses, in the place of what the row says.
    pub words: Option<Arc<Words>>,
    /// The request was a HEAD: an HTTP refusal of it has no body (RFC 9110 §9.3.2).
    pub bodiless: bool,
}

/// The answer of a service that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Its status, 300..=599.
    pub status: StatusCode,
    /// Those of its headers that say how to be let in, and what its body is.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The form of an HTTP refusal's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// One line of plain text.
    #[default]
    Text,
    /// A JSON object with `error` and `message`.
    Json,
}

impl Refusal {
    /// A refusal by this row, in its own words.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: Cow::Borrowed(outcome.reason),
            code: None,
            retry_after: None,
            stage: None,
            rule: None,
            clause: None,
            is_missing: outcome.id == TOKEN_MISSING.id,
            report: false,
            telling: Telling::default(),
        }
    }

    /// Names the rule that decided, for the log.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Box<str>>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// Says that the client has shown no credential.
    #[must_use]
    pub fn missing(mut self) -> Self {
        self.is_missing = true;
        self
    }

    /// Says which key of its stage's table the rule is, or a part of.
    #[must_use]
    pub fn at(mut self, key: &'static str) -> Self {
        self.clause = Some(Clause { key, index: None, line: None });
        self
    }

    /// Where in the file the rule stands that decided: the key of the stage's table, or that table; nothing where no stage decided.
    /// A bare kind has no table, and its path leads nowhere.
    pub fn path(&self) -> Option<KeyPath> {
        let stage = self.stage.as_deref()?;
        let table = stage.split_once('.').map_or_else(|| KeyPath::default().key(stage), |(kind, name)| KeyPath::table(kind, name));
        let Some(clause) = &self.clause else { return Some(table) };
        let key = clause.key.split('.').fold(table, |at, key| at.key(key));
        Some(clause.index.map_or_else(|| key.clone(), |index| key.index(index)))
    }

    /// Marks it as a would-be refusal: logged and counted, not enforced.
    #[must_use]
    pub fn reported(mut self) -> Self {
        self.report = true;
        self
    }

    /// The HTTP status the client gets, where this refusal can be told over HTTP: the row's, or that of whoever was asked and refuses.
    pub fn status(&self) -> Option<u16> {
        self.telling.words.as_ref().map(|words| words.status.as_u16()).or(self.outcome.status)
    }

    /// The close code the client gets, where this refusal can be told in a Close frame.
    pub fn close_code(&self) -> Option<u16> {
        self.code.or(self.outcome.code)
    }

    /// Whether a client that has not been answered is told by an accepted upgrade and a Close, and not over HTTP.
    pub fn is_told_by_close(&self) -> bool {
        self.telling.accept_close && self.close_code().is_some()
    }

    /// The text message to send on the socket before the Close frame, with this refusal's final reason and code; none where it has
    /// no close code, as nothing is sent on a socket then.
    pub fn notification(&self) -> Option<String> {
        Some(self.telling.notify.as_ref()?.fill(self.outcome.id, &self.reason, self.close_code()?))
    }
}

/// What a stage answers: pass, or a refusal. Boxed so that the passing case stays one word.
pub type Verdict = Result<(), Box<Refusal>>;

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The client.
    Client,
    /// The backend.
    Upstream,
    /// The gateway itself.
    Gateway,
}

impl Party {
    /// The word for it in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// How a connection ended, and who ended it.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Who ended it.
    pub by: Party,
    /// The row of the table.
    pub outcome: Outcome,
    /// The close code that went over the wire or would have; 1005 where a Close carried none, 1006 where there was no Close (RFC 6455 §7.1.5).
    pub code: u16,
    /// The reason that went with it.
    pub reason: Box<str>,
    /// Which stage decided, as the file names it.
    pub stage: Option<Arc<str>>,
    /// Which rule of that stage decided.
    pub rule: Option<Box<str>>,
    /// Where that rule stands in the stage's table.
    pub clause: Option<Box<Clause>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_one_that_the_wire_can_carry() {
        assert!(TABLE.iter().all(Outcome::is_sound));
        let long = Outcome {
            reason: "a reason that no Close frame can carry, as it goes on for more than one hundred and twenty-three bytes, which is all there is",
            ..FORBIDDEN
        };
        for row in [
            Outcome { status: Some(101), ..FORBIDDEN },
            Outcome { code: Some(1006), ..FORBIDDEN },
            Outcome { upstream_code: 1010, ..FORBIDDEN },
            long,
        ] {
            assert!(!row.is_sound(), "{row:?}");
        }
    }

    #[test]
    fn only_what_lies_in_the_gateway_or_behind_it_is_an_error() {
        let errors = TABLE.iter().filter(|row| row.level == Level::Error).map(|row| row.id);
        let lies_behind = |id: &str| id == "internal" || id.starts_with("upstream_");
        assert_eq!(errors.filter(|id| !lies_behind(id)).collect::<Vec<_>>(), <[&str; 0]>::default());
        assert_eq!(CLIENT_LOST.level, Level::Info);
    }
}
