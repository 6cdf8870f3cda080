//! Any-of groups: stages of which one must pass, as for authentication.

use std::ops::ControlFlow;

use crate::stage::refusal::{Refusal, TOKEN_MISSING, Verdict};
use crate::stage::{Client, FirstMessage};

use super::step::Answer;
use super::{Findings, Mode, Step};

/// Asks each of a group. One that would take a first message waits until every other has found its credential missing.
pub(super) async fn any_of(steps: &[Step], client: &mut Client, findings: &mut Findings) -> Result<Option<FirstMessage>, Box<Refusal>> {
    let mut group = Group::default();
    let mut wanted = None;
    for step in steps {
        match step.ask(client).await {
            Answer::FirstMessage(first) => {
                findings.note_first_message(step);
                wanted = wanted.or(Some(first));
            }
            Answer::Verdict(verdict) => {
                if let ControlFlow::Break(verdict) = group.weigh(step, verdict, findings) {
                    for step in steps.iter().filter(|step| step.mode == Mode::Enforce) {
                        step.stage.withhold(client);
                    }
                    return verdict.map(|()| None);
                }
            }
        }
    }
    match wanted {
        Some(first) if !group.is_lenient => Ok(Some(first)),
        _ => group.conclude(findings).map(|()| None),
    }
}

/// The verdicts of an any-of group, as they come in.
#[derive(Default)]
pub(super) struct Group {
    /// The first alternative's word that its credential is missing.
    missing: Option<Box<Refusal>>,
    /// An alternative in report mode would have refused: as it refuses nobody, the group does not either.
    is_lenient: bool,
}

impl Group {
    /// Breaks with the group's verdict; continues where the next alternative is to be asked.
    pub(super) fn weigh(&mut self, step: &Step, verdict: Verdict, findings: &mut Findings) -> ControlFlow<Verdict> {
        let verdict = verdict.map_err(|refusal| step.sign(refusal));
        findings.note(step, &verdict);
        match verdict {
            Ok(()) => return ControlFlow::Break(Ok(())),
            Err(refusal) if refusal.is_missing => {
                self.is_lenient |= refusal.report;
                self.missing.get_or_insert(refusal);
            }
            Err(refusal) if refusal.report => {
                self.is_lenient = true;
                findings.push(*refusal);
            }
            Err(refusal) => return ControlFlow::Break(Err(refusal)),
        }
        ControlFlow::Continue(())
    }

    /// The verdict when no alternative has passed.
    pub(super) fn conclude(self, findings: &mut Findings) -> Verdict {
        let missing = self.missing.unwrap_or_else(|| Box::new(Refusal::new(TOKEN_MISSING)));
        if !self.is_lenient {
            return Err(missing);
        }
        findings.push(missing.reported());
        Ok(())
    }
}
