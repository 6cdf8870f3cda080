//! A live connection's task: its session, and what time and the engine ask of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Instant, SystemTime};

use tokio::time::{Sleep, sleep_until};

use crate::endpoint::Endpoint;
use crate::endpoint::upstream::Lease;
use crate::observe::event::{Attempt, Event};
use crate::stage::holders::{Holder, Slot};
use crate::stage::pipeline::Findings;
use crate::stage::refusal::{CLIENT_LOST, INTERNAL, Outcome, SHUTTING_DOWN};
use crate::stage::slots::Permit;
use crate::stage::{Ending, Party, Refusal};
use crate::wire::close::NO_CLOSE;
use crate::wire::session::{Rules, Said, Session};
use crate::wire::tick::Tick;

use super::liveness::{Due, Liveness, stalled_until};
use super::policy::Policy;
use super::registry::{Order, Seat};
use super::renewing::{Noted, Pending};
use super::worker::Load;

/// What a connection holds until it ends, only to give it back then.
#[derive(Default)]
pub(super) struct Holdings {
    /// Its places at the gateway and at the listener.
    pub(super) places: Option<[Permit; 2]>,
    /// The slots that stages have given it.
    pub(super) slots: Box<[Slot]>,
    /// Its place at a server of an upstream.
    pub(super) lease: Option<Lease>,
}

/// A connection of HTTP/2, as its streams know it: what the gateway has cut it off for.
#[derive(Default)]
pub(super) struct Carrier(OnceLock<(Outcome, Option<Box<str>>)>);

impl Carrier {
    /// It is about to be cut off for this.
    pub(super) fn cut(&self, refusal: &Refusal) {
        _ = self.0.set((refusal.outcome, refusal.rule.clone()));
    }

    /// How a stream has ended that seemed to end so: a client that was cut off has not gone by itself.
    fn explain(&self, ending: Ending) -> Ending {
        match self.0.get() {
            Some((outcome, rule)) if ending.outcome == CLIENT_LOST => {
                Ending { by: Party::Gateway, outcome: *outcome, reason: outcome.reason.into(), rule: rule.clone(), ..ending }
            }
            _ => ending,
        }
    }
}

impl Holdings {
    /// The connection is live, and replaces whoever its slots replace; nobody any more where it is replaced itself.
    pub(super) fn go_live(&mut self, holder: &Arc<dyn Holder>) {
        for slot in &mut self.slots {
            if !slot.go_live(holder) {
                return;
            }
        }
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        (self.places, self.slots, self.lease) = (None, Box::default(), None);
    }
}

/// A connection that is open. It owns what its session needs and nothing of its handshake.
pub(super) struct Live<S> {
    pub(super) session: S,
    pub(super) policy: Policy,
    liveness: Liveness,
    pub(super) seat: Seat,
    /// A credential that it has shown, while that is looked at.
    pub(super) renewal: Option<Box<Pending>>,
    armed: Tick,
    /// For a frame that is held; a connection without one owns no timer.
    timer: Option<Pin<Box<Sleep>>>,
    began: Instant,
    holdings: Holdings,
    /// Whether it has been polled: its record can wake it.
    has_begun: bool,
    is_over: bool,
    /// Whether it goes by a newer credential than the one it was let in by.
    pub(super) is_renewed: bool,
    /// Its worker, which counts it until all of the above has been given back.
    pub(super) worker: Load,
}

impl<S: Session + Unpin> Live<S> {
    pub(super) fn new(session: S, policy: Policy, seat: Seat, worker: Load, kept: Kept) -> Self {
        let now = worker.wheel.now();
        let review = policy.review_at(&seat.record.client, None);
        let liveness = Liveness::new(&policy.route.times, now, review);
        let Kept { began, holdings } = kept;
        let (has_begun, is_over, is_renewed) = (false, false, false);
        let (renewal, timer) = (None, None);
        Self { session, policy, liveness, seat, worker, renewal, armed: now, timer, began, holdings, has_begun, is_over, is_renewed }
    }

    /// Does what it has been asked to.
    fn obey(&mut self, now: Tick) {
        match self.seat.record.take_order() {
            None => {}
            Some(Order::Adopt(judged)) => self.adopt_anew(self.seat.record.policy(), judged, now),
            Some(Order::End(refusal)) => self.end(refusal, now),
            Some(Order::Leave(refusal)) => self.session.end(refusal, now),
        }
        if let Some(delivery) = self.seat.record.take_delivery() {
            self.accept(*delivery, now);
        }
    }

    /// The same as [`adopt`](Self::adopt). What was judged may have been the credential before this one.
    fn adopt_anew(&mut self, policy: Policy, judged: SystemTime, now: Tick) {
        self.adopt(policy, judged, now);
        if self.is_renewed
            && let Err(refusal) = self.policy.review(&self.seat.record.client, SystemTime::now(), &mut Findings::default())
        {
            self.end(refusal, now);
        }
    }

    /// Does what is due and arms the wheel for what is due next.
    fn attend(&mut self, now: Tick) {
        self.obey(now);
        let next = loop {
            if let Some(deadline) = self.session.deadline() {
                break deadline;
            }
            match self.liveness.due(&mut self.session, &self.policy.route.times, now) {
                Due::Nothing(next) => break self.session.overdue().map_or(next, |overdue| overdue.min(next)),
                Due::Sample => {
                    let age = self.began.elapsed();
                    self.worker.observer().report(&Event::Sample { client: &self.seat.record.client, age });
                }
                Due::End(refusal) => self.end(refusal, now),
                Due::Review => {
                    let judged = SystemTime::now();
                    self.warn(judged, now);
                    match self.review(judged) {
                        None => self.liveness.passed(self.policy.review_at(&self.seat.record.client, Some(judged))),
                        Some(refusal) => self.end(refusal, now),
                    }
                }
            }
        };
        self.arm(next, now);
    }

    /// Has itself called at `next`, where no entry that is still to fire is as soon. An entry that an earlier one has overtaken
    /// fires into this and dies, so that no connection ever has two for long.
    fn arm(&mut self, next: Tick, now: Tick) {
        if self.armed <= now || next < self.armed {
            self.armed = self.worker.wheel.arm(self.seat.place, next);
        }
    }

    /// Goes by another policy, by which it was judged at that moment, from the next frame's head on.
    pub(super) fn adopt(&mut self, policy: Policy, judged: SystemTime, now: Tick) {
        let client = &self.seat.record.client;
        let inspectors = policy.inspect(client, self.session.inspectors());
        let responder = match (&self.policy.route.endpoint, &policy.route.endpoint) {
            (Endpoint::Own(old), Endpoint::Own(new)) if !Arc::ptr_eq(old, new) => Some(new.responder()),
            _ => None,
        };
        let route = &policy.route;
        self.session.adopt(Rules { limits: route.limits(), inspectors, responder }, now);
        let review = policy.review_at(client, Some(judged));
        self.liveness.adopt(&self.policy.route.times, &route.times, now, review);
        self.policy = policy;
    }

    /// Judges the connection again, by the stages it was let in by.
    pub(super) fn review(&self, now: SystemTime) -> Option<Box<Refusal>> {
        let client = &*self.seat.record.client;
        let mut findings = Findings::default();
        let verdict = self.policy.review(client, now, &mut findings);
        for refusal in findings.take().0 {
            self.worker.observer().report(&Event::WouldRefuse { attempt: Attempt::from(client), refusal: &refusal });
        }
        verdict.err()
    }

    fn turn(&mut self, cx: &mut Context<'_>, now: Tick) -> Poll<Ending> {
        let (policy, client, observer) = (&self.policy, &*self.seat.record.client, self.worker.observer());
        let attempt = || Attempt::from(client);
        let noted = Noted::default();
        let polled = self.session.poll(cx, now, &|said| match said {
            Said::Refused(refusal) => policy.tell(client, refusal),
            Said::WouldRefuse(refusal) => observer.report(&Event::WouldRefuse { attempt: attempt(), refusal }),
            Said::LeftOut { why, count, is_first } => observer.report(&Event::LeftOut { attempt: attempt(), why, count, is_first }),
            Said::Renews { stage, credential } => noted.set(Some((stage.clone(), credential.clone()))),
        });
        self.look_at(&noted);
        polled
    }

    /// Has the task woken when a frame that is held is due.
    fn time_hold(&mut self, cx: &mut Context<'_>) {
        let Some(due) = self.session.held_until() else {
            self.timer = None;
            return;
        };
        let due = due.into();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    pub(super) fn end(&mut self, mut refusal: Box<Refusal>, now: Tick) {
        self.policy.tell(&self.seat.record.client, &mut refusal);
        self.session.end(refusal, now);
    }
}

impl<S> Live<S> {
    /// Gives back what it held and reports its end, in this order: who reads of an end may count on its slots, and on its ticket.
    fn finish(&mut self, ending: &Ending) {
        self.is_over = true;
        self.seat.ticket = None;
        let record = &self.seat.record;
        record.take_no_more();
        let client = &record.client;
        // A stage may be what has panicked: to ask it again could end the process.
        if !std::thread::panicking() {
            self.policy.close(client, ending);
        }
        self.holdings.release();
        let (subprotocol, upstream) = (record.client.subprotocol.as_deref(), record.server().map(|server| &**server));
        self.worker.observer().report(&Event::Close { client, ending, subprotocol, upstream, duration: self.began.elapsed() });
    }
}

/// What the handshake leaves to the live connection besides its session.
pub(super) struct Kept {
    pub(super) began: Instant,
    pub(super) holdings: Holdings,
}

impl<S: Session + Unpin> Future for Live<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = this.worker.wheel.now();
        let is_new = !std::mem::replace(&mut this.has_begun, true);
        if is_new {
            // It is all of its task, whose waker stays the same.
            this.seat.record.wake_with(cx.waker());
        }
        // Orders first: what an edit has put in force holds for every byte read after it.
        if this.seat.record.is_called() {
            this.obey(now);
        }
        // The sockets before the clocks: what was missed may lie there unread.
        let mut polled = this.turn(cx, now);
        if polled.is_pending() && (is_new || this.seat.record.was_called()) {
            this.attend(now);
            polled = this.turn(cx, now);
        }
        while polled.is_pending() && this.advance_renewal(cx, now) {
            this.attend(now);
            polled = this.turn(cx, now);
        }
        // An ending or a stall that began in this poll is due sooner than what is armed.
        if polled.is_pending()
            && let Some(due) = this.session.deadline().or_else(|| stalled_until(&this.session))
        {
            this.arm(due, now);
        }
        if polled.is_pending() {
            this.time_hold(cx);
        }
        let mut ending = ready!(polled);
        if let Some(carrier) = &this.seat.record.carrier {
            ending = carrier.explain(ending);
        }
        this.finish(&ending);
        Poll::Ready(())
    }
}

/// The engine stops without having waited for this connection, or its session has panicked: its end is reported all the same.
impl<S> Drop for Live<S> {
    fn drop(&mut self) {
        if !self.is_over {
            let outcome = if std::thread::panicking() { INTERNAL } else { SHUTTING_DOWN };
            let reason = outcome.reason.into();
            self.finish(&Ending { by: Party::Gateway, outcome, code: NO_CLOSE, reason, stage: None, rule: None, clause: None });
        }
    }
}
