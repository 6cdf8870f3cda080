//! One step of a pipeline: its stage is asked, and its refusals are signed and let hold or only found.

use crate::stage::refusal::{INTERNAL, Refusal, TOKEN_MISSING, Verdict};
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

    /// Signs a refusal with the stage's name.
    pub fn sign(&self, mut refusal: Box<Refusal>) -> Box<Refusal> {
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
