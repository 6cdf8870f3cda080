//! What a leg reads and writes: a connection to a peer, or a stream in its place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::h2;
use super::tls::carrier::Carrier;

/// A stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket, where what is written is what goes over the wire: when it leaves can be said.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }

    /// Whether bytes have gone over the wire since this was asked last: a stream that takes bytes before it sends them may be at that
    /// without a write or a flush being done.
    fn has_sent(&mut self) -> bool {
        false
    }

    /// Whether nothing has come that is not read yet; the task is woken once something has. `false` leaves it to a read to find out.
    fn awaits(&mut self, _cx: &mut Context<'_>) -> bool {
        false
    }

    /// How many bytes have come that nobody has read, where they wait in our memory and not in the kernel's.
    fn unread(&mut self) -> usize {
        0
    }

    /// The stream of HTTP/2, where it is one: it has words of its own for the head of an answer, and shares its connection with others.
    fn multiplexed(&mut self) -> Option<&mut h2::stream::Stream> {
        None
    }
}

impl Stream for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn awaits(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_read_ready(cx).is_pending()
    }
}

/// A peer in memory.
impl Stream for DuplexStream {}

/// A connection to a peer, on either side of the gateway: one type for all there are, so that what is done with it is compiled once.
///
/// What reads and writes it is not told how it is carried. Over TLS a peer's `close_notify` is the end of what it says, as a FIN is
/// otherwise; a FIN without one is an error, as anybody can send it (RFC 9112 §9.8).
#[derive(Debug)]
pub enum Socket {
    /// Bare TCP.
    Plain(TcpStream),
    /// TLS over it. Boxed: a session is a kilobyte, and most connections have none.
    Tls(Box<TlsStream<Carrier>>),
    /// One stream of a connection of HTTP/2. Boxed for the same reason.
    Stream(Box<h2::stream::Stream>),
}

impl Socket {
    /// Whether TLS was begun for HTTP/2.
    pub fn is_for_h2(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(h2::ALPN))
    }

    /// What is read and written, whatever it is. Bare TCP, which most connections are, is better matched first and called directly:
    /// compiled into one function with the others it would pay in every call for the registers that they need.
    fn inner(&mut self) -> &mut dyn Stream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &mut **tls,
            Self::Stream(stream) => &mut **stream,
        }
    }
}

impl Stream for Socket {
    fn tcp(&self) -> Option<&TcpStream> {
        if let Self::Plain(tcp) = self { Some(tcp) } else { None }
    }

    fn has_sent(&mut self) -> bool {
        self.inner().has_sent()
    }

    fn awaits(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Plain(tcp) => tcp.awaits(cx),
            other => other.inner().awaits(cx),
        }
    }

    fn unread(&mut self) -> usize {
        if let Self::Plain(_) = self { 0 } else { self.inner().unread() }
    }

    fn multiplexed(&mut self) -> Option<&mut h2::stream::Stream> {
        self.inner().multiplexed()
    }
}

impl Stream for TlsStream<Carrier> {
    fn has_sent(&mut self) -> bool {
        self.get_mut().0.has_sent()
    }
}

impl Stream for h2::stream::Stream {
    fn unread(&mut self) -> usize {
        Self::unread(self)
    }

    fn multiplexed(&mut self) -> Option<&mut h2::stream::Stream> {
        Some(self)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            other => Pin::new(other.inner()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            other => Pin::new(other.inner()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().inner()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            other => Pin::new(other.inner()).poll_flush(cx),
        }
    }

    /// Over TLS `close_notify` goes first, and then the FIN.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().inner()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_no_more_than_its_socket_however_it_may_be_carried() {
        assert_eq!(size_of::<Socket>(), size_of::<TcpStream>());
    }
}
