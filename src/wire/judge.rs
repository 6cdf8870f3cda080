//! Asks the inspectors of a connection, for one turn of one side, and counts what passes.

use crate::stage::{Client, Fate, FrameHead, Inspector, Message, Opcode, Pace, Refusal, Side};

use super::frame::Cursor;
use super::outbox::Outbox;
use super::session::Terms;
use super::tick::Tick;

/// Judges heads and messages for one turn; the counts go to the connection's counters once, at the end.
pub(super) struct Judge<'a> {
    pub from: Side,
    pub now: Tick,
    /// Whether somebody reads what this side sends.
    pub reads: bool,
    inspectors: &'a mut [Inspector],
    pub outbox: &'a mut Outbox,
    /// Whether the next head has been judged before, and only had to wait.
    is_judged: bool,
    /// Whether the client's next message is the one that it was let in by.
    is_first_to_come: &'a mut bool,
    /// Whether a credential has been shown: what comes behind it waits until the owner of the connection has heard of it.
    pub has_credential: bool,
    messages: u64,
    bytes: u64,
    /// Whether more than control frames has come.
    has_data: bool,
}

impl<'a> Judge<'a> {
    /// For a side that `cursor` reads, of which something has come. Where a data frame is open that is some of its payload, and a sign of
    /// activity whatever becomes of the message; payload behind it has its head before it.
    pub(super) fn new(now: Tick, terms: &'a mut Terms, cursor: &Cursor, is_judged: bool) -> (Self, &'a Client) {
        let (from, has_data) = (cursor.from(), cursor.open() > 0);
        let reads = terms.reads(from);
        let Terms { client, inspectors, outbox, is_first_to_come, .. } = terms;
        let judge = Self {
            from,
            now,
            reads,
            inspectors,
            outbox,
            is_judged,
            is_first_to_come,
            has_credential: false,
            messages: 0,
            bytes: 0,
            has_data,
        };
        (judge, client)
    }

    /// Asks about a frame, before a byte of it goes on; gives no [`Pace::SkipAndTell`], and [`Pace::Skip`] without the reason.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn head(&mut self, cursor: &Cursor, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        self.has_data |= !head.opcode.is_control();
        if cursor.skips(head) {
            return Ok(Pace::Skip(None));
        }
        let pace = if std::mem::take(&mut self.is_judged) { Pace::Go } else { self.ask(head)? };
        if head.starts_message && matches!(pace, Pace::Skip(_)) {
            self.is_first();
        }
        Ok(pace)
    }

    /// The longest wait that any inspector asks for. What one leaves out the others are not asked about.
    fn ask(&mut self, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let is_apart = || head.starts_message || matches!(head.opcode, Opcode::Ping | Opcode::Pong);
        let mut held = None;
        for inspector in self.inspectors.iter_mut() {
            match inspector.begin(self.from, head) {
                Ok(Pace::Go) => {}
                Ok(Pace::HoldUntil(until)) => held = held.max(Some(until)),
                Ok(Pace::Skip(_) | Pace::SkipAndTell(..)) if !is_apart() => {}
                Ok(Pace::Skip(why)) => {
                    self.outbox.leave_out(inspector, why);
                    return Ok(Pace::Skip(None));
                }
                Ok(Pace::SkipAndTell(text, why)) => {
                    self.outbox.notify(&text);
                    self.outbox.leave_out(inspector, why);
                    return Ok(Pace::Skip(None));
                }
                Err(refusal) if refusal.report => self.outbox.report(*refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(held.map_or(Pace::Go, Pace::HoldUntil))
    }

    /// Shows a whole message to those who read, each what the one before has made of it; gives no [`Fate::Reply`] and
    /// no [`Fate::Renew`], and [`Fate::Drop`] without the reason.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        let is_first = self.is_first();
        let mut instead: Option<Message<'static>> = None;
        for inspector in self.inspectors.iter_mut().filter(|inspector| inspector.reads(self.from)) {
            match inspector.message(self.from, instead.as_ref().unwrap_or(message)) {
                Ok(Fate::Pass) => {}
                // What it bears has just been judged.
                Ok(Fate::Renew(_)) if is_first => {}
                Ok(Fate::Replace(other)) => instead = Some(other),
                Ok(Fate::Drop(why)) => {
                    self.outbox.leave_out(inspector, why);
                    return Ok(Fate::Drop(None));
                }
                Ok(Fate::Reply(reply, why)) => {
                    self.outbox.push(self.from, &reply);
                    self.outbox.leave_out(inspector, why);
                    return Ok(Fate::Drop(None));
                }
                Ok(Fate::Renew(credential)) => {
                    self.outbox.renew(inspector.stage(), credential);
                    self.has_credential = true;
                    return Ok(Fate::Drop(None));
                }
                Err(refusal) if refusal.report => self.outbox.report(*refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(instead.map_or(Fate::Pass, Fate::Replace))
    }

    /// Whether this message is the one that the client was let in by; those behind it are not.
    fn is_first(&mut self) -> bool {
        self.from == Side::Client && std::mem::take(self.is_first_to_come)
    }

    /// A message passes, or its first frame does.
    pub(super) fn begun(&mut self) {
        self.is_first();
        self.messages += 1;
    }

    /// So many payload bytes of a data frame pass.
    pub(super) fn payload(&mut self, count: u64) {
        self.bytes += count;
    }

    /// Adds up what has passed; says whether more than control frames has come.
    pub(super) fn settle(self, client: &Client) -> bool {
        if self.has_data {
            client.counters.add(self.from, self.messages, self.bytes);
        }
        self.has_data
    }
}
