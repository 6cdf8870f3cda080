//! A message that is being read: nothing of it goes on before all of it has been judged.

use std::cell::Cell;

use super::message::{Assembler, emptied};

thread_local! {
    static SPARE: Cell<Option<Box<Reading>>> = const { Cell::new(None) };
}

/// What there is of the open message. A connection owns one while a message of it is neither whole nor judged; messages that come
/// in one read share the one of their thread.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The message itself.
    pub(super) assembler: Assembler,
    /// Its frames as they came in earlier reads, masks and all, where they may have to go on.
    pub(super) wire: Vec<u8>,
}

impl Reading {
    /// One that holds nothing.
    pub(super) fn take() -> Box<Self> {
        SPARE.take().unwrap_or_default()
    }

    /// How many bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        self.assembler.held() + self.wire.capacity()
    }

    /// Leaves it to whoever reads next.
    pub(super) fn leave(mut self: Box<Self>) {
        self.assembler.clear();
        self.wire = emptied(&mut self.wire);
        SPARE.set(Some(self));
    }
}
