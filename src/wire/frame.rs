//! The frame layer: a cursor over one side's bytes that says what comes next and refuses what the wire forbids.

use crate::stage::{FrameHead, Opcode, Side};

use super::close::Close;
use super::tick::{Tick, Ticks};
use super::violation::Violation;

mod raw;

pub(super) use raw::RawHead;

/// The longest head: 2 bytes, a 64-bit length, a mask (RFC 6455 §5.2).
pub const MAX_HEAD: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL: usize = 125;

/// Control frames that one side may send within a second.
pub const CONTROL_FRAMES_PER_SECOND: u16 = 200;

const SECOND: Ticks = Ticks::new(10);

/// Reads one side's frames. It holds no bytes: it is given them, contiguous, and says how many belong to what comes next.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// Payload bytes of the open data frame that are still to come.
    open: u64,
    /// Payload length of the open message, up to and with its last head.
    message: u64,
    max_message: u64,
    /// When the second began in which `controls` are counted.
    second: Tick,
    controls: u16,
    from: Side,
    compression: bool,
    in_message: bool,
    is_compressed: bool,
    course: Course,
}

/// What becomes of the message that was entered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It goes on as it comes.
    Going,
    /// It is left out.
    Skipped,
    /// It is kept back until it is whole and judged.
    Withheld,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Nothing whole: keep the bytes and come again with more.
    Need,
    /// A data frame's head, checked. The cursor stands before it until [`Cursor::enter`].
    Head {
        /// The head.
        head: FrameHead,
        /// The key its payload is masked with.
        mask: Option<[u8; 4]>,
        /// The bytes it takes.
        size: usize,
    },
    /// So many payload bytes of the open frame. The cursor has passed them.
    Payload(usize),
    /// A whole control frame. The cursor has passed it. Boxed: a step is handed on for every frame, and few are these.
    Control(Box<ControlFrame>),
}

/// A whole control frame, its payload unmasked.
#[derive(Clone, Copy, Debug)]
pub struct ControlFrame {
    /// Close, Ping or Pong.
    pub opcode: Opcode,
    /// The bytes the frame takes, head and payload.
    pub size: usize,
    length: usize,
    payload: [u8; MAX_CONTROL],
}

impl ControlFrame {
    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.payload.get(..self.length).unwrap_or_default()
    }

    /// The head, as inspectors see it.
    pub fn head(&self) -> FrameHead {
        let length = self.length as u64;
        FrameHead { opcode: self.opcode, is_final: true, is_compressed: false, starts_message: false, length, message_length: length }
    }
}

impl Cursor {
    /// At the beginning of what this side sends; a message may have `max_message` bytes of payload on the wire, and be compressed
    /// where permessage-deflate was negotiated (RFC 7692).
    pub fn new(from: Side, max_message: u64, compression: bool) -> Self {
        Self {
            open: 0,
            message: 0,
            max_message,
            second: Tick::default(),
            controls: 0,
            from,
            compression,
            in_message: false,
            is_compressed: false,
            course: Course::Going,
        }
    }

    /// From the next frame's head on, a message may have so many bytes of payload on the wire.
    pub fn limit(&mut self, max_message: u64) {
        self.max_message = max_message;
    }

    /// Goes by these rules from the next head on.
    pub fn adopt(&mut self, from: Side, max_message: u64, compression: bool) {
        (self.from, self.max_message, self.compression) = (from, max_message, compression);
    }

    /// How many bytes of payload a message may have on the wire.
    pub fn max_message(&self) -> u64 {
        self.max_message
    }

    /// Whose frames these are.
    pub fn from(&self) -> Side {
        self.from
    }

    /// Payload bytes of the open data frame that are still to come; 0 at a frame boundary.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// The same of a frame that goes on as it comes; 0 in a message that is left out or kept back.
    pub fn going(&self) -> u64 {
        if self.course == Course::Going { self.open } else { 0 }
    }

    /// Whether a message has begun to go on, and its final frame has not.
    pub fn in_message(&self) -> bool {
        self.in_message && self.course == Course::Going
    }

    /// Whether a message has begun to go on whose end is still to come.
    pub fn is_going(&self) -> bool {
        self.going() > 0 || self.in_message()
    }

    /// Whether the open frame is left out.
    pub fn is_skipping(&self) -> bool {
        self.course == Course::Skipped
    }

    /// Whether the message that was entered last is kept back.
    pub fn is_withholding(&self) -> bool {
        self.course == Course::Withheld
    }

    /// Whether the frame with this head is left out because its message is.
    pub fn skips(&self, head: &FrameHead) -> bool {
        self.is_skipping() && head.opcode == Opcode::Continuation
    }

    /// Payload length of the message that was entered last, up to and with its last head.
    pub fn message_length(&self) -> u64 {
        self.message
    }

    /// Whether a message has been entered whose end is still to come.
    pub fn is_in_message(&self) -> bool {
        self.in_message || self.open > 0
    }

    /// What `bytes` begin with. `now` is what control frames are counted against.
    ///
    /// # Errors
    /// The broken rule; the cursor then still stands before the frame that breaks it.
    pub fn next(&mut self, bytes: &[u8], now: Tick) -> Result<Step, Violation> {
        if self.open > 0 {
            return Ok(self.pass(bytes.len()).map_or(Step::Need, Step::Payload));
        }
        let Some(head) = RawHead::read(bytes) else { return Ok(Step::Need) };
        let opcode = head.opcode().ok_or(Violation::ReservedOpcode)?;
        self.check(&head)?;
        if opcode.is_control() {
            self.control(opcode, &head, bytes.get(head.size..).unwrap_or_default(), now)
        } else {
            Ok(Step::Head { head: self.data(opcode, &head)?, mask: head.mask, size: head.size })
        }
    }

    /// Enters the data frame whose head was found next and is not refused.
    pub fn enter(&mut self, head: &FrameHead) {
        self.open = head.length;
        self.message = head.message_length;
        self.is_compressed = head.is_compressed;
        self.in_message = !head.is_final;
        self.course = Course::Going;
    }

    /// Enters the data frame whose head was found next, and which is left out with its message.
    pub fn skip(&mut self, head: &FrameHead) {
        self.enter(head);
        self.course = Course::Skipped;
    }

    /// Enters the data frame whose head was found next, and which is kept back with its message.
    pub fn withhold(&mut self, head: &FrameHead) {
        self.enter(head);
        self.course = Course::Withheld;
    }

    /// The control frame found last has to wait: it will be found again, and counts then.
    pub fn unread_control(&mut self) {
        self.controls = self.controls.saturating_sub(1);
    }

    /// Leaves the open frame: nothing of it has gone out, and nothing will.
    pub fn leave(&mut self) {
        self.open = 0;
    }

    /// Passes payload of the open frame, at most `available` bytes; none where there is nothing to pass.
    pub fn pass(&mut self, available: usize) -> Option<usize> {
        let count = usize::try_from(self.open).map_or(available, |open| open.min(available));
        self.open -= count as u64;
        (count > 0).then_some(count)
    }

    /// The rules for every head (RFC 6455 §5.2).
    fn check(&self, head: &RawHead) -> Result<(), Violation> {
        match (self.from, head.mask) {
            (Side::Client, None) => return Err(Violation::NotMasked),
            (Side::Upstream, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        if head.has_rsv2_or_3() || (head.has_rsv1() && !self.compression) {
            return Err(Violation::ReservedBit);
        }
        if head.length > i64::MAX as u64 {
            return Err(Violation::LengthOver63Bits);
        }
        if !head.is_minimal() {
            return Err(Violation::LengthNotMinimal);
        }
        Ok(())
    }

    /// The rules for data frames (RFC 6455 §5.4), and the limit on a message.
    fn data(&self, opcode: Opcode, head: &RawHead) -> Result<FrameHead, Violation> {
        let starts_message = !self.in_message;
        match opcode {
            Opcode::Continuation if starts_message => return Err(Violation::NothingToContinue),
            Opcode::Continuation if head.has_rsv1() => return Err(Violation::ReservedBit),
            Opcode::Text | Opcode::Binary if !starts_message => return Err(Violation::MessageInMessage),
            _ => {}
        }
        let length = head.length;
        let message_length = if starts_message { length } else { self.message.saturating_add(length) };
        if message_length > self.max_message {
            return Err(Violation::MessageTooLarge);
        }
        let is_compressed = if starts_message { head.has_rsv1() } else { self.is_compressed };
        Ok(FrameHead { opcode, is_final: head.is_final(), is_compressed, starts_message, length, message_length })
    }

    /// The rules for control frames (RFC 6455 §5.5).
    fn control(&mut self, opcode: Opcode, head: &RawHead, rest: &[u8], now: Tick) -> Result<Step, Violation> {
        if head.has_rsv1() {
            return Err(Violation::ReservedBit);
        }
        if !head.is_final() {
            return Err(Violation::FragmentedControl);
        }
        let length = usize::try_from(head.length).ok().filter(|length| *length <= MAX_CONTROL).ok_or(Violation::LongControl)?;
        let Some(masked) = rest.get(..length) else {
            return Ok(Step::Need);
        };
        let mut frame = ControlFrame { opcode, size: head.size + length, length, payload: [0; MAX_CONTROL] };
        let key = head.mask.unwrap_or_default();
        for ((byte, masked), key) in frame.payload.iter_mut().zip(masked).zip(key.iter().cycle()) {
            *byte = masked ^ key;
        }
        if opcode == Opcode::Close {
            Close::parse(frame.payload())?;
        }
        self.count(now)?;
        Ok(Step::Control(Box::new(frame)))
    }

    /// Counts a control frame. The count begins anew with the first one a second after it last did.
    fn count(&mut self, now: Tick) -> Result<(), Violation> {
        if now.since(self.second) >= SECOND {
            (self.second, self.controls) = (now, 0);
        }
        if self.controls >= CONTROL_FRAMES_PER_SECOND {
            return Err(Violation::ControlFlood);
        }
        self.controls += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
