//! Inflates messages, each of them bounded in size while it is inflated.

use std::cell::Cell;

use flate2::{Decompress, FlushDecompress, Status};

use super::history::History;
use super::{InflateError, Window};

/// The least that is set aside for what a message inflates to; from then on, at most as much again as there is of it.
pub(super) const CHUNK: usize = 4096;

/// What a message's payload is read with behind it: the tail that was left out (RFC 7692 §7.2.2), and an empty final block. Data that
/// was cut short swallows some of that, and shows by it.
const CLOSING: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

thread_local! {
    static SHARED: Cell<Option<Decompress>> = const { Cell::new(None) };
}

/// Inflates what one side compresses, message by message. As it is by default every message stands alone, and it owns no memory.
#[derive(Debug, Default)]
pub struct Inflater {
    history: Option<Box<History>>,
}

impl Inflater {
    /// For a side that compresses with this window. A message may refer further back within itself than was agreed: nobody is hurt.
    pub fn new(window: Window) -> Self {
        Self { history: window.is_kept.then(|| Box::new(History::new(window.size()))) }
    }

    /// Inflates a message behind what `out` holds. `payload` is all of its compressed payload, unmasked and put together; `limit` is
    /// how many bytes it may inflate to. On an error `out` is as it was, but for memory: at most the limit and 4 KiB beyond.
    ///
    /// A block marked final ends the text. Behind it may stand the empty block of RFC 7692 §7.2.3.4, or nothing. §7.2.1 would permit
    /// more text there; zlib's users stop, browsers go on, and what is judged must be what whoever it is for will read.
    ///
    /// # Errors
    /// The message is too large, or no compressed message.
    pub fn inflate(&mut self, payload: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<(), InflateError> {
        // Some who flush what has been flushed are left with nothing in place of RFC 7692 §7.2.3.6's one byte.
        if payload.is_empty() {
            return Ok(());
        }
        let start = out.len();
        let mut state = SHARED.take().unwrap_or_else(|| Decompress::new(false));
        let room = usize::try_from(limit).unwrap_or(usize::MAX);
        let read = Reading { state: &mut state, out, start, room }.message(payload, self.history.as_deref());
        SHARED.set(Some(state));
        match (&read, &mut self.history) {
            (Ok(()), Some(history)) => history.push(out.get(start..).unwrap_or_default()),
            (Ok(()), None) => {}
            (Err(_), _) => out.truncate(start),
        }
        read
    }
}

/// One message while it is inflated.
struct Reading<'a> {
    state: &'a mut Decompress,
    out: &'a mut Vec<u8>,
    /// Where its text begins in `out`.
    start: usize,
    /// How much more text it may have.
    room: usize,
}

impl Reading<'_> {
    fn message(mut self, payload: &[u8], history: Option<&History>) -> Result<(), InflateError> {
        self.state.reset(false);
        if let Some(history) = history {
            self.state.set_dictionary(history.bytes()).map_err(|_| InflateError::Corrupt)?;
        }
        let is_whole = match self.feed(payload)? {
            Some(rest) => is_empty_block(rest),
            // All of it, or up to the tail where that completes a final block.
            None => matches!(self.feed(&CLOSING)?, Some([] | [_, _, _, _, _])),
        };
        if is_whole { Ok(()) } else { Err(InflateError::Corrupt) }
    }

    /// Inflates all of `input`, or up to the end of a final block; then it gives what stands behind that.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<Option<&'i [u8]>, InflateError> {
        loop {
            let asked = self.asked();
            let (taken, given, status) = self.step(input, asked)?;
            input = input.get(taken..).unwrap_or_default();
            self.room = self.room.checked_sub(given).ok_or(InflateError::TooLarge)?;
            if status == Status::StreamEnd {
                return Ok(Some(input));
            }
            if given < asked && input.is_empty() {
                return Ok(None);
            }
            if taken == 0 && given == 0 {
                return Err(InflateError::Corrupt);
            }
        }
    }

    /// How many bytes to inflate next: what there is memory for, or else as many as there are. One byte more than there may be shows
    /// that there would be more.
    fn asked(&self) -> usize {
        let more = CHUNK.max(self.out.len() - self.start);
        let spare = self.out.capacity() - self.out.len();
        let asked = if spare == 0 { more } else { more.min(spare) };
        asked.min(self.room.saturating_add(1))
    }

    /// Inflates to at most so many bytes; says how many were taken and given.
    fn step(&mut self, input: &[u8], most: usize) -> Result<(usize, usize, Status), InflateError> {
        let (at, taken, given) = (self.out.len(), self.state.total_in(), self.state.total_out());
        self.out.reserve_exact(most);
        self.out.resize(at + most, 0);
        let space = self.out.get_mut(at..).unwrap_or_default();
        let status = self.state.decompress(input, space, FlushDecompress::None).map_err(|_| InflateError::Corrupt)?;
        let [taken, given] =
            [self.state.total_in() - taken, self.state.total_out() - given].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        self.out.truncate(at.saturating_add(given));
        Ok((taken, given, status))
    }
}

/// Whether this is nothing, or an empty block without its tail: three bits of head, and whatever fills the byte.
fn is_empty_block(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [head] => head & 0b110 == 0,
        _ => false,
    }
}
