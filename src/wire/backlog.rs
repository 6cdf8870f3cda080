//! What a peer has not taken yet.

use std::io;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

/// Bytes on their way to one peer that its socket did not take at once: what one write left over, and the gateway's own frames
/// behind it. Nothing is read for that peer while there are any, so they never exceed one read buffer and a farewell. Empty, it
/// holds no memory.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
    /// A frame boundary, counted from the start of `bytes`; past their end where the frame that is going out is not whole, or
    /// where nobody asked for boundaries.
    boundary: u64,
}

impl Backlog {
    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is to be sent next.
    pub(super) fn unsent(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// So many more bytes have been sent.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.bytes.len() {
            self.clear();
        }
    }

    /// Queues whole frames.
    pub(super) fn push(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
    }

    /// Takes over what is left of `chunk` after its first `sent` bytes. Where it may be [cut](Self::cut), `open` says how many
    /// bytes of the chunk end a frame begun before it.
    pub(super) fn hold(&mut self, chunk: &[u8], sent: usize, open: Option<u64>) {
        let left = chunk.get(sent..).unwrap_or_default();
        self.boundary = open.map_or(u64::MAX, |open| boundary_from(chunk, open, sent).saturating_sub(sent as u64));
        self.bytes = left.to_vec();
        self.sent = 0;
    }

    /// Drops the frames of which no byte has been sent; says whether there were any.
    pub(super) fn cut(&mut self) -> bool {
        let end = usize::try_from(boundary_from(&self.bytes, self.boundary, self.sent)).unwrap_or(usize::MAX);
        let has_more = end < self.bytes.len();
        self.bytes.truncate(end);
        self.advance(0);
        has_more
    }

    /// Drops everything, memory included.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The first frame boundary at or behind `at` in bytes whose frames are known to be well formed, from the boundary `from` on.
fn boundary_from(bytes: &[u8], from: u64, at: usize) -> u64 {
    let mut boundary = from;
    while boundary < at as u64 {
        let rest = usize::try_from(boundary).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
        let mut reader = io::Cursor::new(rest);
        let Ok(Some((_, length))) = FrameHeader::parse(&mut reader) else {
            break;
        };
        boundary = boundary.saturating_add(reader.position()).saturating_add(length);
    }
    boundary
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three frames of 2 + 3 bytes behind two bytes that end an earlier one.
    const CHUNK: &[u8] = b"..\x82\x03abc\x82\x03def\x82\x03ghi";

    #[test]
    fn a_cut_leaves_the_frame_that_is_going_out_and_nothing_behind_it() {
        for (sent, then, left) in [
            (0, 0, &b".."[..]),
            (1, 0, b"."),
            (1, 2, b"\x03abc"),
            (2, 0, b""),
            (3, 0, b"\x03abc"),
            (6, 0, b"c"),
            (6, 1, b""),
            (6, 2, b"\x03def"),
        ] {
            let mut backlog = Backlog::default();
            backlog.hold(CHUNK, sent, Some(2));
            backlog.advance(then);
            backlog.cut();
            assert_eq!(backlog.unsent(), left, "{sent} bytes sent at once, {then} later");
        }
    }

    #[test]
    fn a_frame_longer_than_the_backlog_stays_whole() {
        let mut backlog = Backlog::default();
        backlog.hold(CHUNK, 1, Some(100));
        backlog.cut();
        assert_eq!(backlog.unsent(), &CHUNK[1..]);
    }
}
