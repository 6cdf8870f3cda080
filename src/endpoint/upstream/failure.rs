//! Why a server gave no answer that can be used, and what follows from it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::stage::Refusal;
use crate::stage::refusal::{OVERLOADED, Outcome, UPSTREAM_BAD_HANDSHAKE, UPSTREAM_REFUSED, UPSTREAM_TIMEOUT};

use crate::wire::socket;
use crate::wire::tls;

use super::news::News;

/// What is wrong where nobody was tried: there is no server, or each of them is draining.
const NO_SERVER: &str = "the upstream has no server that takes connections";

/// One server's failure; the further down, the further it got.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection: its name does not resolve, or its addresses refuse or cannot be reached.
    Unreachable(io::Error),
    /// No connection, because this host has no descriptor, port or memory for one.
    Exhausted(io::Error),
    /// No connection within `connect_timeout`.
    Unconnected,
    /// Connected, and no TLS: it is not whom it should be, or does not take us for whom we are.
    Insecure(tls::failure::Failure),
    /// Connected, and not a byte of the request could be sent.
    Unsent(String),
    /// Connected, and ended without an answer.
    Unanswered(String),
    /// Connected, and no answer within what this key says.
    Silent(&'static str),
    /// An answer that is none; the rule it breaks.
    Bad(&'static str),
}

impl Failure {
    /// Tells the server's fault from this host's.
    pub(super) fn from_dial(error: io::Error) -> Self {
        if socket::is_exhaustion(&error) { Self::Exhausted(error) } else { Self::Unreachable(error) }
    }

    /// The connection broke after it was made.
    pub(super) fn from_exchange(error: &io::Error) -> Self {
        // A server of TLS 1.3 finds fault with our certificate when we have ended the handshake.
        tls::failure::Failure::behind(error).map_or_else(|| Self::Unanswered(error.to_string()), Self::Insecure)
    }

    pub(super) fn is_insecure(&self) -> bool {
        matches!(self, Self::Insecure(_))
    }

    /// Whether another server may be tried. Not after one that was asked kept silent: it may be doing what was asked, and the client
    /// has waited long enough. Nor after one that answered: the next would answer the same.
    pub(super) fn may_retry(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unconnected | Self::Insecure(_) | Self::Unsent(_) | Self::Unanswered(_))
    }

    /// Whether it speaks against the server's health. Nothing does that happens once it was asked: a client may be able to cause it,
    /// and would put server after server to rest.
    pub(super) fn counts(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unconnected | Self::Insecure(_))
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Unreachable(_) | Self::Insecure(_) => UPSTREAM_REFUSED,
            Self::Exhausted(_) => OVERLOADED,
            Self::Unconnected | Self::Silent(_) => UPSTREAM_TIMEOUT,
            Self::Unsent(_) | Self::Unanswered(_) | Self::Bad(_) => UPSTREAM_BAD_HANDSHAKE,
        }
    }

    /// This try's failure, and whether another try has succeeded.
    pub(super) fn news(&self, server: &Arc<str>, is_replaced: bool) -> News {
        News::Failed { server: server.clone(), outcome: self.outcome(), detail: self.to_string(), is_replaced }
    }

    fn reached(&self) -> u8 {
        match self {
            Self::Exhausted(_) | Self::Unreachable(_) => 0,
            Self::Unconnected => 1,
            Self::Insecure(_) => 2,
            Self::Unsent(_) | Self::Unanswered(_) => 3,
            Self::Silent(_) => 4,
            Self::Bad(_) => 5,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) | Self::Exhausted(error) => write!(f, "{error}"),
            Self::Insecure(failure) => write!(f, "TLS: {failure}"),
            Self::Unconnected => f.write_str("no connection within `connect_timeout`"),
            Self::Unsent(error) | Self::Unanswered(error) => write!(f, "ended without an answer: {error}"),
            Self::Silent(key) => write!(f, "no answer within `{key}`"),
            Self::Bad(rule) => f.write_str(rule),
        }
    }
}

/// The refusal of a client whose upstream failed: the row of the failure that got furthest, and every server's for the log.
pub(super) fn refusal(failures: &[(Arc<str>, Failure)]) -> Box<Refusal> {
    let furthest = failures.iter().max_by_key(|(_, failure)| failure.reached());
    let outcome = furthest.map_or(UPSTREAM_REFUSED, |(_, failure)| failure.outcome());
    let each: Vec<String> = failures.iter().map(|(server, failure)| format!("{server}: {failure}")).collect();
    Box::new(Refusal::new(outcome).rule(if each.is_empty() { NO_SERVER.to_owned() } else { each.join("; ") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Failure {
        Failure::Unreachable(io::ErrorKind::ConnectionRefused.into())
    }

    #[test]
    fn the_client_is_told_of_the_failure_that_got_furthest() {
        let unanswered = || Failure::Unanswered("reset".to_owned());
        let insecure = || Failure::Insecure(tls::failure::Failure::new("expired", "its certificate has expired"));
        let rows: [(Vec<Failure>, &str); 9] = [
            (vec![], "upstream_refused"),
            (vec![refused(), refused()], "upstream_refused"),
            (vec![Failure::Unconnected, refused()], "upstream_timeout"),
            (vec![Failure::Unconnected, insecure()], "upstream_refused"),
            (vec![insecure(), unanswered()], "upstream_bad_handshake"),
            (vec![unanswered(), refused()], "upstream_bad_handshake"),
            (vec![unanswered(), Failure::Unconnected], "upstream_bad_handshake"),
            (vec![unanswered(), Failure::Silent("x")], "upstream_timeout"),
            (vec![refused(), Failure::Bad("x")], "upstream_bad_handshake"),
        ];
        for (failures, expected) in rows {
            let failures: Vec<_> = failures.into_iter().map(|failure| ("ws://a:80".into(), failure)).collect();
            assert_eq!(refusal(&failures).outcome.id, expected, "{failures:?}");
        }
    }

    #[test]
    fn the_log_is_told_what_each_server_did() {
        let failures = [("ws://a:80".into(), refused()), ("ws://b:80".into(), Failure::Silent("handshake_timeout"))];
        let rule = refusal(&failures).rule.unwrap();
        assert_eq!(&*rule, "ws://a:80: connection refused; ws://b:80: no answer within `handshake_timeout`");
    }
}
