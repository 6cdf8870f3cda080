//! What is wrong with a request, before it is a refusal.

use crate::stage::{Outcome, Refusal};

/// What is wrong with a request: the row of the table, and the rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) Outcome, pub(super) &'static str);

impl From<Flaw> for Box<Refusal> {
    /// The client is told which rule it broke: its author is who must mend it, and a rule tells nothing of this gateway.
    fn from(Flaw(outcome, rule): Flaw) -> Self {
        let reason = format!("{}: {rule}", outcome.reason).into();
        Box::new(Refusal { reason, ..Refusal::new(outcome).rule(rule) })
    }
}
