//! Pipelines: the stages of a listener or route, run in the order written, phase by phase.

mod group;
mod inspector;
mod step;
mod trail;

use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use std::time::SystemTime;

pub use crate::config::Mode;

use super::refusal::{Ending, Refusal, Verdict};
use super::traffic::Inspect;
use super::{Client, FirstMessage, Peer, Stage};

use group::{Group, any_of};
use step::Answer;

pub use inspector::Inspector;
pub use trail::{Asked, Said};

/// Would-be refusals kept of one judgement; more are only counted.
pub const MAX_FINDINGS: usize = 16;

/// One stage where a pipeline names it. Clones are the same one: every connection has some.
#[derive(Clone)]
pub struct Step(Arc<Named>);

/// A stage under its name.
pub struct Named {
    /// As the file names it: `"firewall.office"`.
    pub name: Arc<str>,
    /// Whether its refusals hold.
    pub mode: Mode,
    /// What judges.
    pub stage: Arc<dyn Stage>,
}

impl From<Named> for Step {
    fn from(named: Named) -> Self {
        Self(Arc::new(named))
    }
}

impl Deref for Step {
    type Target = Named;

    fn deref(&self) -> &Named {
        &self.0
    }
}

/// Two steps are equal when the same stage stands there under the same name, in the same mode.
impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.mode == other.mode && Arc::ptr_eq(&self.stage, &other.stage)
    }
}

/// One place of a pipeline.
#[derive(Clone, PartialEq)]
pub enum Entry {
    /// A stage that must pass.
    Stage(Step),
    /// Stages of which one must pass: where a credential is missing the next is asked, where it is bad the client is refused.
    AnyOf(Vec<Step>),
}

/// The stages of a listener or route, flattened. Immutable, and cheap to share.
#[derive(Clone, PartialEq)]
pub struct Pipeline {
    entries: Arc<[Entry]>,
}

/// Would-be refusals: of stages and rules in `mode = "report"`, for whoever conducts the connection to log.
#[derive(Debug, Default)]
pub struct Findings {
    refusals: Vec<Refusal>,
    lost: usize,
    trail: Option<Vec<Asked>>,
}

/// Where a handshake goes on after the first message; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume(usize);

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every stage has passed.
    Done,
    /// Answer 101, read one message within these bounds into [`Client::first_message`], and go on from there.
    FirstMessage(FirstMessage, Resume),
}

impl Findings {
    fn push(&mut self, refusal: Refusal) {
        if self.refusals.len() < MAX_FINDINGS {
            self.refusals.push(refusal);
        } else {
            self.lost += 1;
        }
    }

    /// Leaves only those that are worth telling.
    pub fn retain(&mut self, is_worth: impl Fn(&Refusal) -> bool) {
        self.refusals.retain(is_worth);
    }

    /// Takes what was found, in the order it was, and how many more there were than are kept.
    pub fn take(&mut self) -> (Vec<Refusal>, usize) {
        (std::mem::take(&mut self.refusals), std::mem::take(&mut self.lost))
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Pipeline {
    /// A pipeline of these, in this order.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into() }
    }

    /// Its places, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every stage, in order, those of any-of groups among them.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::Stage(step) => std::slice::from_ref(step),
            Entry::AnyOf(steps) => steps,
        })
    }

    /// Judges a client whose address has just become known.
    ///
    /// # Errors
    /// The first refusal that holds.
    pub fn connect(&self, peer: &Peer, findings: &mut Findings) -> Verdict {
        self.judge(findings, |stage| stage.connect(peer), |_| false)
    }

    /// Judges the address that an ordinary request comes from.
    ///
    /// # Errors
    /// The first refusal that holds.
    pub fn revisit(&self, peer: &Peer, findings: &mut Findings) -> Verdict {
        self.judge(findings, |stage| stage.revisit(peer), |_| false)
    }

    /// Judges a live connection again: the config, or time, has changed under it. Of an any-of group the alternative that has
    /// proven an identity answers for all: the others were not shown its credential.
    ///
    /// # Errors
    /// The first refusal that holds.
    pub fn review(&self, client: &Client, now: SystemTime, findings: &mut Findings) -> Verdict {
        self.judge(findings, |stage| stage.review(client, now), |step| client.identity(&step.name).is_some())
    }

    fn judge(&self, findings: &mut Findings, ask: impl Fn(&dyn Stage) -> Verdict, has_proven: impl Fn(&Step) -> bool) -> Verdict {
        for entry in self.entries.iter() {
            match entry {
                Entry::Stage(step) => step.settle(ask(&*step.stage), findings)?,
                Entry::AnyOf(steps) if steps.iter().any(&has_proven) => {
                    let mut provers = steps.iter().filter(|step| has_proven(step));
                    provers.try_for_each(|step| step.settle(ask(&*step.stage), findings))?;
                }
                Entry::AnyOf(steps) => {
                    let mut group = Group::default();
                    match steps.iter().try_for_each(|step| group.weigh(step, ask(&*step.stage), findings)) {
                        ControlFlow::Break(verdict) => verdict?,
                        ControlFlow::Continue(()) => group.conclude(findings)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Judges a request that has been read, from a stage on. Once it is [`Progress::Done`], [`Client::first_message`] has served.
    ///
    /// Not cancel-safe: a stage that was asked may have charged a limit already. Drop the future to drop the client.
    ///
    /// # Errors
    /// The first refusal that holds.
    pub async fn handshake(&self, from: Resume, client: &mut Client, findings: &mut Findings) -> Result<Progress, Box<Refusal>> {
        for (at, entry) in self.entries.iter().enumerate().skip(from.0) {
            let wanted = match entry {
                Entry::Stage(step) => match step.ask(client).await {
                    Answer::Verdict(verdict) => step.settle(verdict, findings).map(|()| None)?,
                    Answer::FirstMessage(wanted) => {
                        findings.note_first_message(step);
                        Some(wanted)
                    }
                },
                Entry::AnyOf(steps) => any_of(steps, client, findings).await?,
            };
            if let Some(wanted) = wanted {
                return Ok(Progress::FirstMessage(wanted, Resume(at)));
            }
        }
        Ok(Progress::Done)
    }

    /// What is to judge this connection's frames and messages, in order. Of `before`, the inspectors that judged them until now, those that a stage
    /// of this pipeline has made are taken over, with all they remember of the connection.
    pub fn inspect(&self, client: &Client, before: &mut Vec<Inspector>) -> Vec<Inspector> {
        let inspector = |step: &Step| {
            if let Some(at) = before.iter().position(|inspector| inspector.is_of(step)) {
                return Some(before.swap_remove(at).moved_to(step));
            }
            match step.stage.inspect(client) {
                Inspect::Nothing => None,
                Inspect::Frames(inner) => Some(Inspector::frames(step.clone(), inner)),
                Inspect::Messages(inner) => Some(Inspector::messages(step.clone(), inner)),
            }
        };
        self.steps().filter_map(inspector).collect()
    }

    /// Lets every stage shape what a refused client is told; those in report mode change nothing.
    pub fn error(&self, client: Option<&Client>, refusal: &mut Refusal) {
        for step in self.steps().filter(|step| step.mode == Mode::Enforce) {
            step.stage.error(client, refusal);
        }
    }

    /// Tells every stage that a connection has ended.
    pub fn close(&self, client: &Client, ending: &Ending) {
        for step in self.steps() {
            step.stage.close(client, ending);
        }
    }

    /// The next moment after `now` at which a stage's verdicts change by themselves. Identities expire at moments of their own.
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        self.steps().filter_map(|step| step.stage.next_change(now)).min()
    }
}

/// Shapes what a refused client is told: the listener's pipeline first, so that the route's has the last word.
pub fn tell(listener: &Pipeline, route: Option<&Pipeline>, client: Option<&Client>, refusal: &mut Refusal) {
    listener.error(client, refusal);
    if let Some(route) = route {
        route.error(client, refusal);
    }
}

#[cfg(test)]
mod tests;
