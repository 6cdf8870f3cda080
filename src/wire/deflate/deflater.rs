//! Deflates the gateway's own messages, where that makes them smaller.

use std::cell::Cell;

use flate2::{Compress, Compression, FlushCompress};

use super::history::History;
use super::{TAIL, Window};

/// 1 KiB of JSON takes 3 µs at level 1, where it takes 9 or 10 at all from 2 to 6, and gets a third larger than at 6. Of the two, time
/// is what a gateway has less of (`cargo bench --bench deflate`).
const LEVEL: Compression = Compression::fast();

/// How much of what was sent before the state is given, at most. It is read anew for every message: 1 KiB of it costs 0.7 µs and makes
/// a message of 1 KiB a fifth smaller, 4 KiB cost 2.6 µs and make it a fourth smaller, all of a window costs 21 µs.
const MOST_HISTORY: usize = 1024;

/// What is smaller than this does not get smaller by itself.
pub(super) const SMALLEST_ALONE: usize = 128;
/// The same of a message that may refer to others.
const SMALLEST: usize = 32;

/// zlib's smallest window. One of 8 bits it makes to one of 9, which who asked for 8 cannot read.
const SMALLEST_WINDOW: u8 = 9;

thread_local! {
    /// One for each size of window, from the smallest on; the size cannot be changed.
    static SHARED: [Cell<Option<Compress>>; 7] = const { [const { Cell::new(None) }; 7] };
}

/// Deflates what one side sends, message by message.
#[derive(Debug)]
pub struct Deflater {
    bits: u8,
    history: Option<Box<History>>,
}

impl Deflater {
    /// With this window; one of 8 bits compresses nothing.
    pub fn new(window: Window) -> Self {
        let history = window.is_kept.then(|| Box::new(History::new(window.size().min(MOST_HISTORY))));
        Self { bits: window.bits, history }
    }

    /// Deflates a message behind what `out` holds, and says whether it did. Where it did not, `out` is as it was, and the message goes
    /// uncompressed, without RSV1 (RFC 7692 §6): it is too small to gain by it, or got no smaller.
    #[must_use = "a message that was not deflated goes as it is"]
    pub fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let smallest = if self.history.is_some() { SMALLEST } else { SMALLEST_ALONE };
        if message.len() < smallest {
            return false;
        }
        let start = out.len();
        let is_smaller = SHARED.with(|states| {
            let Some(shared) = self.bits.checked_sub(SMALLEST_WINDOW).and_then(|at| states.get(usize::from(at))) else {
                return false;
            };
            let mut state = shared.take().unwrap_or_else(|| Compress::new_with_window_bits(LEVEL, false, self.bits));
            let is_smaller = deflate(&mut state, self.history.as_deref(), message, out).is_some();
            shared.set(Some(state));
            is_smaller
        });
        match &mut self.history {
            Some(history) if is_smaller => history.push(message),
            _ => {}
        }
        if !is_smaller {
            out.truncate(start);
        }
        is_smaller
    }
}

/// Deflates behind what `out` holds; none where that takes as many bytes as the message.
fn deflate(state: &mut Compress, history: Option<&History>, message: &[u8], out: &mut Vec<u8>) -> Option<()> {
    state.reset();
    if let Some(history) = history {
        state.set_dictionary(history.bytes()).ok()?;
    }
    let (start, most) = (out.len(), message.len() + TAIL.len());
    out.reserve_exact(most);
    out.resize(start + most, 0);
    let room = out.get_mut(start..)?;
    state.compress(message, room, FlushCompress::Sync).ok()?;
    let given = usize::try_from(state.total_out()).ok()?;
    // With no room left there may be more to come, and what has come is no smaller.
    if given == most {
        empty(state, room);
        return None;
    }
    out.truncate(start + given);
    if !out.ends_with(&TAIL) {
        return None;
    }
    out.truncate(start + given - TAIL.len());
    Some(())
}

/// Takes out what is left of a message that was given up. Where zlib-rs (0.6.8) is reset over it, the room it took is lost to the
/// state, which panics when there is none.
fn empty(state: &mut Compress, room: &mut [u8]) {
    let mut given = room.len();
    while given == room.len() {
        let before = state.total_out();
        if state.compress(&[], room, FlushCompress::None).is_err() {
            return;
        }
        given = usize::try_from(state.total_out() - before).unwrap_or_default();
    }
}
