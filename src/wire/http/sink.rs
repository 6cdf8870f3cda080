//! Writes a message, its body framed by us.

use std::io;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::wire::fields::write;

use super::framing::Framing;

/// How long a peer may take no byte of what is written to it, or a client send none of its body.
pub const STALL: Duration = Duration::from_secs(30);

/// Why nothing more can be written.
#[derive(Debug)]
pub enum Unwritten {
    /// The peer has gone.
    Gone(io::Error),
    /// It took no byte for [`STALL`].
    Stalled,
}

/// The write half of a stream.
#[derive(Debug)]
pub struct Sink<W> {
    io: W,
    is_chunked: bool,
    /// Waits to go out with what comes first behind it.
    head: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Sink<W> {
    /// Writes a body to this stream, framed so.
    pub fn new(io: W, body: Framing) -> Self {
        Self { io, is_chunked: body == Framing::Chunked, head: Vec::new() }
    }

    /// Takes a head, behind which a body comes that is framed so: it goes out with the first of that, or at the next [`push`](Self::push).
    pub fn begin(&mut self, head: Vec<u8>, body: Framing) {
        self.is_chunked = body == Framing::Chunked;
        self.head = head;
    }

    /// Writes what waits for more.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn push(&mut self) -> Result<(), Unwritten> {
        self.write(&[][..]).await
    }

    /// Writes some of the body.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn data(&mut self, data: &[u8]) -> Result<(), Unwritten> {
        if !self.is_chunked {
            return self.write(data).await;
        }
        let size = format!("{:x}\r\n", data.len());
        self.write(Buf::chain(size.as_bytes(), data).chain(&b"\r\n"[..])).await
    }

    /// Ends the body, with these trailers where it is of a kind that has them.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Unwritten> {
        if !self.is_chunked {
            return self.push().await;
        }
        let mut end = b"0\r\n".to_vec();
        if let Some(trailers) = trailers {
            write(&mut end, trailers);
        }
        end.extend_from_slice(b"\r\n");
        self.write(&end[..]).await
    }

    async fn write(&mut self, bytes: impl Buf) -> Result<(), Unwritten> {
        let head = std::mem::take(&mut self.head);
        let mut bytes = Buf::chain(&head[..], bytes);
        if !bytes.has_remaining() {
            return Ok(());
        }
        while bytes.has_remaining() {
            match timeout(STALL, self.io.write_buf(&mut bytes)).await {
                Err(_) => return Err(Unwritten::Stalled),
                Ok(Ok(0)) => return Err(Unwritten::Gone(io::ErrorKind::WriteZero.into())),
                Ok(Err(error)) => return Err(Unwritten::Gone(error)),
                Ok(Ok(_)) => {}
            }
        }
        match timeout(STALL, self.io.flush()).await {
            Err(_) => Err(Unwritten::Stalled),
            Ok(flushed) => flushed.map_err(Unwritten::Gone),
        }
    }
}
