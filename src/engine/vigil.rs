//! What may end an ordinary request from outside: an edit, an operator, a drain, time. The same that ends a live connection.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, sleep_until};

use crate::observe::Observer;
use crate::observe::event::{Attempt, Event};
use crate::stage::pipeline::Findings;
use crate::stage::refusal::{DRAINING, IDLE, LIFETIME, Outcome, REBALANCE, ROUTE_CHANGED, ROUTE_REMOVED, SHUTTING_DOWN};
use crate::stage::{Client, Refusal};

use super::policy::Policy;
use super::progress::Progress;
use super::registry::{Order, Record};

/// Outcomes that ask a client to come back: an answer that comes to an end by itself is one, and no other client is kept waiting by it.
const COME_BACK: [Outcome; 5] = [SHUTTING_DOWN, DRAINING, ROUTE_CHANGED, ROUTE_REMOVED, REBALANCE];

/// Watches over one request.
pub(super) struct Vigil<'a> {
    pub(super) record: &'a Record,
    pub(super) progress: &'a Progress,
    pub(super) observer: &'a Observer,
    pub(super) policy: Policy,
    pub(super) began: Instant,
}

impl Vigil<'_> {
    /// Returns when the request has to end, with what the client would be told.
    pub(super) async fn keep(mut self) -> Box<Refusal> {
        let client = self.record.client.clone();
        let mut reviewed = None;
        loop {
            let times = self.policy.route.times;
            let review = self.policy.review_at(&client, reviewed);
            let refusal = tokio::select! {
                order = next_order(self.record) => match order {
                    Order::Adopt(judged) => {
                        self.policy = self.record.policy();
                        reviewed = Some(judged);
                        continue;
                    }
                    Order::End(mut refusal) => {
                        self.policy.tell(&client, &mut refusal);
                        refusal
                    }
                    Order::Leave(refusal) => refusal,
                },
                () = until(review) => {
                    reviewed = Some(SystemTime::now());
                    match self.review(&client) {
                        None => continue,
                        Some(refusal) => refusal,
                    }
                }
                () = self.grows_old(times.lifetime) => Box::new(Refusal::new(LIFETIME)),
                () = self.falls_idle(times.idle) => Box::new(Refusal::new(IDLE)),
            };
            if !self.may_finish(&refusal) {
                return refusal;
            }
            self.progress.make_last();
            self.record.goes_on();
        }
    }

    /// Whether the answer may come to its end all the same, which is then the connection's too.
    fn may_finish(&self, refusal: &Refusal) -> bool {
        !self.progress.streams() && COME_BACK.iter().any(|outcome| outcome.id == refusal.outcome.id)
    }

    fn review(&self, client: &Arc<Client>) -> Option<Box<Refusal>> {
        let mut findings = Findings::default();
        let verdict = self.policy.review(client, SystemTime::now(), &mut findings);
        for refusal in findings.take().0 {
            self.observer.report(&Event::WouldRefuse { attempt: Attempt::from(&**client), refusal: &refusal });
        }
        verdict.err().map(|mut refusal| {
            self.policy.tell(client, &mut refusal);
            refusal
        })
    }

    async fn grows_old(&self, lifetime: Option<Duration>) {
        match lifetime {
            Some(lifetime) => sleep_until(self.began + lifetime).await,
            None => pending().await,
        }
    }

    /// An answer has begun, and nothing of it comes. Until it begins, the route's `answer_timeout` holds.
    async fn falls_idle(&self, idle: Option<Duration>) {
        let Some(idle) = idle else { return pending().await };
        loop {
            let moved = self.progress.moved();
            sleep_until(moved + idle).await;
            if self.progress.status().is_none() {
                // It may begin at any moment: as good as if something had moved.
                sleep(idle).await;
            } else if self.progress.moved() == moved {
                return;
            }
        }
    }
}

async fn next_order(record: &Record) -> Order {
    let mut is_known = false;
    poll_fn(|cx| {
        if !is_known {
            record.wake_with(cx.waker());
        }
        // Whoever is called looks for an order; and whoever has just said how to be, as it may have been given before.
        if !record.was_called() && std::mem::replace(&mut is_known, true) {
            return Poll::Pending;
        }
        is_known = true;
        record.take_order().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

async fn until(moment: Option<SystemTime>) {
    match moment {
        Some(moment) => sleep(moment.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => pending().await,
    }
}
