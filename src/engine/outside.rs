//! Attends to what stages have done outside: asks their questions, runs their work beside all traffic, and reports what comes of it.

use std::pin::pin;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::observe::Observer;
use crate::observe::event::Event;
use crate::stage::outside::{Attendant, Job, News};
use crate::wire::asking::Asker;

use super::recheck::recheck;
use super::roster::Roster;

/// Attends, on the runtime it is called on: a connection to a service belongs to no worker, and ends with none. Never returns.
pub(super) async fn attend(attendant: Attendant, roster: Roster) {
    let asker = Arc::new(Asker::default());
    let tidier = asker.clone();
    let mut tidying = pin!(tidier.tidy());
    let mut work = JoinSet::new();
    loop {
        tokio::select! {
            job = attendant.next() => match job {
                Job::Run(job) => drop(work.spawn(job)),
                Job::Tell(news) => report(&news, roster.observer()),
                Job::Recheck(lapse) => drop(work.spawn(recheck(roster.clone(), lapse))),
                Job::Ask(question, mut answer) => {
                    let asker = asker.clone();
                    work.spawn(async move {
                        tokio::select! {
                            answered = asker.ask(&question) => drop(answer.send(answered)),
                            () = answer.closed() => {}
                        }
                    });
                }
            },
            Some(_) = work.join_next() => {}
            () = tidying.as_mut() => {}
        }
    }
}

fn report(news: &News, observer: &Observer) {
    observer.report(&match news {
        News::KeySetFetched { set, keys, added, removed } => Event::KeySetFetched { set, keys: *keys, added, removed },
        News::KeySetFailed { set, error, has_keys } => Event::KeySetFailed { set, error, has_keys: *has_keys },
        News::KeyPassedOver { set, key } => Event::KeyPassedOver { set, key },
        News::ServiceFailed { stage, error, lets_in } => Event::ServiceFailed { stage, error, lets_in: *lets_in },
        News::ServiceBack { stage } => Event::ServiceBack { stage },
    });
}
