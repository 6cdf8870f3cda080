//! A terminated endpoint: the gateway itself answers each of the client's messages.

use std::task::{Context, Poll};
use std::time::Instant;

use crate::stage::{Ending, Fate, Inspector, Message, Opcode, Pace, Refusal, Side};

use super::close::Close;
use super::closing::{Closing, Due, Source, lost};
use super::deflate::{Codec, Inflater};
use super::flow::{Farewell, Flow, Turning};
use super::judge::Judge;
use super::leg::Leg;
use super::mark::Mark;
use super::message::{Assembler, Item};
use super::own;
use super::pump::Turn;
use super::reading::Reading;
use super::scratch;
use super::session::{Activity, Rules, Said, Session, Settings, TURNS, Tell, Terms, over_budget};
use super::stream::Stream;
use super::tick::Tick;

/// What speaks for a terminated endpoint, one for each connection.
pub trait Responder: Send {
    /// What the client is sent first.
    fn greet(&mut self) -> Option<Message<'static>>;

    /// What the client is sent for this message.
    fn answer<'a>(&mut self, message: Message<'a>) -> Option<Message<'a>>;
}

/// Says nothing: for a connection that is opened only to be told why it is closed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Responder for Silent {
    fn greet(&mut self) -> Option<Message<'static>> {
        None
    }

    fn answer<'a>(&mut self, _message: Message<'a>) -> Option<Message<'a>> {
        None
    }
}

/// A connection that the gateway answers itself, at read depth. Its answers are counted as from the upstream side; inspectors see
/// the client's frames only.
pub struct Terminal<C> {
    leg: Leg<C>,
    /// Where permessage-deflate was agreed on.
    codec: Option<Box<Codec>>,
    responder: Box<dyn Responder>,
    terms: Terms,
    closing: Option<Box<Closing>>,
    is_greeted: bool,
}

impl<C> Terminal<C> {
    /// The client's handshake is done; nothing but pongs has been sent behind it. `codec` is what has been agreed on, and has read
    /// what was read.
    pub fn new(mut leg: Leg<C>, responder: Box<dyn Responder>, codec: Option<Box<Codec>>, settings: Settings, now: Tick) -> Self {
        leg.open(Side::Client, settings.limits.max_message.client, codec.is_some(), now);
        Self { leg, codec, responder, terms: settings.into(), closing: None, is_greeted: false }
    }

    fn begin(&mut self, closing: Closing, farewell: Farewell) {
        self.leg.owe(farewell);
        self.leg.stop();
        // There is nobody the rest of an open frame could go on to.
        self.leg.flow = self.leg.flow.after(Turning::GraceOver);
        self.closing = Some(Box::new(closing));
    }

    fn refuse(&mut self, refusal: Box<Refusal>, now: Tick) {
        let farewell = Farewell::client(&refusal);
        self.begin(Closing::refused(*refusal, self.terms.close_timeout, now), farewell);
    }

    /// The client has closed: it gets the same code back.
    fn closed(&mut self, close: Close, now: Tick) {
        let timeout = self.terms.close_timeout;
        let answer = Farewell { notify: None, close: own::close(Side::Client, close.code, &close.reason) };
        let mut closing = Closing::answering(Side::Client, close, timeout, now);
        closing.answered(timeout, now);
        self.begin(closing, answer);
    }

    fn lost(&mut self, now: Tick, tell: Tell<'_>) {
        self.leg.hang_up();
        if self.closing.is_none() {
            let mut refusal = Refusal::new(lost(Side::Client));
            tell(Said::Refused(&mut refusal));
            self.closing = Some(Box::new(Closing::lost(Side::Client, &refusal, self.terms.close_timeout, now)));
        }
    }

    fn meet_deadlines(&mut self, now: Tick) {
        match self.closing.as_ref().map_or(Due::Nothing, |closing| closing.due(now)) {
            Due::Nothing | Due::Answer => {}
            Due::Grace => self.leg.lose_patience(),
            Due::End => self.leg.hang_up(),
        }
    }
}

impl<C: Stream> Terminal<C> {
    fn turns(&mut self, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>, buffer: &mut [u8]) -> Poll<Ending> {
        self.meet_deadlines(now);
        for _ in 0..TURNS {
            let turn = self.turn(cx, now, buffer);
            let mut has_moved = self.note(turn, now, tell);
            if self.terms.outbox.tell(tell) {
                break;
            }
            if !self.leg.is_within(&self.terms.budget, self.terms.outbox.held(Side::Client)) && self.closing.is_none() {
                has_moved |= self.note(Turn::Refused(over_budget()), now, tell);
            }
            if let Some(closing) = &self.closing {
                has_moved |= self.leg.part(cx, now, Source::WHOLE, closing.ended_by(Side::Client));
                if self.leg.is_gone() {
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

    fn note(&mut self, turn: Turn, now: Tick, tell: Tell<'_>) -> bool {
        match turn {
            Turn::Blocked => return false,
            Turn::Idle if !self.leg.is_broken() => return false,
            Turn::Idle | Turn::Lost => self.lost(now, tell),
            Turn::Moved => {}
            Turn::Closed(close) => self.closed(close, now),
            Turn::Refused(mut refusal) => {
                tell(Said::Refused(&mut refusal));
                self.refuse(refusal, now);
            }
        }
        true
    }

    /// At most one read, and what it brought answered. Nothing is read while an answer waits to be taken.
    fn turn(&mut self, cx: &mut Context<'_>, now: Tick, buffer: &mut [u8]) -> Turn {
        match self.leg.flow {
            Flow::Open | Flow::Held => {}
            Flow::Draining | Flow::Discarding => {
                return if self.leg.discard(cx, now, buffer).is_ready() { Turn::Moved } else { Turn::Idle };
            }
            Flow::Ended => return Turn::Blocked,
        }
        self.leg.release();
        if !self.leg.is_clear() && self.leg.drain(cx, now).is_pending() {
            self.leg.hold();
            return Turn::Blocked;
        }
        if !self.is_greeted {
            self.greet(cx, now);
            return Turn::Moved;
        }
        if self.leg.flow == Flow::Held {
            self.leg.hold();
            // A socket that takes no more will not be there when it is due.
            return if self.leg.is_broken() { Turn::Idle } else { Turn::Blocked };
        }
        self.leg.resume(now);
        let Poll::Ready(bytes) = self.leg.fill(cx, now, buffer) else {
            return Turn::Idle;
        };
        if bytes.is_empty() {
            self.leg.flow = self.leg.flow.after(Turning::Ended);
            return Turn::Lost;
        }
        self.answer(cx, now, bytes)
    }

    fn greet(&mut self, cx: &mut Context<'_>, now: Tick) {
        self.is_greeted = true;
        if let Some(greeting) = self.responder.greet() {
            let mut out = Vec::new();
            let length = say(&greeting, self.codec.as_deref_mut(), &mut out);
            self.terms.client.counters.add(Side::Upstream, 1, length);
            self.leg.send(cx, now, &out, None);
        }
    }

    fn answer(&mut self, cx: &mut Context<'_>, now: Tick, bytes: &[u8]) -> Turn {
        let is_judged = std::mem::take(&mut self.leg.is_judged);
        let most = self.terms.send_queue;
        let (mut judge, client) = Judge::new(now, &mut self.terms, &self.leg.cursor, is_judged);
        let (responder, codec) = (&mut *self.responder, self.codec.as_deref_mut());
        let mut answers = Answers { responder, codec, most, out: Vec::new(), messages: 0, bytes: 0, held: None };
        let mut reading = self.leg.reading.take().unwrap_or_else(Reading::take);
        let (taken, turn) = answers.give(&mut reading.assembler, &mut self.leg, bytes, &mut judge);
        let Answers { mut out, messages, bytes: answered, held, .. } = answers;
        client.counters.add(Side::Upstream, messages, answered);
        let is_read_up = out.len() < most && !judge.has_credential;
        if judge.settle(client) {
            self.leg.passed_data(now);
        }
        self.leg.read_on(reading);
        out.append(&mut self.terms.outbox.take(Side::Client));
        if matches!(turn, Turn::Moved) {
            let rest = bytes.get(taken..).unwrap_or_default();
            match held {
                Some(until) => self.leg.wait(until, rest),
                None if is_read_up => self.leg.keep(rest),
                None => self.leg.keep_fresh(rest),
            }
        }
        self.leg.send(cx, now, &out, None);
        turn
    }
}

/// The answers to what one read has brought.
struct Answers<'a> {
    responder: &'a mut dyn Responder,
    codec: Option<&'a mut Codec>,
    /// How much of them is queued before the rest of what was read has to wait; one answer may exceed it.
    most: usize,
    out: Vec<u8>,
    messages: u64,
    bytes: u64,
    /// When the next frame is due, where it has to wait.
    held: Option<Instant>,
}

impl Answers<'_> {
    /// Answers until the bytes or the room for answers are used up; says how many bytes were taken.
    fn give<C>(&mut self, reading: &mut Assembler, leg: &mut Leg<C>, bytes: &[u8], judge: &mut Judge<'_>) -> (usize, Turn) {
        let mut taken = 0;
        while self.out.len() < self.most && !judge.has_credential {
            let rest = bytes.get(taken..).unwrap_or_default();
            let mut alone = Inflater::default();
            let inflater = self.codec.as_deref_mut().map_or(&mut alone, |codec| &mut codec.inflater);
            let item = match reading.read(&mut leg.cursor, rest, judge.now, inflater, |cursor, head| judge.head(cursor, head)) {
                Ok((count, item)) => {
                    taken += count;
                    item
                }
                Err(refusal) => return (taken, Turn::Refused(refusal)),
            };
            match item {
                None => break,
                Some(Item::Message(message)) => {
                    if let Err(refusal) = self.message(message, leg.cursor.message_length(), judge) {
                        return (taken, Turn::Refused(refusal));
                    }
                }
                Some(Item::Held(until)) => {
                    self.held = Some(until);
                    break;
                }
                Some(Item::Control(frame)) => {
                    if frame.opcode == Opcode::Pong {
                        leg.answered(Some(Mark::of(frame.payload())));
                    }
                    match judge.head(&leg.cursor, &frame.head()) {
                        Ok(Pace::Go) => {}
                        Ok(Pace::Skip(_) | Pace::SkipAndTell(..)) => continue,
                        Ok(Pace::HoldUntil(until)) => {
                            leg.cursor.unread_control();
                            self.held = Some(until);
                            return (taken - frame.size, Turn::Moved);
                        }
                        Err(refusal) => return (taken, Turn::Refused(refusal)),
                    }
                    match frame.opcode {
                        // The cursor has read this payload before: it parses.
                        Opcode::Close => return (taken, Turn::Closed(Close::parse(frame.payload()).unwrap_or_default())),
                        Opcode::Ping => own::pong(frame.payload(), &mut self.out),
                        _ => {}
                    }
                }
            }
        }
        (taken, Turn::Moved)
    }

    /// Answers a message that took so many bytes of payload.
    fn message(&mut self, message: Message<'_>, length: u64, judge: &mut Judge<'_>) -> Result<(), Box<Refusal>> {
        let fate = judge.message(&message)?;
        self.out.append(&mut judge.outbox.take(Side::Client));
        let message = match fate {
            Fate::Drop(_) | Fate::Reply(..) | Fate::Renew(_) => return Ok(()),
            Fate::Replace(other) => other,
            Fate::Pass => message,
        };
        judge.begun();
        judge.payload(length);
        if let Some(answer) = self.responder.answer(message) {
            self.messages += 1;
            self.bytes += say(&answer, self.codec.as_deref_mut(), &mut self.out);
        }
        Ok(())
    }
}

/// Sends the client a message, behind what `out` holds; gives the length of its payload.
fn say(message: &Message<'_>, codec: Option<&mut Codec>, out: &mut Vec<u8>) -> u64 {
    match codec {
        Some(codec) => own::compressed(message, &mut codec.deflater, out),
        None => own::message(Side::Client, message, out),
    }
}

impl<C: Stream> Session for Terminal<C> {
    fn poll(&mut self, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>) -> Poll<Ending> {
        scratch::with(|buffer| self.turns(cx, now, tell, buffer))
    }

    fn end(&mut self, refusal: Box<Refusal>, now: Tick) {
        if self.closing.is_none() {
            self.refuse(refusal, now);
        }
    }

    fn say(&mut self, message: &Message<'_>, now: Tick) {
        if self.closing.is_none() {
            let mut frame = Vec::new();
            own::message(Side::Client, message, &mut frame);
            self.leg.queue(&frame, now);
        }
    }

    fn ping(&mut self, side: Side, now: Tick) -> bool {
        side == Side::Client && self.closing.is_none() && self.leg.ping(side, now, true)
    }

    fn activity(&self, side: Side) -> Option<Activity> {
        (side == Side::Client).then(|| self.leg.activity())
    }

    fn deadline(&self) -> Option<Tick> {
        self.closing.as_ref().map(|closing| closing.deadline(self.leg.is_waiting()))
    }

    fn overdue(&self) -> Option<Tick> {
        None
    }

    fn held_until(&self) -> Option<Instant> {
        self.leg.held_until()
    }

    fn inspectors(&mut self) -> Vec<Inspector> {
        std::mem::take(&mut self.terms.inspectors).into_vec()
    }

    fn adopt(&mut self, mut rules: Rules, _now: Tick) {
        self.leg.cursor.limit(rules.limits.max_message.client);
        if let Some(responder) = rules.responder.take() {
            self.responder = responder;
        }
        self.terms.adopt(rules);
    }
}
