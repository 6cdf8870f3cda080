//! What every stage on the way said, those that were not asked included.

use std::sync::Arc;

use crate::stage::pipeline::{Asked, Entry, Pipeline, Said, Step};
use crate::stage::refusal::Refusal;
use crate::stage::{Client, Mode};

/// A stage on the way of a request.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Whose pipeline it stands in: `listener.public`, `route.chat`.
    pub within: Arc<str>,
    /// Which list of authentications of that pipeline it stands in, from 0.
    pub group: Option<usize>,
    /// Its name, as the file has it.
    pub stage: Arc<str>,
    /// Whether its refusals hold.
    pub mode: Mode,
    /// What it asks of clients, in words, where its table takes reading.
    pub asks: Option<String>,
    /// What it said.
    pub word: Word,
    /// Whom it found the client to be.
    pub user: Option<Box<str>>,
}

/// What a stage said of a request.
#[derive(Clone, Debug)]
pub enum Word {
    /// It was not asked, or of the address alone: somebody else has refused before.
    Unasked,
    /// The client's address passes; more than that nobody was asked.
    Address,
    /// The client passes.
    Passed,
    /// Its credential is not there, and the next of its list has the word.
    Missing,
    /// It is refused, or would be where [`Refusal::report`] is set.
    Refused(Box<Refusal>),
    /// It waits for a first message, which has not come.
    Waits,
}

/// The stages of both pipelines, as they come to speak.
#[derive(Default)]
pub(super) struct Stages(Vec<Judged>);

/// When stages are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The address is known. Who passes then has not passed yet.
    Address,
    /// The request is read.
    Request,
}

impl Stages {
    /// Adds those of a pipeline, of which none has been asked.
    pub(super) fn add(&mut self, within: &Arc<str>, pipeline: &Pipeline) {
        let mut groups = 0;
        for entry in pipeline.entries() {
            let (steps, group) = match entry {
                Entry::Stage(step) => (std::slice::from_ref(step), None),
                Entry::AnyOf(steps) => {
                    groups += 1;
                    (steps.as_slice(), Some(groups - 1))
                }
            };
            self.0.extend(steps.iter().map(|step| Judged::unasked(within, group, step)));
        }
    }

    /// Takes down what those of a pipeline have said, in the order they did.
    pub(super) fn note(&mut self, within: &str, moment: Moment, trail: Vec<Asked>) {
        let mut steps = self.0.iter_mut().filter(|step| *step.within == *within);
        for asked in trail {
            let Some(step) = steps.by_ref().find(|step| step.stage == asked.stage) else { return };
            step.word = match (asked.answer, &step.word) {
                // What a stage has said of the address stands.
                (_, Word::Refused(_)) => continue,
                (Said::Passed, _) if moment == Moment::Address => Word::Address,
                (Said::Passed, _) => Word::Passed,
                (Said::FirstMessage, _) => Word::Waits,
                (Said::Refused(refusal), _) if step.group.is_some() && refusal.is_missing => Word::Missing,
                (Said::Refused(refusal), _) => Word::Refused(refusal),
            };
        }
    }

    /// The stage that waits for a first message.
    pub(super) fn waiting(&self) -> Option<Arc<str>> {
        self.0.iter().find(|step| matches!(step.word, Word::Waits)).map(|step| step.stage.clone())
    }

    /// No more will be said. Where a request was judged, what was said of its address alone does not count as an answer.
    pub(super) fn finish(mut self) -> Vec<Judged> {
        let is_read = self.0.iter().any(|step| !matches!(step.word, Word::Unasked | Word::Address | Word::Refused(_)));
        if is_read {
            self.0.iter_mut().filter(|step| matches!(step.word, Word::Address)).for_each(|step| step.word = Word::Unasked);
        }
        self.0
    }

    /// Takes down whom they have found the client to be.
    pub(super) fn identify(&mut self, client: &Client) {
        for step in &mut self.0 {
            step.user = client.identity(&step.stage).and_then(|identity| identity.user.as_deref().map(Into::into));
        }
    }
}

impl Judged {
    fn unasked(within: &Arc<str>, group: Option<usize>, step: &Step) -> Self {
        Self {
            within: within.clone(),
            group,
            stage: step.name.clone(),
            mode: step.mode,
            asks: step.stage.says(),
            word: Word::Unasked,
            user: None,
        }
    }
}
