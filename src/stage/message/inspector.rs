//! One connection's messages, held against what is demanded of them.

use std::sync::Arc;

use crate::stage::{Fate, Message, MessageInspector, Refusal, Side};

use super::Policy;
use super::demands::State;
use super::outcomes;
use super::table::OnViolation;

/// Judges the messages of one connection.
pub(super) struct Inspector {
    pub(super) policy: Arc<Policy>,
    pub(super) client: State,
    pub(super) upstream: State,
}

impl MessageInspector for Inspector {
    fn reads(&self, from: Side) -> bool {
        self.policy.demands(from).is_some()
    }

    fn message(&mut self, from: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        let state = match from {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        };
        let Some(demands) = self.policy.demands(from) else { return Ok(Fate::Pass) };
        match demands.judge(message, state, &self.policy.buckets) {
            Ok(()) => Ok(Fate::Pass),
            Err(refusal) if refusal.report => Err(refusal),
            Err(refusal) => self.policy.answer(from, refusal),
        }
    }
}

impl Policy {
    /// What becomes of a message that must not pass.
    fn answer(&self, from: Side, refusal: Box<Refusal>) -> Result<Fate, Box<Refusal>> {
        match self.on_violation {
            OnViolation::Close => Err(refusal),
            OnViolation::Drop => Ok(Fate::Drop(Some(refusal))),
            OnViolation::Notify => {
                let code = outcomes::code(&refusal.outcome, from);
                let filled = self.notify.as_ref().map(|notify| notify.fill(refusal.outcome.id, &refusal.reason, code));
                Ok(Fate::Reply(filled.unwrap_or_else(|| refusal.reason.to_string()).into(), Some(refusal)))
            }
        }
    }
}
