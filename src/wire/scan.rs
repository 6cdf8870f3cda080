//! One look at what a read brought, at forward and count depth: how far it may go on, and what stops it.

use std::time::Instant;

use crate::stage::{Client, FrameHead, Inspector, Opcode, Pace, Refusal, Side};

use super::close::Close;
use super::frame::{ControlFrame, Cursor, Step};
use super::own;
use super::session::Terms;
use super::tick::Tick;

/// Judges heads for one turn, and counts what passes; the counts go to the connection's counters once, at the end.
pub(super) struct Judge<'a> {
    pub from: Side,
    pub now: Tick,
    inspectors: &'a mut [Inspector],
    notice: &'a mut Option<Box<str>>,
    reports: &'a mut Vec<Refusal>,
    /// Whether the next head has been judged before, and only had to wait.
    is_judged: bool,
    messages: u64,
    bytes: u64,
    has_data: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(from: Side, now: Tick, terms: &'a mut Terms, is_judged: bool) -> (Self, &'a Client) {
        let Terms { client, inspectors, notice, reports, .. } = terms;
        (Self { from, now, inspectors, notice, reports, is_judged, messages: 0, bytes: 0, has_data: false }, client)
    }

    /// Asks the inspectors, before a byte of the frame goes on; never gives [`Pace::SkipAndTell`].
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn head(&mut self, cursor: &Cursor, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        self.has_data |= !head.opcode.is_control();
        if cursor.skips(head) {
            return Ok(Pace::Skip);
        }
        let pace = if std::mem::take(&mut self.is_judged) { Pace::Go } else { self.ask(head)? };
        self.messages += u64::from(head.starts_message && pace == Pace::Go);
        Ok(pace)
    }

    /// The longest wait that any inspector asks for. What one leaves out the others are not asked about.
    fn ask(&mut self, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let mut all = Pace::Go;
        for inspector in self.inspectors.iter_mut() {
            let pace = match inspector.begin(self.from, head) {
                Err(refusal) if refusal.report => {
                    self.reports.push(*refusal);
                    Pace::Go
                }
                judged => judged?,
            };
            match (pace, &all) {
                (Pace::Go, _) => {}
                (Pace::HoldUntil(until), Pace::HoldUntil(other)) if until <= *other => {}
                (hold @ Pace::HoldUntil(_), _) => all = hold,
                (Pace::Skip | Pace::SkipAndTell(_), _) if !(head.starts_message || matches!(head.opcode, Opcode::Ping | Opcode::Pong)) => {}
                (Pace::Skip, _) => return Ok(Pace::Skip),
                (Pace::SkipAndTell(text), _) => {
                    self.notice.get_or_insert(text);
                    return Ok(Pace::Skip);
                }
            }
        }
        Ok(all)
    }

    /// So many payload bytes of a data frame pass.
    pub(super) fn payload(&mut self, count: usize) {
        self.bytes += count as u64;
    }

    /// Adds up what has passed; says whether more than control frames has come.
    pub(super) fn settle(self, client: &Client) -> bool {
        if self.has_data || self.bytes > 0 {
            client.counters.add(self.from, self.messages, self.bytes);
        }
        self.has_data || self.bytes > 0
    }
}

/// What a look at some bytes has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the bytes that go on end. They stand at the beginning: what was left out between them is closed up.
    pub kept: usize,
    /// How far was looked. What follows is kept for the next time, unless something stops it.
    pub end: usize,
    /// What stops the flow behind them.
    pub stop: Option<Stop>,
}

/// What stops a flow.
#[derive(Debug)]
pub(super) enum Stop {
    /// The peer's Close, the last of the bytes that go on.
    Closed(Close),
    /// The next frame goes on at this moment; it has been judged.
    Held(Instant),
    /// A broken rule, or an inspector's refusal; no byte of the frame goes on.
    Refused(Box<Refusal>),
}

/// Looks at bytes of an open flow. Messages that are left out, and pongs to the gateway's own pings, are taken out.
pub(super) fn scan(cursor: &mut Cursor, bytes: &mut [u8], judge: &mut Judge<'_>) -> Scan {
    let mut scan = Scan::default();
    while scan.stop.is_none() {
        match cursor.next(bytes.get(scan.end..).unwrap_or_default(), judge.now) {
            Ok(Step::Need) => break,
            Ok(Step::Payload(count)) if cursor.is_skipping() => scan.end += count,
            Ok(Step::Payload(count)) => {
                judge.payload(count);
                scan.pass(count, bytes);
            }
            Ok(Step::Head { head, size, .. }) => match judge.head(cursor, &head) {
                Ok(Pace::Go) => {
                    cursor.enter(&head);
                    scan.pass(size, bytes);
                }
                Ok(Pace::HoldUntil(until)) => scan.stop = Some(Stop::Held(until)),
                Ok(Pace::Skip | Pace::SkipAndTell(_)) => {
                    cursor.skip(&head);
                    scan.end += size;
                }
                Err(refusal) => scan.stop = Some(Stop::Refused(refusal)),
            },
            Ok(Step::Control(frame)) => scan.control(&frame, cursor, bytes, judge),
            Err(violation) => scan.stop = Some(Stop::Refused(violation.refusal(judge.from))),
        }
    }
    scan
}

impl Scan {
    /// So many bytes go on. Each byte is moved once at most, however much was left out before it.
    fn pass(&mut self, count: usize, bytes: &mut [u8]) {
        if self.kept != self.end {
            bytes.copy_within(self.end..self.end + count, self.kept);
        }
        self.kept += count;
        self.end += count;
    }

    fn control(&mut self, frame: &ControlFrame, cursor: &mut Cursor, bytes: &mut [u8], judge: &mut Judge<'_>) {
        if frame.opcode == Opcode::Pong && own::is_pong(frame.payload()) {
            self.end += frame.size;
            return;
        }
        match judge.head(cursor, &frame.head()) {
            Ok(Pace::Go) => self.pass(frame.size, bytes),
            Ok(Pace::HoldUntil(until)) => {
                cursor.unread_control();
                self.stop = Some(Stop::Held(until));
                return;
            }
            Ok(Pace::Skip | Pace::SkipAndTell(_)) => {
                self.end += frame.size;
                return;
            }
            Err(refusal) => {
                self.stop = Some(Stop::Refused(refusal));
                return;
            }
        }
        if frame.opcode == Opcode::Close {
            // The cursor has read this payload before: it parses.
            self.stop = Some(Stop::Closed(Close::parse(frame.payload()).unwrap_or_default()));
        }
    }
}
