//! A leg whose session has not begun: its peer may leave before, or be sent away.

use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::stage::Side;

use super::super::linger::linger;
use super::super::stream::Stream;
use super::super::{ahead, own};
use super::Leg;

impl<S: Stream> Leg<S> {
    /// Returns once the peer has gone, before the session has begun. What comes meanwhile is kept; who has said something before it ended
    /// its side is still to be heard.
    ///
    /// Cancel-safe.
    pub async fn is_left(&mut self) {
        let Self { io: Some(io), carry, is_fresh, .. } = self else { return };
        let ended = poll_fn(|cx| {
            ahead::poll_end(io, cx, carry.len(), |more| {
                carry.push(more);
                *is_fresh = true;
            })
        });
        if ended.await.is_ok() && !(carry.is_empty() && io.unread() == 0) {
            pending::<()>().await;
        }
    }

    /// Tells a server that has just upgraded that nobody comes, and waits for its end for as long.
    pub async fn dismiss(self, code: u16, within: Duration) {
        let Some(mut io) = self.io else { return };
        let close = own::close(Side::Upstream, Some(code), "");
        // Best effort: whoever does not take so little at once has to do without.
        if let Ok(Ok(())) = timeout(within, io.write_all(&close)).await {
            linger(io, within).await;
        }
    }
}
