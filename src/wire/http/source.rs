//! What is read of a stream and not yet taken.

use std::future::pending;
use std::io;
use std::ops::Range;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::ahead::{AHEAD, FEW};
use super::decoder::Decoder;
use super::framing::Framing;
use super::pass::{Broken, Gives, Takes, Terms, pass};

/// Read at a time where a body passes.
pub const CHUNK: usize = 16 * 1024;

/// The read half of a stream, and what was read of it and not taken.
#[derive(Debug)]
pub struct Source<R> {
    io: R,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// A stream of which these bytes are read already.
    pub fn new(io: R, early: &[u8]) -> Self {
        Self { io, bytes: BytesMut::from(early) }
    }

    /// Reads at most so many bytes more; 0 is the end.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The stream's.
    pub async fn fill(&mut self, most: usize) -> io::Result<usize> {
        if self.bytes.capacity() - self.bytes.len() < most {
            self.bytes.reserve(most);
        }
        self.io.read_buf(&mut (&mut self.bytes).limit(most)).await
    }
}

impl<R> Source<R> {
    /// What was read and not taken.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes so many bytes.
    pub fn advance(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
        if self.bytes.is_empty() && self.bytes.capacity() > CHUNK {
            // What waits for the next message holds no memory for it.
            self.bytes = BytesMut::new();
        }
    }

    /// Moves some of what was read to the front of it, behind so many bytes; it is at least so far behind.
    pub(super) fn shift(&mut self, from: Range<usize>, to: usize) {
        self.bytes.copy_within(from, to);
    }

    /// What was read and not taken, for whoever reads on.
    pub fn into_rest(self) -> Vec<u8> {
        self.bytes.to_vec()
    }
}

impl<R: AsyncRead + Unpin + Send> Gives for Source<R> {
    async fn begins(&mut self) -> bool {
        !self.bytes.is_empty() || matches!(self.fill(FEW).await, Ok(1..))
    }

    async fn give<T: Takes>(&mut self, framing: Framing, to: &mut T, terms: &Terms<'_>) -> Result<(), Broken> {
        pass(self, &mut Decoder::new(framing), to, terms).await
    }

    async fn is_left(&mut self) {
        while self.bytes.len() < AHEAD {
            if !matches!(self.fill(FEW).await, Ok(1..)) {
                return;
            }
        }
        pending::<()>().await;
    }
}
