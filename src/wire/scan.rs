//! One look at what a read brought, at forward and count depth: how far it may go on, and what stops it.

use crate::stage::{Client, FrameHead, FrameInspector, Opcode, Refusal, Side, Verdict};

use super::close::Close;
use super::frame::{ControlFrame, Cursor, Step};
use super::own;
use super::session::Terms;
use super::tick::Tick;

/// Judges heads for one turn, and counts what passes; the counts go to the connection's counters once, at the end.
pub(super) struct Judge<'a> {
    pub from: Side,
    pub now: Tick,
    inspectors: &'a mut [Box<dyn FrameInspector>],
    messages: u64,
    bytes: u64,
    has_data: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(from: Side, now: Tick, terms: &'a mut Terms) -> (Self, &'a Client) {
        (Self { from, now, inspectors: &mut terms.inspectors, messages: 0, bytes: 0, has_data: false }, &terms.client)
    }

    /// Asks the inspectors, before a byte of the frame goes on.
    pub(super) fn head(&mut self, head: &FrameHead) -> Verdict {
        for inspector in self.inspectors.iter_mut() {
            inspector.begin(self.from, head)?;
        }
        self.messages += u64::from(head.starts_message);
        self.has_data |= !head.opcode.is_control();
        Ok(())
    }

    /// So many payload bytes of a data frame pass.
    pub(super) fn payload(&mut self, count: usize) {
        self.bytes += count as u64;
    }

    /// Adds up what has passed; says whether it was more than control frames.
    pub(super) fn settle(self, client: &Client) -> bool {
        if self.has_data || self.bytes > 0 {
            client.counters.from(self.from).add(self.messages, self.bytes);
        }
        self.has_data || self.bytes > 0
    }
}

/// What a look at some bytes has found.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the bytes that go on begin; what stood before has been moved up or swallowed.
    pub start: usize,
    /// Where they end. What follows is kept for the next time, unless something stops it.
    pub end: usize,
    /// What stops the flow behind them.
    pub stop: Option<Stop>,
}

/// What stops a flow.
#[derive(Debug)]
pub(super) enum Stop {
    /// The peer's Close, the last of the bytes that go on.
    Closed(Close),
    /// A broken rule, or an inspector's refusal; no byte of the frame goes on.
    Refused(Box<Refusal>),
}

/// Looks at bytes of an open flow. Pongs to the gateway's own pings are taken out: what stood before one is moved up behind it.
pub(super) fn scan(cursor: &mut Cursor, bytes: &mut [u8], judge: &mut Judge<'_>) -> Scan {
    let mut scan = Scan { start: 0, end: 0, stop: None };
    while scan.stop.is_none() {
        match cursor.next(bytes.get(scan.end..).unwrap_or_default(), judge.now) {
            Ok(Step::Need) => break,
            Ok(Step::Payload(count)) => {
                judge.payload(count);
                scan.end += count;
            }
            Ok(Step::Head { head, size, .. }) => match judge.head(&head) {
                Ok(()) => {
                    cursor.enter(&head);
                    scan.end += size;
                }
                Err(refusal) => scan.stop = Some(Stop::Refused(refusal)),
            },
            Ok(Step::Control(frame)) => scan.control(&frame, bytes, judge),
            Err(violation) => scan.stop = Some(Stop::Refused(violation.refusal(judge.from))),
        }
    }
    scan
}

impl Scan {
    fn control(&mut self, frame: &ControlFrame, bytes: &mut [u8], judge: &mut Judge<'_>) {
        if frame.opcode == Opcode::Pong && own::is_pong(frame.payload()) {
            bytes.copy_within(self.start..self.end, self.start + frame.size);
            self.start += frame.size;
            self.end += frame.size;
            return;
        }
        if let Err(refusal) = judge.head(&frame.head()) {
            self.stop = Some(Stop::Refused(refusal));
            return;
        }
        self.end += frame.size;
        if frame.opcode == Opcode::Close {
            // The cursor has read this payload before: it parses.
            self.stop = Some(Stop::Closed(Close::parse(frame.payload()).unwrap_or_default()));
        }
    }
}
