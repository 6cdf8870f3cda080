//! One look at what a read brought: how far it may go on, what of it is kept back or left out, and what stops it.

use std::time::Instant;

use crate::stage::{Fate, FrameHead, Opcode, Pace, Refusal};

use super::close::Close;
use super::deflate::Inflater;
use super::frame::{ControlFrame, Cursor, Step};
use super::judge::Judge;
use super::mark::Mark;
use super::own;
use super::reading::Reading;
use super::violation::Violation;

/// How much may be collected to go on behind what goes on from the read buffer itself, before the rest of it has to wait; one
/// message may exceed it.
const MAX_COLLECTED: usize = 256 * 1024;

/// What a look at some bytes has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the bytes that go on end. They stand at the beginning: what was left out between them is closed up.
    pub kept: usize,
    /// What goes on behind them: from the first message on that does not stand in the bytes as it goes on.
    pub behind: Vec<u8>,
    /// How far was looked. What follows is kept for the next time, unless something stops it.
    pub end: usize,
    /// What stops the flow behind them.
    pub stop: Option<Stop>,
    /// The last Ping that goes on.
    pub ping: Option<Mark>,
    /// The last Pong that has come, whoever asked for it.
    pub pong: Option<Mark>,
    /// Where in the bytes the frames begin that are kept back and not yet put aside.
    withheld: Option<usize>,
}

/// What stops a flow.
#[derive(Debug)]
pub(super) enum Stop {
    /// What follows has not been looked at: enough has been collected for now, or a credential was shown.
    Full,
    /// The peer's Close, the last of the bytes that go on.
    Closed(Close),
    /// The next frame goes on at this moment; it has been judged.
    Held(Instant),
    /// A broken rule, or an inspector's refusal; no byte of the frame goes on.
    Refused(Box<Refusal>),
}

/// Looks at bytes of an open flow. Messages that are left out, and pongs to the gateway's own pings, are taken out; those that
/// somebody reads go on when they are whole. `reading` is theirs, and must be there where there may be one.
pub(super) fn scan(cursor: &mut Cursor, bytes: &mut [u8], judge: &mut Judge<'_>, mut reading: Option<&mut Reading>) -> Scan {
    let mut scan = Scan { withheld: (cursor.is_withholding() && cursor.is_in_message()).then_some(0), ..Scan::default() };
    while scan.end < bytes.len() && scan.stop.is_none() {
        match scan.step(cursor, bytes, judge, reading.as_deref_mut()) {
            Ok(true) => {}
            Ok(false) => break,
            Err(stop) => scan.stop = Some(stop),
        }
    }
    scan.put_aside(bytes, reading);
    scan
}

impl Scan {
    /// Looks at what comes next; says whether something did.
    fn step(&mut self, cursor: &mut Cursor, bytes: &mut [u8], judge: &mut Judge<'_>, reading: Option<&mut Reading>) -> Result<bool, Stop> {
        if self.behind.len() >= MAX_COLLECTED || judge.has_credential {
            return Err(Stop::Full);
        }
        let from = judge.from;
        let broken = |violation: Violation| Stop::Refused(violation.refusal(from));
        match cursor.next(bytes.get(self.end..).unwrap_or_default(), judge.now).map_err(broken)? {
            Step::Need => return Ok(false),
            Step::Payload(count) if cursor.is_skipping() => self.end += count,
            Step::Payload(count) => match reading.filter(|_| cursor.is_withholding()) {
                None => {
                    judge.payload(count as u64);
                    self.pass(count, bytes);
                }
                Some(reading) => {
                    let payload = bytes.get(self.end..self.end + count).unwrap_or_default();
                    reading.assembler.push(payload, cursor).map_err(broken)?;
                    self.end += count;
                    self.conclude(cursor, bytes, judge, reading)?;
                }
            },
            Step::Head { head, mask, size } => match judge.head(cursor, &head).map_err(Stop::Refused)? {
                Pace::Go => self.enter(&head, (mask, size), cursor, bytes, judge, reading)?,
                Pace::HoldUntil(until) => return Err(Stop::Held(until)),
                Pace::Skip(_) | Pace::SkipAndTell(..) => {
                    cursor.skip(&head);
                    self.end += size;
                }
            },
            Step::Control(frame) => self.control(&frame, cursor, bytes, judge, reading)?,
        }
        Ok(true)
    }

    /// A data frame begins: it goes on, or is kept back where somebody reads its message.
    fn enter(
        &mut self,
        head: &FrameHead,
        (mask, size): (Option<[u8; 4]>, usize),
        cursor: &mut Cursor,
        bytes: &mut [u8],
        judge: &mut Judge<'_>,
        reading: Option<&mut Reading>,
    ) -> Result<(), Stop> {
        let is_read = if head.starts_message { judge.reads } else { cursor.is_withholding() };
        let Some(reading) = reading.filter(|_| is_read) else {
            cursor.enter(head);
            if head.starts_message {
                judge.begun();
            }
            // Head and payload at once: most messages are one frame that is whole.
            let payload = cursor.pass(bytes.len().saturating_sub(self.end + size)).unwrap_or_default();
            judge.payload(payload as u64);
            self.pass(size + payload, bytes);
            return Ok(());
        };
        cursor.withhold(head);
        reading.assembler.begin(head, mask).map_err(|violation| Stop::Refused(violation.refusal(judge.from)))?;
        self.withheld.get_or_insert(self.end);
        self.end += size;
        self.conclude(cursor, bytes, judge, reading)
    }

    /// Where the message that is read has come to its end, it is judged, and goes on or does not.
    fn conclude(&mut self, cursor: &Cursor, bytes: &mut [u8], judge: &mut Judge<'_>, reading: &mut Reading) -> Result<(), Stop> {
        if !reading.assembler.is_whole(cursor) {
            return Ok(());
        }
        // Where anybody reads, messages stand alone.
        let message = reading
            .assembler
            .message(&mut Inflater::default(), cursor.max_message())
            .map_err(|violation| Stop::Refused(violation.refusal(judge.from)))?;
        let fate = judge.message(&message).map_err(Stop::Refused)?;
        let start = self.withheld.take().unwrap_or(self.end);
        match fate {
            Fate::Drop(_) | Fate::Reply(..) | Fate::Renew(_) => reading.wire.clear(),
            Fate::Replace(other) => {
                reading.wire.clear();
                own::message(judge.from.other(), &other, &mut self.behind);
                judge.begun();
                judge.payload(other.as_bytes().len() as u64);
            }
            Fate::Pass => {
                judge.begun();
                judge.payload(cursor.message_length());
                if !reading.wire.is_empty() {
                    self.behind.append(&mut reading.wire);
                    self.behind.extend_from_slice(bytes.get(start..self.end).unwrap_or_default());
                } else {
                    self.pass_from(start, bytes);
                }
            }
        }
        Ok(())
    }

    /// So many bytes from where was looked last go on.
    fn pass(&mut self, count: usize, bytes: &mut [u8]) {
        let start = self.end;
        self.end += count;
        self.pass_from(start, bytes);
    }

    /// What was looked at from there on goes on. Each byte is moved once at most, however much was left out before it.
    fn pass_from(&mut self, start: usize, bytes: &mut [u8]) {
        if !self.behind.is_empty() {
            return self.behind.extend_from_slice(bytes.get(start..self.end).unwrap_or_default());
        }
        if self.kept != start {
            bytes.copy_within(start..self.end, self.kept);
        }
        self.kept += self.end - start;
    }

    /// Frames that are kept back make room for what comes between them, or for the next read.
    fn put_aside(&mut self, bytes: &[u8], reading: Option<&mut Reading>) {
        if let (Some(start), Some(reading)) = (self.withheld.take(), reading) {
            reading.wire.extend_from_slice(bytes.get(start..self.end).unwrap_or_default());
        }
    }

    fn control(
        &mut self,
        frame: &ControlFrame,
        cursor: &mut Cursor,
        bytes: &mut [u8],
        judge: &mut Judge<'_>,
        reading: Option<&mut Reading>,
    ) -> Result<(), Stop> {
        let is_within = self.withheld.is_some();
        self.put_aside(bytes, reading);
        if frame.opcode == Opcode::Pong {
            self.pong = Some(Mark::of(frame.payload()));
        }
        if frame.opcode == Opcode::Pong && own::is_pong(frame.payload()) {
            self.end += frame.size;
        } else {
            match judge.head(cursor, &frame.head()).map_err(Stop::Refused)? {
                Pace::Go => {
                    if frame.opcode == Opcode::Ping {
                        self.ping = Some(Mark::of(frame.payload()));
                    }
                    self.pass(frame.size, bytes);
                }
                Pace::Skip(_) | Pace::SkipAndTell(..) => self.end += frame.size,
                Pace::HoldUntil(until) => {
                    cursor.unread_control();
                    return Err(Stop::Held(until));
                }
            }
        }
        self.withheld = is_within.then_some(self.end);
        if frame.opcode == Opcode::Close {
            // The cursor has read this payload before: it parses.
            return Err(Stop::Closed(Close::parse(frame.payload()).unwrap_or_default()));
        }
        Ok(())
    }
}
