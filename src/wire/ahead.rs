//! What a client sends ahead of its answer: it may begin with what follows, and it may leave.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::stream::Stream;

/// The most of it that is read, in bytes; what is more waits in its socket, and hides whether the client is still there.
pub(super) const AHEAD: usize = 4 * 1024;
/// Read at a time of that.
pub(super) const FEW: usize = 1024;

/// Reads on, and keeps what comes behind the `held` bytes that are kept already. Ready once nothing more comes; broken off, with an error.
/// A stream of HTTP/2 tells without being read, and what it brings stays within its window.
pub(super) fn poll_end<S: Stream>(io: &mut S, cx: &mut Context<'_>, mut held: usize, mut keep: impl FnMut(&[u8])) -> Poll<io::Result<()>> {
    if let Some(stream) = io.multiplexed() {
        return stream.poll_end(cx);
    }
    while held < AHEAD {
        let mut few = [0; FEW];
        let mut few = ReadBuf::new(&mut few);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut few))?;
        if few.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        held += few.filled().len();
        keep(few.filled());
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn so_much_is_read_ahead_and_no_more_and_the_end_is_told_behind_less() {
        for (sent, held, is_told) in
            [(0, 0, true), (5, 0, true), (AHEAD - 1, 0, true), (AHEAD, 0, false), (3 * AHEAD, 0, false), (1, AHEAD, false)]
        {
            let (mut ours, mut theirs) = tokio::io::duplex(4 * AHEAD);
            theirs.write_all(&vec![7; sent]).await.unwrap();
            drop(theirs);
            let mut kept = Vec::new();
            let end = poll_end(&mut ours, &mut Context::from_waker(std::task::Waker::noop()), held, |more| kept.extend_from_slice(more));
            assert_eq!(end.is_ready(), is_told, "{sent} behind {held}");
            assert!(kept.len() >= sent.min(AHEAD - held) && kept.len() < AHEAD + FEW, "{sent} behind {held}: {}", kept.len());
        }
    }
}
