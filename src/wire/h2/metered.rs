//! What carries HTTP/2: a connection of which something may have been read already, and whose frames are counted.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::stream::Socket;
use super::meter::Meter;

/// The count, which is read beside the connection.
#[derive(Clone, Debug)]
pub(super) struct Count(Arc<Mutex<Meter>>);

impl Count {
    /// Only one task locks it, so nobody ever waits.
    pub(super) fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection under HTTP/2.
#[derive(Debug)]
pub(super) struct Metered {
    socket: Socket,
    /// Read in advance, and given first.
    early: Vec<u8>,
    count: Count,
}

impl Metered {
    /// A connection of which `early` has been read, and the count of its frames.
    pub(super) fn new(socket: Socket, early: Vec<u8>) -> (Self, Count) {
        let count = Count(Arc::new(Mutex::new(Meter::new(Instant::now()))));
        (Self { socket, early, count: count.clone() }, count)
    }
}

impl AsyncRead for Metered {
    /// Of who floods us nothing more is read, and of others once there is time.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut meter = this.count.lock();
        if meter.is_flooded() || meter.is_turn_over() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let count = this.early.len().min(buffer.remaining());
        if count == 0 {
            ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        } else {
            let rest = this.early.split_off(count);
            buffer.put_slice(&mem::replace(&mut this.early, rest));
        }
        meter.read(buffer.filled().get(before..).unwrap_or_default(), Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.count.lock().write(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices))?;
        self.count.lock().write(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
