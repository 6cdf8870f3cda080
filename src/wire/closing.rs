//! How a session ends: who is told what, how long each part of it may take, and the steps one leg takes to its end.

use std::task::Context;

use crate::stage::refusal::{CLIENT_LOST, CLOSED, TOKEN_EXPIRED, UPSTREAM_LOST};
use crate::stage::{Ending, Outcome, Party, Refusal, Side};

use super::close::{self, Close, NO_CLOSE, NO_CODE};
use super::flow::{Farewell, Flow, Outlet};
use super::frame::Cursor;
use super::leg::Leg;
use super::own;
use super::stream::Stream;
use super::tick::{Tick, Ticks};

/// How long the frame going out to a peer may take to finish, where `close_timeout` is not shorter.
const GRACE: Ticks = Ticks::new(10);

/// The same for a token that has expired: its holder gets no more than it takes to tell it so.
const GRACE_EXPIRED: Ticks = Ticks::new(5);

/// The longest message sent ahead of a Close.
const MAX_NOTIFY: usize = 64 * 1024;

/// An ending under way.
#[derive(Debug)]
pub(super) struct Closing {
    pub ending: Ending,
    pub phase: Phase,
    /// When a peer that has not taken its Close, or cannot be sent one, is given up.
    grace: Tick,
    /// When this phase is over.
    until: Tick,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// This side's Close has gone on; the other's answer is awaited.
    Answering(Side),
    /// Nothing more passes. Each leg is told what it is owed, shut down, and read until it ends.
    Parting {
        /// Whether the peers have closed between themselves.
        clean: bool,
    },
}

impl Closing {
    /// A peer has closed.
    pub(super) fn answering(side: Side, close: Close, timeout: Ticks, now: Tick) -> Self {
        let code = close.code.unwrap_or(NO_CODE);
        let ending = Ending { by: party(side), outcome: CLOSED, code, reason: close.reason, stage: None, rule: None, clause: None };
        let until = now + timeout;
        Self { ending, phase: Phase::Answering(side), grace: until, until }
    }

    /// The gateway ends the connection.
    pub(super) fn refused(refusal: Refusal, timeout: Ticks, now: Tick) -> Self {
        let grace = if refusal.outcome.id == TOKEN_EXPIRED.id { GRACE_EXPIRED } else { GRACE };
        let (code, reason) = refusal.close_code().map_or((NO_CLOSE, ""), |code| (code, close::cut(&refusal.reason)));
        let reason = reason.into();
        let Refusal { outcome, stage, rule, clause, .. } = refusal;
        let clause = clause.map(Box::new);
        Self::parting(Ending { by: Party::Gateway, outcome, code, reason, stage, rule, clause }, grace, timeout, now)
    }

    /// A peer's connection has ended without a Close.
    pub(super) fn lost(side: Side, refusal: &Refusal, timeout: Ticks, now: Tick) -> Self {
        let (code, reason) = refusal.close_code().map_or((NO_CLOSE, ""), |code| (code, close::cut(&refusal.reason)));
        let ending =
            Ending { by: party(side), outcome: refusal.outcome, code, reason: reason.into(), stage: None, rule: None, clause: None };
        Self::parting(ending, GRACE, timeout, now)
    }

    fn parting(ending: Ending, grace: Ticks, timeout: Ticks, now: Tick) -> Self {
        Self { ending, phase: Phase::Parting { clean: false }, grace: now + grace.min(timeout), until: now + timeout }
    }

    /// Both have closed.
    pub(super) fn answered(&mut self, timeout: Ticks, now: Tick) {
        self.phase = Phase::Parting { clean: true };
        (self.grace, self.until) = (now + timeout, now + timeout);
    }

    /// The other's answer will not come; what the side that closed gets in its place is its own code and reason.
    pub(super) fn give_up(&mut self, toward: Side, timeout: Ticks, now: Tick) -> Farewell {
        self.phase = Phase::Parting { clean: false };
        (self.grace, self.until) = (now + GRACE.min(timeout), now + GRACE.min(timeout));
        let code = Some(self.ending.code).filter(|code| *code != NO_CODE);
        Farewell { notify: None, close: own::close(toward, code, &self.ending.reason) }
    }

    /// Who ends the TCP connection to this side.
    pub(super) fn ended_by(&self, side: Side) -> EndedBy {
        match (self.phase, side) {
            (Phase::Parting { clean: true }, Side::Client) => EndedBy::UsAtOnce,
            // The backend is the server (RFC 6455 §7.1.1).
            (Phase::Parting { clean: true }, Side::Upstream) => EndedBy::Peer,
            _ => EndedBy::Us,
        }
    }

    /// What is due at this moment.
    pub(super) fn due(&self, now: Tick) -> Due {
        match self.phase {
            _ if now < self.grace.min(self.until) => Due::Nothing,
            Phase::Answering(_) => Due::Answer,
            Phase::Parting { .. } if now < self.until => Due::Grace,
            Phase::Parting { .. } => Due::End,
        }
    }

    /// When something is due next; `waiting` while a peer has not taken its Close.
    pub(super) fn deadline(&self, waiting: bool) -> Tick {
        if waiting { self.grace.min(self.until) } else { self.until }
    }
}

/// What an ending's deadlines call for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet.
    Nothing,
    /// The answer to a Close has not come.
    Answer,
    /// Whoever has not taken its Close is given up.
    Grace,
    /// Everything is given up.
    End,
}

impl Farewell {
    /// What a refused client is told; nothing where the row has no close code.
    pub(super) fn client(refusal: &Refusal) -> Self {
        let Some(code) = refusal.close_code() else {
            return Self::default();
        };
        let notify = refusal.notification().filter(|text| text.len() <= MAX_NOTIFY).map(Into::into);
        Self { notify, close: own::close(Side::Client, Some(code), &refusal.reason) }
    }

    /// What a peer is told when a connection ends by this row.
    pub(super) fn of(outcome: &Outcome, toward: Side) -> Self {
        let close = match toward {
            Side::Client => outcome.code.map(|code| own::close(toward, Some(code), outcome.reason)),
            Side::Upstream => Some(own::close(toward, Some(outcome.upstream_code), "")),
        };
        Self { notify: None, close: close.unwrap_or_default() }
    }
}

/// What a leg's end depends on in the direction that feeds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    flow: Flow,
    mid_frame: bool,
    in_message: bool,
}

impl Source {
    /// A source that sends whole messages only.
    pub(super) const WHOLE: Self = Self { flow: Flow::Discarding, mid_frame: false, in_message: false };

    /// The frames of another leg.
    pub(super) fn of(flow: Flow, cursor: &Cursor) -> Self {
        Self { flow, mid_frame: cursor.going() > 0, in_message: cursor.in_message() }
    }
}

impl<S> Leg<S> {
    /// Promises this peer a farewell; without effect where it has had its Close.
    pub(super) fn owe(&mut self, farewell: Farewell) {
        if matches!(self.outlet, Outlet::Open) {
            self.outlet = Outlet::Owing(Box::new(farewell));
        }
    }

    /// Whether this peer has yet to take what it is owed.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.outlet, Outlet::Owing(_)) || !self.is_clear()
    }

    /// What this peer is owed is due, and nothing behind it: the frame that was going out has ended, or never will.
    fn take_farewell(&mut self, source: Source) -> Option<Vec<u8>> {
        let Outlet::Owing(farewell) = &mut self.outlet else { return None };
        let mut frames = Vec::new();
        if !source.mid_frame {
            if let Some(notify) = farewell.notify.take().filter(|_| !source.in_message) {
                frames.extend(own::text(&notify));
            }
            frames.append(&mut farewell.close);
        }
        self.outlet = Outlet::Closing;
        Some(frames)
    }
}

/// Who ends the TCP connection to a peer, once all is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// The peer, whose direction is awaited.
    Peer,
    /// We do, and read what still comes until the peer ends its own direction: what comes to a socket that is closed resets it, and what
    /// is under way to the peer is lost, the Close above all.
    Us,
    /// We do, and do not wait: the peer has closed, and is owed no answer to anything.
    UsAtOnce,
}

impl<S: Stream> Leg<S> {
    /// Takes this leg on toward its end. Says whether anything changed.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, now: Tick, source: Source, ended_by: EndedBy) -> bool {
        if self.is_gone() {
            return false;
        }
        let farewell = if source.flow.is_passing() { None } else { self.take_farewell(source) };
        let is_told = farewell.is_some();
        match farewell.unwrap_or_default() {
            nothing if nothing.is_empty() => {}
            frames if ended_by == EndedBy::Peer => self.send(cx, now, &frames, None),
            frames => self.send_last(cx, now, &frames),
        }
        if self.drain(cx, now).is_pending() {
            return is_told;
        }
        if ended_by != EndedBy::Peer && matches!(self.outlet, Outlet::Closing) && self.shut(cx).is_pending() {
            return is_told;
        }
        let is_done = match self.outlet {
            Outlet::Broken => true,
            Outlet::Shut | Outlet::Closing => self.flow == Flow::Ended || (ended_by == EndedBy::UsAtOnce && self.has_said_all(cx)),
            Outlet::Open | Outlet::Owing(_) => false,
        };
        if is_done {
            self.hang_up();
        }
        is_told || is_done
    }
}

fn party(side: Side) -> Party {
    match side {
        Side::Client => Party::Client,
        Side::Upstream => Party::Upstream,
    }
}

/// The row for a connection that ended without a Close.
pub(super) fn lost(side: Side) -> Outcome {
    match side {
        Side::Client => CLIENT_LOST,
        Side::Upstream => UPSTREAM_LOST,
    }
}
