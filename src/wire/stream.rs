//! What a leg reads and writes: a socket, or a stream over one.

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// A stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket, where what is written is what goes over the wire: when it leaves can be said.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl Stream for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

/// A peer in memory.
impl Stream for DuplexStream {}
