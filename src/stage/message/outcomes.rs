//! What a message that must not pass comes to, by who has sent it.

use crate::stage::Side;
use crate::stage::refusal::{
    MESSAGE_DENIED, Outcome, RATE_LIMITED, SCHEMA_VIOLATION, TYPE_NOT_ALLOWED, UPSTREAM_MESSAGE_DENIED, UPSTREAM_SCHEMA_VIOLATION,
    UPSTREAM_TYPE_NOT_ALLOWED,
};

/// The rows of the table for the messages of one side.
pub(super) struct Outcomes {
    /// It is of a type that does not pass.
    pub(super) bad_type: Outcome,
    /// It is not JSON, or not what its schema describes.
    pub(super) unfit: Outcome,
    /// A rule denies it.
    pub(super) denied: Outcome,
    /// There are too many like it.
    pub(super) too_many: Outcome,
}

const CLIENT: Outcomes = Outcomes { bad_type: TYPE_NOT_ALLOWED, unfit: SCHEMA_VIOLATION, denied: MESSAGE_DENIED, too_many: RATE_LIMITED };

/// The client did not do it, and is told that the backend is at fault.
const UPSTREAM: Outcomes = Outcomes {
    bad_type: UPSTREAM_TYPE_NOT_ALLOWED,
    unfit: UPSTREAM_SCHEMA_VIOLATION,
    denied: UPSTREAM_MESSAGE_DENIED,
    too_many: UPSTREAM_MESSAGE_DENIED,
};

impl Outcomes {
    /// Those of what this side sends.
    pub(super) fn of(from: Side) -> &'static Self {
        match from {
            Side::Client => &CLIENT,
            Side::Upstream => &UPSTREAM,
        }
    }
}

/// The close code that the side which has sent a message is told with an outcome.
pub(super) fn code(outcome: &Outcome, from: Side) -> u16 {
    match from {
        Side::Client => outcome.code.unwrap_or_default(),
        Side::Upstream => outcome.upstream_code,
    }
}
