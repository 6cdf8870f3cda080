//! What carries TLS: a TCP connection of which something may have been read already.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection under TLS.
#[derive(Debug)]
pub struct Carrier {
    tcp: TcpStream,
    /// Read in advance, and given first.
    early: Vec<u8>,
    has_sent: bool,
}

impl Carrier {
    /// A connection of which `early` has been read.
    pub(super) fn new(tcp: TcpStream, early: Vec<u8>) -> Self {
        Self { tcp, early, has_sent: false }
    }

    /// The connection, without what was read in advance of it.
    pub(super) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Whether bytes have gone out since this was asked last.
    pub(in crate::wire) fn has_sent(&mut self) -> bool {
        mem::take(&mut self.has_sent)
    }

    fn note(&mut self, written: usize) -> usize {
        self.has_sent |= written > 0;
        written
    }
}

impl AsyncRead for Carrier {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.early.len().min(buffer.remaining());
        if count == 0 {
            return Pin::new(&mut self.tcp).poll_read(cx, buffer);
        }
        let rest = self.early.split_off(count);
        buffer.put_slice(&mem::replace(&mut self.early, rest));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes))?;
        Poll::Ready(Ok(self.note(written)))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, slices))?;
        Poll::Ready(Ok(self.note(written)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
