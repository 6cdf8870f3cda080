//! The client's handshake: replays a head that passed every check to hyper, and gives the socket back once an answer is written.
//!
//! hyper calls its service when a request is there and writes what the service returns. Here that is turned around, so that who
//! conducts a connection reads from top to bottom: [`receive`] the request, do what it takes, [`Exchange::answer`] it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::fields::has_token;
use super::head::{Head, LARGEST_MAX_HEAD};

/// A request that was received and waits for its answer. Dropped, it closes the socket.
pub struct Exchange<IO: AsyncRead + AsyncWrite + Unpin> {
    connection: http1::Connection<TokioIo<Replay<IO>>, Handover>,
    answer: oneshot::Sender<Response<Full<Bytes>>>,
    surplus: Vec<u8>,
}

/// Parses a head. Nothing is read from the socket and nothing written; the fields pin hyper's buffer, so they go before a relay starts.
///
/// # Errors
/// Where hyper finds fault with a head that passed our checks, which no known head does. hyper may have answered it then.
pub async fn receive<IO: AsyncRead + AsyncWrite + Unpin>(io: IO, head: Head) -> io::Result<(Parts, Exchange<IO>)> {
    let (request, mut requested) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let handover = Handover { cells: Mutex::new(Some((request, answered))) };
    let replay = TokioIo::new(Replay { head: head.bytes, at: 0, io });
    let mut connection = builder(head.lines).serve_connection(replay, handover);

    let mut parts: Parts = poll_fn(|cx| {
        let driven = connection.poll_without_shutdown(cx);
        match (Pin::new(&mut requested).poll(cx), driven) {
            (Poll::Ready(Ok(parts)), _) => Poll::Ready(Ok(parts)),
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(io::Error::other(error))),
            (_, Poll::Ready(Ok(()))) | (Poll::Ready(Err(_)), _) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    })
    .await?;
    // hyper's own upgrade machinery is in there; the socket comes back by `into_parts`.
    parts.extensions.clear();
    Ok((parts, Exchange { connection, answer, surplus: head.surplus }))
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Exchange<IO> {
    /// Writes the answer, and gives back the socket with what the client sent behind its request.
    ///
    /// The body's length and, unless the answer is a 101, `Connection: close` are set here. Not cancel-safe: dropped, it closes the
    /// socket. The deadline is the caller's.
    ///
    /// # Errors
    /// The socket's: the client has gone.
    pub async fn answer(self, response: Response<Bytes>) -> io::Result<(IO, Vec<u8>)> {
        let Self { mut connection, answer, surplus } = self;
        let (mut parts, body) = response.into_parts();
        delimit(parts.status, &mut parts.headers);
        answer.send(Response::from_parts(parts, Full::new(body))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(io::Error::other)?;

        let left = connection.into_parts();
        // Copied, because even an empty slice would keep hyper's buffer alive.
        let early = [&*left.read_buf, &surplus].concat();
        Ok((left.io.into_inner().io, early))
    }
}

/// Headers that hyper parses on the stack; room for more is allocated when it is told that there are more.
const HEADERS_ON_STACK: usize = 100;

fn builder(headers: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(2 * LARGEST_MAX_HEAD)
        // For peers that compare names by case, against RFC 9110 §5.1.
        .title_case_headers(true);
    if headers > HEADERS_ON_STACK {
        builder.max_headers(headers);
    }
    builder
}

/// Leaves the body's length to hyper, and says that the connection ends with this answer, where it does.
fn delimit(status: StatusCode, headers: &mut HeaderMap) {
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER] {
        headers.remove(name);
    }
    if status != StatusCode::SWITCHING_PROTOCOLS && !has_token(headers, &header::CONNECTION, "close") {
        headers.append(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

type Cells = (oneshot::Sender<Parts>, oneshot::Receiver<Response<Full<Bytes>>>);

/// hyper's service: hands the request out, and waits for the answer to be handed in.
struct Handover {
    cells: Mutex<Option<Cells>>,
}

impl Service<Request<Incoming>> for Handover {
    type Response = Response<Full<Bytes>>;
    type Error = oneshot::error::RecvError;
    type Future = oneshot::Receiver<Self::Response>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match self.cells.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some((requested, answered)) => {
                // Received by `receive`, or nobody is there to answer and the connection is dropped with this.
                let _ = requested.send(request.into_parts().0);
                answered
            }
            // There is one request only. A receiver without a sender refuses any other.
            None => oneshot::channel().1,
        }
    }
}

/// What hyper reads: the head, and then nothing, so that no byte behind the head can get lost in it, and a client that has shut down
/// its writing still gets its answer. What it writes goes to the socket.
struct Replay<IO> {
    head: Vec<u8>,
    at: usize,
    io: IO,
}

impl<IO: Unpin> AsyncRead for Replay<IO> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.head.get(self.at..).unwrap_or_default();
        if left.is_empty() {
            // Never woken: the next thing that happens to this connection is its answer.
            return Poll::Pending;
        }
        let chunk = left.get(..buffer.remaining()).unwrap_or(left);
        buffer.put_slice(chunk);
        self.at += chunk.len();
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Replay<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
