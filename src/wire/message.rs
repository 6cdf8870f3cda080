//! Read depth: frames of one side unmasked, put together and inflated into whole messages.

use std::time::Instant;

use crate::stage::{FrameHead, Message, Opcode, Pace, Refusal};

use super::deflate::{InflateError, Inflater};
use super::frame::{ControlFrame, Cursor, Step};
use super::tick::Tick;
use super::violation::Violation;

/// Frames that one message may come in. Real traffic has 65,536 (Autobahn 9.3 and 9.4).
pub const MAX_FRAGMENTS: u32 = 131_072;

/// The most memory that a head alone makes us set aside; the rest follows the bytes.
const MAX_RESERVE: usize = 64 * 1024;

/// Memory that is kept from one message to the next.
const MAX_KEPT: usize = 64 * 1024;

/// Puts messages together, one after the other. What it holds is bounded by the cursor's `max_message`, and by as much again of one
/// that is compressed.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Payload without its mask.
    bytes: Vec<u8>,
    /// What it inflates to.
    inflated: Vec<u8>,
    /// How many of `bytes` are known to be whole characters.
    checked: usize,
    fragments: u32,
    key: [u8; 4],
    is_text: bool,
    is_compressed: bool,
    is_final: bool,
}

/// What was read.
#[derive(Debug)]
pub enum Item<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A control frame, which may stand between the fragments of a message.
    Control(Box<ControlFrame>),
    /// The next data frame goes on at this moment; it has been judged, and will be found again.
    Held(Instant),
}

impl Assembler {
    /// Reads up to the end of the next item, if it is there, and says how many bytes were taken; those that were not are to be
    /// given again, with more behind them. `judge` is asked at each data frame's head, and `inflater` is this side's.
    ///
    /// # Errors
    /// The refusal for a broken rule, or the judge's; text that is not UTF-8 is refused at the first byte that shows it.
    pub fn read(
        &mut self,
        cursor: &mut Cursor,
        bytes: &[u8],
        now: Tick,
        inflater: &mut Inflater,
        mut judge: impl FnMut(&Cursor, &FrameHead) -> Result<Pace, Box<Refusal>>,
    ) -> Result<(usize, Option<Item<'_>>), Box<Refusal>> {
        let from = cursor.from();
        let refuse = |violation: Violation| violation.refusal(from);
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            match cursor.next(rest, now).map_err(refuse)? {
                Step::Need => return Ok((taken, None)),
                Step::Control(frame) => return Ok((taken + frame.size, Some(Item::Control(frame)))),
                Step::Head { head, mask, size } => {
                    match judge(cursor, &head)? {
                        Pace::HoldUntil(until) => return Ok((taken, Some(Item::Held(until)))),
                        Pace::Skip(_) | Pace::SkipAndTell(..) => cursor.skip(&head),
                        Pace::Go => {
                            cursor.withhold(&head);
                            self.begin(&head, mask).map_err(refuse)?;
                        }
                    }
                    taken += size;
                }
                Step::Payload(count) if cursor.is_skipping() => taken += count,
                Step::Payload(count) => {
                    self.push(rest.get(..count).unwrap_or_default(), cursor).map_err(refuse)?;
                    taken += count;
                }
            }
            if self.is_whole(cursor) {
                let message = self.message(inflater, cursor.max_message()).map_err(refuse)?;
                return Ok((taken, Some(Item::Message(message))));
            }
        }
    }

    /// Enters a frame of the message, the first one of which leaves nothing of the message before.
    pub(super) fn begin(&mut self, head: &FrameHead, mask: Option<[u8; 4]>) -> Result<(), Violation> {
        if head.starts_message {
            self.clear();
            (self.is_text, self.is_compressed) = (head.opcode == Opcode::Text, head.is_compressed);
        }
        if self.fragments == MAX_FRAGMENTS {
            return Err(Violation::TooManyFragments);
        }
        self.fragments += 1;
        self.is_final = head.is_final;
        self.key = mask.unwrap_or_default();
        self.bytes.reserve(usize::try_from(head.length).map_or(MAX_RESERVE, |length| length.min(MAX_RESERVE)));
        Ok(())
    }

    /// Takes payload of the frame that was entered last.
    pub(super) fn push(&mut self, masked: &[u8], cursor: &Cursor) -> Result<(), Violation> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(masked);
        unmask(self.bytes.get_mut(start..).unwrap_or_default(), self.key);
        self.key.rotate_left(masked.len() % 4);
        // What is whole is looked at as a whole, and what is compressed is no text yet.
        if self.is_text && !self.is_compressed && !self.is_whole(cursor) { self.check() } else { Ok(()) }
    }

    /// How many bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.inflated.capacity()
    }

    /// Whether the message has come to its end.
    pub(super) fn is_whole(&self, cursor: &Cursor) -> bool {
        self.is_final && cursor.open() == 0
    }

    /// The message, which is whole; one that is compressed may inflate to so many bytes.
    pub(super) fn message(&mut self, inflater: &mut Inflater, most: u64) -> Result<Message<'_>, Violation> {
        self.is_final = false;
        if self.is_compressed {
            inflater.inflate(&self.bytes, most, &mut self.inflated)?;
        }
        let payload = if self.is_compressed { &self.inflated } else { &self.bytes };
        Ok(if self.is_text {
            Message::Text(str::from_utf8(payload).map_err(|_| Violation::NotUtf8)?.into())
        } else {
            Message::Binary(payload.as_slice().into())
        })
    }

    /// Forgets what it has read; a little memory is kept for what comes next.
    pub(super) fn clear(&mut self) {
        let (bytes, inflated) = (emptied(&mut self.bytes), emptied(&mut self.inflated));
        *self = Self { bytes, inflated, ..Self::default() };
    }

    /// Looks at the characters that have come since it last did; one that is cut at the end is looked at again.
    fn check(&mut self) -> Result<(), Violation> {
        match str::from_utf8(self.bytes.get(self.checked..).unwrap_or_default()) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }
}

/// The memory of what is not needed any more, unless there is much of it.
pub(super) fn emptied(bytes: &mut Vec<u8>) -> Vec<u8> {
    let mut bytes = std::mem::take(bytes);
    bytes.clear();
    if bytes.capacity() > MAX_KEPT { Vec::new() } else { bytes }
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLarge => Self::MessageTooLarge,
            InflateError::Corrupt => Self::NotDeflate,
        }
    }
}

/// Takes the mask off, or puts it on (RFC 6455 §5.3); whole words first, so that it compiles to vector instructions.
pub(super) fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u32::from_ne_bytes(key);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Side;
    use crate::stage::refusal::{NOT_UTF8, TOO_MANY_FRAGMENTS};

    fn read(bytes: &[u8]) -> Result<(), Box<Refusal>> {
        let mut cursor = Cursor::new(Side::Client, 1 << 20, false);
        Assembler::default().read(&mut cursor, bytes, Tick::default(), &mut Inflater::default(), |_, _| Ok(Pace::Go)).map(drop)
    }

    #[test]
    fn a_mask_comes_off_wherever_the_payload_is_cut() {
        let (text, key) = ("ten bytes!", *b"\x01\x02\x03\x04");
        let masked = text.bytes().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        let frame = b"\x81\x8a\x01\x02\x03\x04".iter().copied().chain(masked).collect::<Vec<u8>>();
        for cut in 6..frame.len() {
            let (mut cursor, mut assembler) = (Cursor::new(Side::Client, 10, false), Assembler::default());
            let (taken, item) =
                assembler.read(&mut cursor, &frame[..cut], Tick::default(), &mut Inflater::default(), |_, _| Ok(Pace::Go)).unwrap();
            assert!(item.is_none() && taken == cut, "cut at {cut}");
            let (taken, item) =
                assembler.read(&mut cursor, &frame[cut..], Tick::default(), &mut Inflater::default(), |_, _| Ok(Pace::Go)).unwrap();
            assert_eq!(taken, frame.len() - cut);
            assert!(matches!(item, Some(Item::Message(message)) if message == Message::Text(text.into())), "cut at {cut}");
        }
    }

    #[test]
    fn bad_text_is_refused_at_the_first_byte_that_shows_it() {
        // 0xed 0xa0 begins a surrogate, which UTF-8 has not, though the frame promises 100 bytes.
        let refusal = read(b"\x81\xe4\0\0\0\0ok \xed\xa0").unwrap_err();
        assert_eq!(refusal.outcome, NOT_UTF8);
        assert!(read(b"\x81\xe4\0\0\0\0ok \xed").is_ok());
    }

    #[test]
    fn text_that_ends_within_a_character_is_refused_at_its_end() {
        assert_eq!(read(b"\x81\x81\0\0\0\0\xed").unwrap_err().outcome, NOT_UTF8);
    }

    #[test]
    fn a_message_in_more_fragments_than_the_bound_is_refused() {
        let mut frames = b"\x02\x80\0\0\0\0".to_vec();
        frames.extend(b"\0\x80\0\0\0\0".repeat(MAX_FRAGMENTS as usize - 1));
        assert!(read(&frames).is_ok());
        frames.extend(b"\0\x80\0\0\0\0");
        assert_eq!(read(&frames).unwrap_err().outcome, TOO_MANY_FRAGMENTS);
    }
}
