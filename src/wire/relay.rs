//! The relay: a client and a backend, each one's frames going on to the other as they come.
//!
//! A read lands in one buffer that all connections of a worker share, is looked at once, and is written on from there, mask and
//! all. A connection owns bytes only while a peer does not take them, and while it does not, the other is not read. Each direction
//! is a `Flow` of its own, so neither waits for the other.

use std::task::{Context, Poll};
use std::time::Instant;

use crate::stage::refusal::ROUTE_CHANGED;
use crate::stage::{Ending, Inspector, Message, Refusal, Side};

use super::close::Close;
use super::closing::{Closing, Due, Phase, Source, lost};
use super::flow::{Farewell, Outlet};
use super::frame::Cursor;
use super::leg::Leg;
use super::outbox::Outbox;
use super::own;
use super::pump::{Turn, pump};
use super::scratch;
use super::session::{Activity, Rules, Said, Session, Settings, TURNS, Tell, Terms, over_budget};
use super::stream::Stream;
use super::tick::Tick;

/// A proxied connection.
pub struct Relay<C, U> {
    client: Leg<C>,
    upstream: Leg<U>,
    terms: Terms,
    closing: Option<Box<Closing>>,
    /// By when a message has to have ended that has begun to go on before somebody was to read it.
    overdue: Option<Tick>,
}

impl<C, U> Relay<C, U> {
    /// Both handshakes are done; nothing has been sent behind them.
    pub fn new(mut client: Leg<C>, mut upstream: Leg<U>, settings: Settings, now: Tick) -> Self {
        client.open(Side::Client, settings.limits.max_message.client, settings.compression, now);
        upstream.open(Side::Upstream, settings.limits.max_message.upstream, settings.compression, now);
        Self { client, upstream, terms: settings.into(), closing: None, overdue: None }
    }

    /// Begins with a message that has been read of the client before. It is put back before what has come behind it, in one frame, so
    /// that it is judged and goes on as whatever the client sends; but it [renews](crate::stage::Fate::Renew) nothing.
    pub fn begin_with(&mut self, message: &Message<'_>) {
        let mut frame = Vec::new();
        // A client's frames are masked, as ours toward a backend.
        own::message(Side::Upstream, message, &mut frame);
        self.client.keep_fresh(&frame);
        self.terms.is_first_to_come = true;
    }

    /// Nothing but the frames that are going out passes any more; the peers are owed these farewells.
    fn begin(&mut self, closing: Closing, client: Farewell, upstream: Farewell) {
        self.client.owe(client);
        self.upstream.owe(upstream);
        self.client.stop();
        self.upstream.stop();
        self.closing = Some(Box::new(closing));
    }

    /// A frame must not go on, or the engine ends the connection.
    fn refuse(&mut self, refusal: Box<Refusal>, now: Tick) {
        let (client, upstream) = (Farewell::client(&refusal), Farewell::of(&refusal.outcome, Side::Upstream));
        self.begin(Closing::refused(*refusal, self.terms.close_timeout, now), client, upstream);
    }

    /// A peer's Close has gone on.
    fn closed(&mut self, side: Side, close: Close, now: Tick) {
        let timeout = self.terms.close_timeout;
        match &mut self.closing {
            None => self.closing = Some(Box::new(Closing::answering(side, close, timeout, now))),
            Some(closing) => closing.answered(timeout, now),
        }
    }

    /// A peer's connection has ended without a Close.
    fn lost(&mut self, side: Side, now: Tick, tell: Tell<'_>) {
        match side {
            Side::Client => self.client.hang_up(),
            Side::Upstream => self.upstream.hang_up(),
        }
        if self.closing.is_some() {
            return self.give_up(now);
        }
        let mut refusal = Refusal::new(lost(side));
        tell(Said::Refused(&mut refusal));
        let closing = Closing::lost(side, &refusal, self.terms.close_timeout, now);
        let upstream = Farewell::of(&refusal.outcome, Side::Upstream);
        self.begin(closing, Farewell::client(&refusal), upstream);
    }

    /// The answer to a Close will not come: whoever waits for it gets its own code back.
    fn give_up(&mut self, now: Tick) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if let Phase::Answering(side) = closing.phase {
            let farewell = closing.give_up(side, self.terms.close_timeout, now);
            match side {
                Side::Client => self.client.owe(farewell),
                Side::Upstream => self.upstream.owe(farewell),
            }
            self.client.stop();
            self.upstream.stop();
        }
    }

    /// Whether a message goes on unread that somebody wants read.
    fn is_unread(&self) -> bool {
        [&self.client.cursor, &self.upstream.cursor].iter().any(|cursor| self.terms.reads(cursor.from()) && cursor.is_going())
    }

    /// A message that goes on unread, as it had begun before an edit, must not go on for ever.
    fn meet_overdue(&mut self, now: Tick, tell: Tell<'_>) {
        let Some(overdue) = self.overdue.filter(|_| self.closing.is_none()) else { return };
        if !self.is_unread() {
            self.overdue = None;
        } else if now >= overdue {
            let mut refusal = Box::new(Refusal::new(ROUTE_CHANGED).rule("a message that has to be read now did not end"));
            tell(Said::Refused(&mut refusal));
            self.cut_short(refusal, now);
        }
    }

    /// Ends the connection from within: frames of the client's that no byte has gone out of do not go on.
    fn cut_short(&mut self, refusal: Box<Refusal>, now: Tick) {
        if self.upstream.backlog.cut() {
            self.client.cursor.leave();
        }
        self.refuse(refusal, now);
    }

    /// Does what the ending's deadlines call for.
    fn meet_deadlines(&mut self, now: Tick) {
        match self.closing.as_ref().map_or(Due::Nothing, |closing| closing.due(now)) {
            Due::Nothing => {}
            Due::Answer => self.give_up(now),
            Due::Grace => {
                self.client.lose_patience();
                self.upstream.lose_patience();
            }
            Due::End => {
                self.client.hang_up();
                self.upstream.hang_up();
            }
        }
    }
}

impl<C: Stream, U: Stream> Relay<C, U> {
    fn turns(&mut self, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>, buffer: &mut [u8]) -> Poll<Ending> {
        self.meet_deadlines(now);
        self.meet_overdue(now, tell);
        let (mut is_client_idle, mut is_upstream_idle) = (false, false);
        for _ in 0..TURNS {
            let mut has_moved = self.turn(Side::Client, &mut is_client_idle, cx, now, tell, buffer);
            has_moved |= self.turn(Side::Upstream, &mut is_upstream_idle, cx, now, tell, buffer);
            let mut is_awaited = false;
            if !self.terms.outbox.is_empty() {
                is_awaited = self.terms.outbox.tell(tell);
                has_moved |= self.empty_outbox(cx, now);
            }
            if !(self.client.is_empty() && self.upstream.is_empty() && self.terms.outbox.is_empty()) {
                has_moved |= self.keep_to_budget(now, tell);
            }
            if is_awaited {
                break;
            }
            if self.closing.is_some() {
                has_moved |= self.part(cx, now);
                if self.client.is_gone() && self.upstream.is_gone() {
                    return self.closing.take().map_or(Poll::Pending, |closing| Poll::Ready(closing.ending));
                }
            }
            if !has_moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A turn of one side, which is not asked again in this poll once it was idle; says whether another may bring more.
    fn turn(&mut self, from: Side, is_idle: &mut bool, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>, buffer: &mut [u8]) -> bool {
        if *is_idle && !self.is_parting(from) {
            return false;
        }
        let turn = self.pump(from, cx, now, buffer);
        *is_idle = matches!(turn, Turn::Idle);
        self.note(from, turn, now, tell)
    }

    /// Accounts for what both legs hold, and ends the connection where that is too much; says whether it did.
    fn keep_to_budget(&mut self, now: Tick, tell: Tell<'_>) -> bool {
        let Self { client, upstream, terms, .. } = self;
        let Terms { budget, outbox, .. } = terms;
        let [for_client, for_upstream] = [Side::Client, Side::Upstream].map(|side| outbox.held(side));
        let is_within = client.is_within(budget, for_client) & upstream.is_within(budget, for_upstream);
        let is_over = !is_within && self.closing.is_none();
        if is_over {
            let mut refusal = over_budget();
            tell(Said::Refused(&mut refusal));
            self.cut_short(refusal, now);
        }
        is_over
    }

    fn pump(&mut self, from: Side, cx: &mut Context<'_>, now: Tick, buffer: &mut [u8]) -> Turn {
        let Self { client, upstream, terms, .. } = self;
        match from {
            Side::Client => pump(from, client, upstream, terms, cx, now, buffer),
            Side::Upstream => pump(from, upstream, client, terms, cx, now, buffer),
        }
    }

    /// Whether a side that has nothing to give must be asked again all the same: what the other one did may concern it.
    fn is_parting(&self, side: Side) -> bool {
        self.closing.is_some() || self.is_broken(side)
    }

    fn is_broken(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.is_broken(),
            Side::Upstream => self.upstream.is_broken(),
        }
    }

    /// Sends what inspectors want sent, each side's between two messages of the other, and to whom a Close has not been; says whether
    /// anything was.
    fn empty_outbox(&mut self, cx: &mut Context<'_>, now: Tick) -> bool {
        let Self { client, upstream, terms, .. } = self;
        let has_moved = empty(&mut terms.outbox, Side::Client, client, &upstream.cursor, cx, now);
        empty(&mut terms.outbox, Side::Upstream, upstream, &client.cursor, cx, now) || has_moved
    }

    /// Takes in what a turn came to; says whether another may bring more.
    fn note(&mut self, side: Side, turn: Turn, now: Tick, tell: Tell<'_>) -> bool {
        match turn {
            Turn::Blocked => return false,
            // A socket that takes no more is lost once it has nothing left to give, its Close above all.
            Turn::Idle => {
                if !self.is_broken(side) {
                    return false;
                }
                self.lost(side, now, tell);
            }
            Turn::Moved => {}
            Turn::Closed(close) => self.closed(side, close, now),
            // A peer that breaks the rules while its answer to a Close is awaited gives none.
            Turn::Refused(_) if self.closing.is_some() => self.give_up(now),
            Turn::Refused(mut refusal) => {
                tell(Said::Refused(&mut refusal));
                self.refuse(refusal, now);
            }
            Turn::Lost => self.lost(side, now, tell),
        }
        true
    }

    /// Takes both legs on toward their end; says whether anything changed.
    fn part(&mut self, cx: &mut Context<'_>, now: Tick) -> bool {
        let Some(closing) = &self.closing else { return false };
        match closing.phase {
            Phase::Answering(by) => {
                let _ = self.client.drain(cx, now);
                let _ = self.upstream.drain(cx, now);
                let waits = match by {
                    Side::Client => &self.client.outlet,
                    Side::Upstream => &self.upstream.outlet,
                };
                let is_broken = matches!(waits, Outlet::Broken);
                if is_broken {
                    self.give_up(now);
                }
                is_broken
            }
            Phase::Parting { .. } => {
                let feed = Source::of(self.upstream.flow, &self.upstream.cursor);
                let has_moved = self.client.part(cx, now, feed, closing.ended_by(Side::Client));
                let feed = Source::of(self.client.flow, &self.client.cursor);
                self.upstream.part(cx, now, feed, closing.ended_by(Side::Upstream)) || has_moved
            }
        }
    }
}

/// Sends one side what waits for it, where that side takes it and no message toward it is open; says whether it did.
fn empty<S>(outbox: &mut Outbox, toward: Side, leg: &mut Leg<S>, source: &Cursor, cx: &mut Context<'_>, now: Tick) -> bool
where
    S: Stream,
{
    let is_between = source.going() == 0 && !source.in_message();
    let is_due = outbox.waiting(toward) > 0 && is_between && leg.is_clear() && matches!(leg.outlet, Outlet::Open);
    if is_due {
        leg.send(cx, now, &outbox.take(toward), None);
    }
    is_due
}

impl<C, U> Session for Relay<C, U>
where
    C: Stream,
    U: Stream,
{
    fn poll(&mut self, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>) -> Poll<Ending> {
        scratch::with(|buffer| self.turns(cx, now, tell, buffer))
    }

    fn end(&mut self, refusal: Box<Refusal>, now: Tick) {
        if self.closing.is_none() {
            self.cut_short(refusal, now);
        }
    }

    fn say(&mut self, message: &Message<'_>, _now: Tick) {
        if self.closing.is_none() {
            self.terms.outbox.push(Side::Client, message);
        }
    }

    fn ping(&mut self, side: Side, now: Tick) -> bool {
        if self.closing.is_some() {
            return false;
        }
        match side {
            Side::Client => self.client.ping(side, now, self.upstream.cursor.going() == 0),
            Side::Upstream => self.upstream.ping(side, now, self.client.cursor.going() == 0),
        }
    }

    fn lasts(&self) {
        // What is accepted has it from its listener.
        self.upstream.watch();
    }

    fn activity(&self, side: Side) -> Option<Activity> {
        Some(match side {
            Side::Client => self.client.activity(),
            Side::Upstream => self.upstream.activity(),
        })
    }

    fn deadline(&self) -> Option<Tick> {
        self.closing.as_ref().map(|closing| closing.deadline(self.client.is_waiting() || self.upstream.is_waiting()))
    }

    fn overdue(&self) -> Option<Tick> {
        self.overdue.filter(|_| self.closing.is_none())
    }

    fn held_until(&self) -> Option<Instant> {
        self.client.held_until().into_iter().chain(self.upstream.held_until()).min()
    }

    fn inspectors(&mut self) -> Vec<Inspector> {
        std::mem::take(&mut self.terms.inspectors).into_vec()
    }

    fn adopt(&mut self, rules: Rules, now: Tick) {
        self.client.cursor.limit(rules.limits.max_message.client);
        self.upstream.cursor.limit(rules.limits.max_message.upstream);
        self.terms.adopt(rules);
        self.overdue = self.is_unread().then(|| self.overdue.unwrap_or(now + self.terms.close_timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::Socket;
    use super::*;

    #[test]
    fn an_idle_relay_takes_less_than_400_bytes() {
        let size = size_of::<Relay<Socket, Socket>>();
        assert!(size < 400, "{size} bytes");
    }
}
