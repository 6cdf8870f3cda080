//! A stage's inspector over one connection: its refusals are signed, and hold or are only reported.

use std::sync::Arc;

use crate::stage::refusal::{Clause, FORBIDDEN, Outcome, RATE_LIMITED, Refusal};
use crate::stage::traffic::{Fate, FrameHead, FrameInspector, Message, MessageInspector, Pace, Side};

use super::{MAX_FINDINGS, Mode, Step};

/// A stage's inspector over one connection: its refusals carry the stage's name, and what a rule would refuse or leaves out is
/// reported once.
pub struct Inspector {
    step: Step,
    inner: Inner,
    /// Nothing as a rule.
    reported: Option<Box<Reported>>,
}

/// The rules of which it has been reported what they would refuse, or that they have left out something.
#[derive(Default)]
struct Reported(Vec<Option<Clause>>);

/// What it looks at.
enum Inner {
    Frames(Box<dyn FrameInspector>),
    /// The messages of the sides that it reads.
    Messages {
        inner: Box<dyn MessageInspector>,
        client: bool,
        upstream: bool,
    },
}

impl Inspector {
    /// What the stage of this step has made to look at heads.
    pub fn frames(step: Step, inner: Box<dyn FrameInspector>) -> Self {
        Self { step, inner: Inner::Frames(inner), reported: None }
    }

    /// What the stage of this step has made to read messages.
    pub fn messages(step: Step, inner: Box<dyn MessageInspector>) -> Self {
        let (client, upstream) = (inner.reads(Side::Client), inner.reads(Side::Upstream));
        Self { step, inner: Inner::Messages { inner, client, upstream }, reported: None }
    }

    /// Whether the stage that made it is the one of this step, so that a new one would judge as it does.
    pub(super) fn is_of(&self, step: &Step) -> bool {
        Arc::ptr_eq(&self.step.stage, &step.stage)
    }

    /// Goes on in another step of the same stage: the mode may have changed.
    pub(super) fn moved_to(self, step: &Step) -> Self {
        let reported = if self.step.mode == step.mode { self.reported } else { None };
        Self { step: step.clone(), reported, inner: self.inner }
    }

    /// The stage it is of, as the file names it.
    pub fn stage(&self) -> &Arc<str> {
        &self.step.name
    }

    /// Whether it reads the messages of this side.
    pub fn reads(&self, from: Side) -> bool {
        match (&self.inner, from) {
            (Inner::Frames(_), _) => false,
            (Inner::Messages { client, .. }, Side::Client) => *client,
            (Inner::Messages { upstream, .. }, Side::Upstream) => *upstream,
        }
    }

    /// Asks it at a frame's head, before a byte of the frame has gone on; what it leaves out it says why.
    ///
    /// # Errors
    /// The refusal that ends the connection; one with `report` set is to be told of, and ends nothing.
    pub fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let Inner::Frames(inner) = &mut self.inner else { return Ok(Pace::Go) };
        let refusal = match inner.begin(from, head) {
            Ok(Pace::Go) => return Ok(Pace::Go),
            Ok(mut pace) if self.step.mode == Mode::Enforce => {
                if let Pace::Skip(why) | Pace::SkipAndTell(_, why) = &mut pace {
                    *why = Some(self.left_out(why.take(), RATE_LIMITED));
                }
                return Ok(pace);
            }
            Ok(Pace::HoldUntil(_)) => unsaid(RATE_LIMITED, "would be held"),
            Ok(Pace::Skip(why) | Pace::SkipAndTell(_, why)) => why.unwrap_or_else(|| unsaid(RATE_LIMITED, "would be left out")),
            Err(refusal) => refusal,
        };
        self.refuse(refusal).map_or(Ok(Pace::Go), Err)
    }

    /// Shows it a whole message of a side that it reads, before a byte of it has gone on; what it leaves out it says why.
    ///
    /// # Errors
    /// The refusal that ends the connection; one with `report` set is to be told of, and ends nothing.
    pub fn message(&mut self, from: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        let Inner::Messages { inner, .. } = &mut self.inner else { return Ok(Fate::Pass) };
        let refusal = match inner.message(from, message) {
            Ok(Fate::Pass) => return Ok(Fate::Pass),
            Ok(Fate::Renew(_)) if self.step.mode == Mode::Report => return Ok(Fate::Pass),
            Ok(mut fate) if self.step.mode == Mode::Enforce => {
                if let Fate::Drop(why) | Fate::Reply(_, why) = &mut fate {
                    *why = Some(self.left_out(why.take(), FORBIDDEN));
                }
                return Ok(fate);
            }
            Ok(Fate::Drop(why) | Fate::Reply(_, why)) => why.unwrap_or_else(|| unsaid(FORBIDDEN, "would be left out")),
            Ok(Fate::Replace(_) | Fate::Renew(_)) => unsaid(FORBIDDEN, "would be replaced"),
            Err(refusal) => refusal,
        };
        self.refuse(refusal).map_or(Ok(Fate::Pass), Err)
    }

    /// Signs a refusal; none where it would only say again what has been reported.
    fn refuse(&mut self, refusal: Box<Refusal>) -> Option<Box<Refusal>> {
        let refusal = self.step.sign(refusal);
        (!refusal.report || self.is_news(&refusal)).then_some(refusal)
    }

    /// Signs what something is left out for.
    fn left_out(&self, why: Option<Box<Refusal>>, outcome: Outcome) -> Box<Refusal> {
        self.step.sign(why.unwrap_or_else(|| unsaid(outcome, "left out")))
    }

    /// Whether nothing has been reported yet of the rule that this comes from; from now on something has been.
    pub fn is_news(&mut self, refusal: &Refusal) -> bool {
        let Reported(reported) = &mut **self.reported.get_or_insert_default();
        let is_news = reported.len() < MAX_FINDINGS && !reported.contains(&refusal.clause);
        if is_news {
            reported.push(refusal.clause.clone());
        }
        is_news
    }
}

/// What a stage has decided, or would have but for report mode, without naming a rule.
fn unsaid(outcome: Outcome, how: &'static str) -> Box<Refusal> {
    Box::new(Refusal::new(outcome).rule(how))
}
