//! The read buffer that all connections of a worker share.

use std::cell::Cell;

use super::frame::{MAX_CONTROL, MAX_HEAD};

/// How much one read may bring. Small buffers cost twice the CPU from messages of 16 KiB up.
pub(super) const READ_BUFFER: usize = 64 * 1024;

/// The most that is ever carried over from one read to the next: a control frame that is not whole.
const MAX_CARRY: usize = MAX_HEAD + MAX_CONTROL;

thread_local! {
    static SHARED: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the buffer for one turn of one connection. A turn inside a turn gets a buffer of its own.
pub(super) fn with<T>(turn: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SHARED.take().unwrap_or_else(|| vec![0; READ_BUFFER + MAX_CARRY].into_boxed_slice());
    let result = turn(&mut buffer);
    SHARED.set(Some(buffer));
    result
}
