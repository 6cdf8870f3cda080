//! A backend's answer to the upgrade: its head is read off the socket and parsed, and where it declines, its body.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::wire::fields::strip_hop_by_hop;
use crate::wire::http::source::Source;

use super::failure::Failure;

/// The largest head a backend may answer with, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The most headers it may have.
pub const MAX_HEADERS: usize = 128;
/// The largest body of a backend's own refusal that is passed on, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Read at a time; the usual 101 fits.
const CHUNK: usize = 1024;

const TOO_LARGE: Failure = Failure::Bad("an answer whose head is too large");
const NOT_HTTP: Failure = Failure::Bad("an answer that is not HTTP/1.1");

/// An answer whose head is read. Its fields share the head's memory, so they go before a relay starts.
pub(super) struct Answered {
    pub(super) parts: Parts,
    /// The head, and what came glued to it.
    bytes: Bytes,
    head: usize,
}

impl Answered {
    /// What came glued to the head.
    pub(super) fn early(&self) -> &[u8] {
        self.bytes.get(self.head..).unwrap_or_default()
    }
}

/// Reads until the answer's head is whole: the first that is not informational (RFC 9110 §15.2). The deadline is the caller's.
///
/// # Errors
/// An end without an answer, or bytes that are none.
pub(super) async fn read<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<Answered, Failure> {
    let mut bytes = Vec::with_capacity(CHUNK);
    loop {
        let before = bytes.len();
        match io.read_buf(&mut bytes).await {
            Ok(0) => return Err(Failure::Unanswered("the connection was closed".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(Failure::from_exchange(&error)),
        }
        // A line that goes on tells nothing new; the first bytes tell whether it is HTTP at all.
        let is_news = before == 0 || bytes.get(before..).unwrap_or_default().contains(&b'\n');
        while let Some(length) = if is_news { length(&bytes)? } else { None } {
            let answered = parse(Bytes::copy_from_slice(&bytes), length).ok_or(NOT_HTTP)?;
            if !answered.parts.status.is_informational() || answered.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(answered);
            }
            bytes.drain(..length);
            if bytes.is_empty() {
                break;
            }
        }
        if bytes.len() > MAX_HEAD {
            return Err(TOO_LARGE);
        }
    }
}

/// Reads the next head of an answer, informational ones among them, and leaves what is behind it. The deadline is the caller's.
///
/// Cancel-safe.
///
/// # Errors
/// The same as of [`read`].
pub(super) async fn next<R: AsyncRead + Unpin>(source: &mut Source<R>) -> Result<Parts, Failure> {
    let mut seen = 0;
    loop {
        let bytes = source.bytes();
        // A line that goes on tells nothing new; the first bytes tell whether it is HTTP at all.
        let is_news = seen == 0 || bytes.get(seen..).unwrap_or_default().contains(&b'\n');
        seen = bytes.len();
        if let Some(length) = if is_news && seen > 0 { length(bytes)? } else { None } {
            let head = Bytes::copy_from_slice(bytes.get(..length).unwrap_or_default());
            source.advance(length);
            return parse(head, length).map(|answered| answered.parts).ok_or(NOT_HTTP);
        }
        if seen > MAX_HEAD {
            return Err(TOO_LARGE);
        }
        match source.fill(CHUNK).await {
            Ok(1..) => {}
            Ok(0) => return Err(Failure::Unanswered("the connection was closed".to_owned())),
            Err(error) => return Err(Failure::Unanswered(error.to_string())),
        }
    }
}

/// How long the head is that the bytes begin with; none where it is not whole.
fn length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::Response::new(&mut fields).parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length > MAX_HEAD => Err(TOO_LARGE),
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(TOO_LARGE),
        Err(_) => Err(NOT_HTTP),
    }
}

fn parse(bytes: Bytes, head: usize) -> Option<Answered> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(&bytes).ok()?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(parsed.code?).ok()?;
    parts.version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?);
    }
    Some(Answered { parts, bytes, head })
}

/// A backend's own refusal. Of its body the client gets all or, where it is too large or broken, nothing, and then no fields on it. The
/// deadline is the caller's.
///
/// A body may be framed in ways that are best left to hyper, which is given the answer as if it had asked for it.
pub(super) async fn declined<IO>(io: IO, answered: Answered) -> Response<Bytes>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let Answered { parts, bytes, .. } = answered;
    let body = body(Replay { bytes, at: 0, io, has_asked: false, reads: None }).await;
    refusal(parts, body)
}

/// The refusal as the client gets it; `None` where its body is not had.
pub(super) fn refusal(mut parts: Parts, body: Option<Bytes>) -> Response<Bytes> {
    strip_hop_by_hop(&mut parts.headers);
    if body.is_none() {
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_RANGE, header::CONTENT_LANGUAGE, header::ETAG] {
            parts.headers.remove(name);
        }
    }
    let mut response = Response::new(body.unwrap_or_default());
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}

async fn body<IO: AsyncRead + AsyncWrite + Unpin>(replay: Replay<IO>) -> Option<Bytes> {
    let mut builder = http1::Builder::new();
    let (mut sender, mut connection) = builder.max_headers(MAX_HEADERS).handshake(TokioIo::new(replay)).await.ok()?;
    let mut response = pin!(sender.send_request(Request::new(Empty::<Bytes>::new())));
    let response = poll_fn(|cx| match (connection.poll_without_shutdown(cx), response.as_mut().poll(cx)) {
        (_, Poll::Ready(response)) => Poll::Ready(response.ok()),
        (Poll::Ready(_), Poll::Pending) => Poll::Ready(None),
        (Poll::Pending, Poll::Pending) => Poll::Pending,
    })
    .await?;
    let mut collected = pin!(Limited::new(response.into_body(), MAX_BODY).collect());
    let mut is_over = false;
    let whole = poll_fn(|cx| {
        // However the connection ends, the body's end tells.
        is_over = is_over || connection.poll_without_shutdown(cx).is_ready();
        collected.as_mut().poll(cx)
    });
    Some(whole.await.ok()?.to_bytes())
}

/// Gives hyper the answer from its first byte on, once it has asked: an answer to nothing would be none. What it asks is nobody's.
struct Replay<IO> {
    bytes: Bytes,
    at: usize,
    io: IO,
    has_asked: bool,
    reads: Option<Waker>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Replay<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.has_asked {
            self.reads = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let left = self.bytes.get(self.at..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let chunk = left.get(..buffer.remaining()).unwrap_or(left);
        buffer.put_slice(chunk);
        self.at += chunk.len();
        Poll::Ready(Ok(()))
    }
}

impl<IO: Unpin> AsyncWrite for Replay<IO> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.has_asked = true;
        if let Some(reads) = self.reads.take() {
            reads.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
