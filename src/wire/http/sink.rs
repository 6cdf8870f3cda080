//! Writes a message, its body framed by us.

use std::io;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http::response::Parts;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::wire::fields::write;

use super::answer::{Manner, encode, informational};
use super::framing::Framing;
use super::pass::{Answers, Takes};

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

    /// Takes a head, behind which a body comes that is framed so: it goes out with the first of that, or at the next push.
    fn take(&mut self, head: Vec<u8>, body: Framing) {
        self.is_chunked = body == Framing::Chunked;
        self.head = head;
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

impl<W: AsyncWrite + Unpin + Send> Takes for Sink<W> {
    async fn push(&mut self) -> Result<(), Unwritten> {
        self.write(&[][..]).await
    }

    async fn data(&mut self, data: &[u8]) -> Result<(), Unwritten> {
        if !self.is_chunked {
            return self.write(data).await;
        }
        let size = format!("{:x}\r\n", data.len());
        self.write(Buf::chain(size.as_bytes(), data).chain(&b"\r\n"[..])).await
    }

    async fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Unwritten> {
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
}

impl<W: AsyncWrite + Unpin + Send> Answers for Sink<W> {
    /// It goes out with the first of the body, or at the next push.
    fn begin(&mut self, answer: Parts, body: Framing, manner: Manner) -> Result<(), Unwritten> {
        let (head, framing) = encode(answer, body, manner);
        self.take(head, framing);
        Ok(())
    }

    async fn inform(&mut self, answer: Parts) -> Result<(), Unwritten> {
        self.take(informational(answer), Framing::Nothing);
        self.push().await
    }
}
