//! Stages that do as they are told, and remember that they were asked.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::stage::refusal::{Outcome, TOKEN_INVALID};
use crate::stage::traffic::{FrameHead, FrameInspector, Message, Pace, Side};
use crate::stage::{BoxFuture, Identity, Judgement, Proof};

/// What a stage is told to answer.
#[derive(Clone, Copy)]
pub(super) enum Say {
    Pass,
    Refuse(Outcome),
    /// A refusal of a rule in report mode.
    Report(Outcome),
    /// The same as the first, but later.
    PassLater,
    /// Ask for a first message; "yes" passes, anything else is a bad token.
    FirstMessage,
    /// Take the Authorization header out, and pass.
    Take,
}

struct Told {
    say: Say,
    /// Every moment this stage was asked about, shared by all stages of a test.
    asked: Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
}

impl Told {
    fn verdict(&self) -> Verdict {
        self.asked.lock().unwrap().push(self.name);
        match self.say {
            Say::Refuse(outcome) => Err(Box::new(Refusal::new(outcome))),
            Say::Report(outcome) => Err(Box::new(Refusal::new(outcome).reported())),
            _ => Ok(()),
        }
    }
}

pub(super) const FIRST: FirstMessage = FirstMessage { timeout: Duration::from_secs(10), max: 1024 };

impl Stage for Told {
    fn connect(&self, _: &Peer) -> Verdict {
        self.verdict()
    }

    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let verdict = self.verdict();
        match (self.say, client.first_message.as_deref()) {
            (Say::PassLater, _) => {
                let later: BoxFuture<'a, Verdict> = Box::pin(async move {
                    tokio::task::yield_now().await;
                    client.prove(identity(self.name));
                    Ok(())
                });
                Judgement::Later(later)
            }
            (Say::FirstMessage, None) => Judgement::FirstMessage(FIRST),
            (Say::FirstMessage, Some(Message::Text(text))) if text == "again" => Judgement::FirstMessage(FIRST),
            (Say::FirstMessage, Some(Message::Text(text))) if text == "yes" => Judgement::Now(Ok(())),
            (Say::FirstMessage, Some(_)) => Judgement::Now(Err(Box::new(Refusal::new(TOKEN_INVALID)))),
            (Say::Take, _) => {
                client.request.as_mut().unwrap().headers.remove("authorization");
                Judgement::Now(Ok(()))
            }
            _ => Judgement::Now(verdict),
        }
    }

    fn review(&self, _: &Client, _: SystemTime) -> Verdict {
        self.verdict()
    }

    fn inspect(&self, _: &Client) -> Inspect {
        match self.say {
            Say::Refuse(outcome) => Inspect::Frames(Box::new(Refuses(Refusal::new(outcome)))),
            Say::Report(outcome) => Inspect::Frames(Box::new(Refuses(Refusal::new(outcome).reported()))),
            _ => Inspect::Nothing,
        }
    }

    fn error(&self, _: Option<&Client>, refusal: &mut Refusal) {
        refusal.reason = self.name.into();
    }

    fn close(&self, _: &Client, _: &Ending) {
        self.asked.lock().unwrap().push(self.name);
    }

    fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        matches!(self.say, Say::Refuse(_)).then(|| now + Duration::from_secs(self.name.len() as u64))
    }
}

struct Refuses(Refusal);

impl FrameInspector for Refuses {
    fn begin(&mut self, _: Side, _: &FrameHead) -> Result<Pace, Box<Refusal>> {
        Err(Box::new(self.0.clone()))
    }
}

pub(super) fn identity(by: &str) -> Identity {
    Identity {
        by: by.into(),
        user: None,
        claims: "{}".into(),
        expires: None,
        proof: Proof { key: "key".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
    }
}

/// Steps that share a record of who was asked.
#[derive(Default)]
pub(super) struct Stages(Arc<Mutex<Vec<&'static str>>>);

impl Stages {
    pub(super) fn step(&self, name: &'static str, mode: Mode, say: Say) -> Step {
        Named { name: name.into(), mode, stage: Arc::new(Told { say, asked: self.0.clone(), name }) }.into()
    }

    pub(super) fn one(&self, name: &'static str, say: Say) -> Entry {
        Entry::Stage(self.step(name, Mode::Enforce, say))
    }

    pub(super) fn reported(&self, name: &'static str, say: Say) -> Entry {
        Entry::Stage(self.step(name, Mode::Report, say))
    }

    pub(super) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
