//! Attends to what stages have done outside: asks their questions, and runs their work beside all traffic.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::stage::outside::{Attendant, Job};
use crate::wire::asking::Asker;

/// The most questions that are asked at once.
const MAX_AT_ONCE: usize = 512;

/// Attends, on the runtime it is called on: a connection to a service belongs to no worker, and ends with none. Never returns.
pub(super) async fn attend(attendant: Attendant) {
    let (asker, places) = (Arc::new(Asker::default()), Arc::new(Semaphore::new(MAX_AT_ONCE)));
    let mut work = JoinSet::new();
    loop {
        tokio::select! {
            job = attendant.next() => match job {
                Job::Run(job) => drop(work.spawn(job)),
                Job::Ask(question, mut answer) => {
                    let (asker, places) = (asker.clone(), places.clone());
                    work.spawn(async move {
                        let ask = async {
                            // It is never closed.
                            let _place = places.acquire().await;
                            asker.ask(&question).await
                        };
                        tokio::select! {
                            answered = ask => drop(answer.send(answered)),
                            () = answer.closed() => {}
                        }
                    });
                }
            },
            Some(_) = work.join_next() => {}
        }
    }
}
