//! The verbs that change what is in force: the keeper of the gateway carries them out, one after the other.

use std::path::PathBuf;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::config::fault::Faults;
use crate::config::{Document, render, report};
use crate::observe::event::Event;

use super::super::keeper::{Keeper, Refused, Reload, Wanted};
use super::facts::Outcome;
use super::protocol::{Faulty, Reply, Verb};
use super::{lists, reply};

/// What was asked of the keeper, and where the answer goes.
pub struct Command {
    pub(super) verb: Verb,
    /// Whose wish it is.
    pub(super) by: String,
    pub(super) answer: oneshot::Sender<Reply>,
}

/// Where commands are handed to the keeper.
pub(super) type Desk = mpsc::Sender<Command>;

impl Command {
    /// Does what was asked, and answers.
    pub async fn carry_out(self, keeper: &mut Keeper) {
        let Self { verb, by, answer } = self;
        let reply = carry_out(verb, &by, keeper).await;
        // Whoever asked may have gone: it is done all the same.
        _ = answer.send(reply);
    }
}

async fn carry_out(verb: Verb, by: &str, keeper: &mut Keeper) -> Reply {
    match verb {
        Verb::Plan { file } => plan(keeper, file).await,
        Verb::Reload { force } => {
            keeper.engine.observer().report(&Event::Command { verb: "reload", by, what: how(force) });
            bring(keeper, Wanted::File, force).await
        }
        Verb::Rollback { force } => {
            keeper.engine.observer().report(&Event::Command { verb: "rollback", by, what: how(force) });
            bring(keeper, Wanted::Before, force).await
        }
        Verb::Deny(deny) => lists::answer(lists::deny(keeper, &deny, by).await),
        Verb::Undeny(undeny) => lists::answer(lists::undeny(keeper, &undeny, by).await),
        Verb::Revoke(revoke) => lists::answer(lists::revoke(keeper, &revoke, by).await),
        Verb::Status | Verb::Show { .. } | Verb::Ps(_) | Verb::Kick(_) | Verb::Events(_) => {
            Reply::Failed("this is not the keeper's to answer".to_owned())
        }
    }
}

fn how(force: bool) -> &'static str {
    if force { "forced" } else { "" }
}

async fn plan(keeper: &Keeper, file: Option<PathBuf>) -> Reply {
    match keeper.plan(file).await {
        Ok(plan) => reply(&Outcome::planned(plan)),
        Err(refused) => refusal(refused),
    }
}

async fn bring(keeper: &mut Keeper, wanted: Wanted, force: bool) -> Reply {
    let came = keeper.bring(wanted, force).await;
    let generation = keeper.engine.generation();
    let rolled_back_to = keeper.standing().now().rolled_back.map(|(to, _)| to);
    match came {
        Reload::Unchanged(warnings) => {
            let unchanged = Outcome::unchanged(&keeper.engine).await;
            reply(&Outcome { rolled_back_to, generation: Some(generation), warnings, ..unchanged })
        }
        Reload::Done(reloaded, warnings) => reply(&Outcome { rolled_back_to, warnings, ..Outcome::done(*reloaded, generation) }),
        Reload::Refused(refused) => refusal(refused),
    }
}

/// Why nothing was done.
pub(super) fn refusal(refused: Refused) -> Reply {
    let Some(text) = refused.text else { return Reply::Failed(refused.faults) };
    let (document, faults) = &*text;
    faulty(document, faults)
}

/// A text has these faults.
pub(super) fn faulty(document: &Document, faults: &Faults) -> Reply {
    let told = serde_json::to_value(report(document, faults)).unwrap_or(Value::Null);
    Reply::Faults(Faulty { rendered: render(document, faults, false), faults: told })
}
