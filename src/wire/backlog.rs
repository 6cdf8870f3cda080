//! What a peer has not taken yet.

use super::frame::RawHead;

/// Bytes on their way to one peer that its socket did not take at once: what one write left over, and the gateway's own frames
/// behind it. Nothing is read for that peer while there are any, so they never exceed one read buffer and a farewell. Empty, it
/// holds no memory.
#[derive(Debug, Default)]
pub(super) struct Backlog(Option<Box<Held>>);

/// There is always something to send.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    sent: usize,
    /// A frame boundary, counted from the start of `bytes`; past their end where the frame that is going out is not whole, or
    /// where nobody asked for boundaries.
    boundary: u64,
}

impl Backlog {
    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.bytes.capacity())
    }

    /// What is to be sent next.
    pub(super) fn unsent(&self) -> &[u8] {
        self.0.as_ref().and_then(|held| held.bytes.get(held.sent..)).unwrap_or_default()
    }

    /// So many more bytes have been sent.
    pub(super) fn advance(&mut self, count: usize) {
        if let Some(held) = &mut self.0 {
            held.sent += count;
            if held.sent >= held.bytes.len() {
                self.clear();
            }
        }
    }

    /// Queues whole frames.
    pub(super) fn push(&mut self, frames: &[u8]) {
        if !frames.is_empty() {
            self.0.get_or_insert_default().bytes.extend_from_slice(frames);
        }
    }

    /// Takes over what is left of `chunk` after its first `sent` bytes. Where it may be [cut](Self::cut), `open` says how many
    /// bytes of the chunk end a frame begun before it.
    pub(super) fn hold(&mut self, chunk: &[u8], sent: usize, open: Option<u64>) {
        let bytes = chunk.get(sent..).unwrap_or_default().to_vec();
        let boundary = open.map_or(u64::MAX, |open| boundary_from(chunk, open, sent).saturating_sub(sent as u64));
        self.0 = if bytes.is_empty() { None } else { Some(Box::new(Held { bytes, sent: 0, boundary })) };
    }

    /// Drops the frames of which no byte has been sent; says whether there were any.
    pub(super) fn cut(&mut self) -> bool {
        let Some(held) = &mut self.0 else { return false };
        let end = usize::try_from(boundary_from(&held.bytes, held.boundary, held.sent)).unwrap_or(usize::MAX);
        let has_more = end < held.bytes.len();
        held.bytes.truncate(end);
        self.advance(0);
        has_more
    }

    /// Drops everything, memory included.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

/// The first frame boundary at or behind `at` in bytes whose frames are known to be well formed, from the boundary `from` on.
fn boundary_from(bytes: &[u8], from: u64, at: usize) -> u64 {
    let mut boundary = from;
    while boundary < at as u64 {
        let rest = usize::try_from(boundary).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
        let Some(head) = RawHead::read(rest) else { break };
        boundary = boundary.saturating_add(head.size as u64).saturating_add(head.length);
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
