//! One step of a pipeline: its stage is asked, and its refusals are signed and let hold or only found.

use crate::stage::refusal::{INTERNAL, RATE_LIMITED, Refusal, TOKEN_MISSING, Verdict};
use crate::stage::traffic::{FrameHead, FrameInspector, Pace, Side};
use crate::stage::{Client, FirstMessage, Judgement};

use super::{Findings, Mode, Step};

/// What a stage says of a handshake, once it need not be waited for.
pub(super) enum Answer {
    Verdict(Verdict),
    FirstMessage(FirstMessage),
}

impl Step {
    /// Signs a refusal with the stage's name, and lets it hold or only be found.
    pub(super) fn settle(&self, verdict: Verdict, findings: &mut Findings) -> Verdict {
        let verdict = verdict.map_err(|refusal| self.sign(refusal));
        findings.note(self, &verdict);
        let Err(refusal) = verdict else { return Ok(()) };
        if !refusal.report {
            return Err(refusal);
        }
        findings.push(*refusal);
        Ok(())
    }

    pub(super) fn sign(&self, mut refusal: Box<Refusal>) -> Box<Refusal> {
        self.mark(&mut refusal);
        refusal
    }

    fn mark(&self, refusal: &mut Refusal) {
        refusal.stage.get_or_insert_with(|| self.name.clone());
        refusal.report |= self.mode == Mode::Report;
    }

    /// Asks the stage about a handshake. In report mode what it took out of the request is put back, and no client is kept waiting.
    pub(super) async fn ask(&self, client: &mut Client) -> Answer {
        let as_sent = if self.mode == Mode::Report { client.request.clone() } else { None };
        let answer = match self.stage.handshake(client) {
            Judgement::Now(verdict) => Answer::Verdict(verdict),
            Judgement::Later(verdict) => Answer::Verdict(verdict.await),
            Judgement::FirstMessage(wanted) => Answer::FirstMessage(wanted),
        };
        if as_sent.is_some() {
            client.request = as_sent;
        }
        client.holdings.sign(|refusal| self.mark(refusal));
        match answer {
            Answer::FirstMessage(_) if self.mode == Mode::Report => {
                Answer::Verdict(Err(Box::new(Refusal::new(TOKEN_MISSING).rule("would wait for a first message"))))
            }
            Answer::FirstMessage(_) if client.first_message.is_some() => {
                Answer::Verdict(Err(Box::new(Refusal::new(INTERNAL).rule("asked for a second first message"))))
            }
            answer => answer,
        }
    }
}

/// A stage's inspector over one connection: its refusals carry the stage's name, and its reports are made once.
pub struct Inspector {
    step: Step,
    inner: Box<dyn FrameInspector>,
    has_reported: bool,
}

impl Inspector {
    /// The inspector that the stage of this step has made.
    pub fn new(step: Step, inner: Box<dyn FrameInspector>) -> Self {
        Self { step, inner, has_reported: false }
    }

    /// Whether the stage that made it is the one of this step, so that a new one would judge as it does.
    pub(super) fn is_of(&self, step: &Step) -> bool {
        std::sync::Arc::ptr_eq(&self.step.stage, &step.stage)
    }

    /// Goes on in another step of the same stage: the mode may have changed.
    pub(super) fn moved_to(self, step: &Step) -> Self {
        let has_reported = self.has_reported && self.step.mode == step.mode;
        Self { step: step.clone(), inner: self.inner, has_reported }
    }

    /// Asks it at a frame's head, before a byte of the frame has gone on.
    ///
    /// # Errors
    /// The refusal that ends the connection; one with `report` set is to be told of, and ends nothing.
    pub fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let refusal = match self.inner.begin(from, head) {
            Ok(Pace::Go) => return Ok(Pace::Go),
            Ok(pace) if self.step.mode == Mode::Enforce => return Ok(pace),
            Ok(Pace::HoldUntil(_)) => Box::new(Refusal::new(RATE_LIMITED).rule("would be held")),
            Ok(_) => Box::new(Refusal::new(RATE_LIMITED).rule("would be left out")),
            Err(refusal) => refusal,
        };
        let refusal = self.step.sign(refusal);
        if refusal.report && std::mem::replace(&mut self.has_reported, true) {
            return Ok(Pace::Go);
        }
        Err(refusal)
    }
}
