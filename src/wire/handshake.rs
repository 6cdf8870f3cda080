//! The client's handshake: a head that passed every check is parsed, and answered once.
//!
//! Such a request has no body and is the last of its connection: its head is parsed by httparse, which hyper stands on, and nothing else of
//! an HTTP server is needed for it. What an ordinary request needs besides stands in [`http`](super::http).

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use tokio::io::AsyncWriteExt;

use super::head::Head;
use super::stream::Stream;
use super::{ahead, answers};

/// A request that was received and waits for its answer. Dropped, it closes the socket.
pub struct Exchange<IO> {
    io: IO,
    /// What the client has sent behind its request.
    surplus: Vec<u8>,
    is_head: bool,
}

/// Parses a head. Its fields share the head's memory, so they go before a relay starts.
///
/// # Errors
/// Where the parser finds fault with a head that passed our checks, which no known head does.
pub fn receive<IO>(io: IO, head: Head) -> io::Result<(Parts, Exchange<IO>)> {
    let Head { bytes, surplus, lines, framing } = head;
    let mut parts = parse(&Bytes::from(bytes), lines).ok_or(io::ErrorKind::InvalidData)?;
    if framing.has_body() {
        parts.extensions.insert(framing);
    }
    let is_head = parts.method == Method::HEAD;
    Ok((parts, Exchange { io, surplus, is_head }))
}

fn parse(head: &Bytes, lines: usize) -> Option<Parts> {
    let mut fields = vec![httparse::EMPTY_HEADER; lines];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(head).ok()?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    parts.version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.uri = Uri::from_maybe_shared(head.slice_ref(parsed.path?.as_bytes())).ok()?;
    parts.headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?);
    }
    Some(parts)
}

impl<IO> Exchange<IO> {
    /// A request whose answer was to be somebody else's and has not begun; this was read behind its head, as far as it was not taken.
    pub fn resumed(io: IO, surplus: Vec<u8>, is_head: bool) -> Self {
        Self { io, surplus, is_head }
    }

    /// The socket and what was read behind the head, for whoever answers in its place.
    pub fn into_parts(self) -> (IO, Vec<u8>) {
        (self.io, self.surplus)
    }
}

impl<IO: Stream> Exchange<IO> {
    /// Returns once the client has gone; whoever has ended its side before it has its 101 has. What comes meanwhile is kept.
    ///
    /// Cancel-safe.
    pub async fn is_left(&mut self) {
        let Self { io, surplus, .. } = self;
        // Whichever way it has gone.
        _ = poll_fn(|cx| ahead::poll_end(io, cx, surplus.len(), |more| surplus.extend_from_slice(more))).await;
    }

    /// Whether the request came over HTTP/2, which has words of its own for some refusals.
    pub fn is_multiplexed(&mut self) -> bool {
        self.io.multiplexed().is_some()
    }

    /// Writes the answer, and gives back the socket with what the client sent behind its request.
    ///
    /// The body's length and, unless the answer is a 101, `Connection: close` are set here. Not cancel-safe: dropped, it closes the
    /// socket. The deadline is the caller's.
    ///
    /// # Errors
    /// The socket's: the client has gone.
    pub async fn answer(self, response: Response<Bytes>) -> io::Result<(IO, Vec<u8>)> {
        let Self { mut io, surplus, is_head } = self;
        if let Some(stream) = io.multiplexed() {
            return stream.answer(response).map(|()| (io, surplus));
        }
        io.write_all(&answers::encode(response, is_head)).await?;
        io.flush().await?;
        Ok((io, surplus))
    }
}

#[cfg(test)]
mod tests;
