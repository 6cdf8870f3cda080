//! A trail: what each stage answered, in order, for whoever wants to see more than what was refused. Live traffic leaves none.

use std::sync::Arc;

use crate::stage::refusal::{Refusal, Verdict};

use super::{Findings, Step};

/// One stage was asked, and answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As the file names it.
    pub stage: Arc<str>,
    /// What it said.
    pub answer: Said,
}

/// What a stage that was asked said.
#[derive(Clone, Debug)]
pub enum Said {
    /// The client passes.
    Passed,
    /// It is refused, or would be where [`Refusal::report`] is set. In a list of authentications, one whose credential is missing
    /// leaves the word to the next.
    Refused(Box<Refusal>),
    /// It passes once its first message has been judged.
    FirstMessage,
}

impl Findings {
    /// Findings that keep a trail, too. It is as long as the pipelines are.
    pub fn with_trail() -> Self {
        Self { trail: Some(Vec::new()), ..Self::default() }
    }

    /// Takes the trail since it was taken last.
    pub fn take_trail(&mut self) -> Vec<Asked> {
        self.trail.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn note(&mut self, step: &Step, verdict: &Verdict) {
        if let Some(trail) = &mut self.trail {
            let answer = verdict.as_ref().map_or_else(|refusal| Said::Refused(refusal.clone()), |()| Said::Passed);
            trail.push(Asked { stage: step.name.clone(), answer });
        }
    }

    pub(super) fn note_first_message(&mut self, step: &Step) {
        if let Some(trail) = &mut self.trail {
            trail.push(Asked { stage: step.name.clone(), answer: Said::FirstMessage });
        }
    }
}
