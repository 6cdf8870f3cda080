//! A stream of HTTP/2 as whoever serves it knows a connection: its end is a FIN, and a reset is a reset.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{self, HeaderMap};
use http::{Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::answers;
use super::super::fields::strip_hop_by_hop;
use super::body::{Answer, Body};
use super::input::Input;
use super::served::Serving;

/// One stream. Dropped before both sides have ended it, it is reset.
#[derive(Debug)]
pub struct Stream {
    /// Locked by one task alone: its two halves wait together.
    output: Mutex<Output>,
    input: Input,
    is_tunnel: bool,
    _serving: Serving,
}

/// What a client is sent over a stream: the head of an answer, and what is behind it.
#[derive(Debug)]
pub(super) struct Output {
    respond: SendResponse<Bytes>,
    /// Once the head is sent.
    stream: Option<SendStream<Bytes>>,
    is_head: bool,
    has_ended: bool,
}

impl Stream {
    /// A stream that was asked for by this method.
    pub(super) fn new(respond: SendResponse<Bytes>, input: Input, method: &Method, serving: Serving) -> Self {
        let output = Mutex::new(Output { respond, stream: None, is_head: method == Method::HEAD, has_ended: false });
        Self { output, input, is_tunnel: method == Method::CONNECT, _serving: serving }
    }

    /// Whether the client has more to say than the head.
    pub fn has_body(&self) -> bool {
        self.input.has_body()
    }

    /// Whether the client has a body to send that has not ended: a reset right behind its answer may cost it that, whatever is said in it
    /// (RFC 9113 §8.1). Who asked for a tunnel waits for leave.
    pub fn is_sent_a_body(&self) -> bool {
        !self.is_tunnel && self.input.is_going()
    }

    /// How many bytes have come that have not been read: no more than the client's window.
    pub fn unread(&self) -> usize {
        self.input.unread()
    }

    /// Ready once the client has ended what it sends, or has gone, however much of that is unread.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.poll_end(cx)
    }

    /// Nothing of the request has been looked at, and the client may ask again elsewhere (RFC 9113 §8.7).
    pub fn decline(self) {
        lock(&self.output).respond.send_reset(Reason::REFUSED_STREAM);
    }

    /// Answers: with a 200 in the place of a 101, behind which the stream goes on (RFC 8441 §5), or in full. What HTTP/1.1 says of its
    /// connection is left out.
    ///
    /// # Errors
    /// The client has gone, or has reset the stream.
    pub fn answer(&mut self, response: Response<Bytes>) -> io::Result<()> {
        let (head, body) = response.into_parts();
        let mut headers = head.headers;
        strip_hop_by_hop(&mut headers);
        let output = self.output();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            return output.begin(StatusCode::OK, headers, false);
        }
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if !headers.contains_key(header::DATE) {
            headers.extend(answers::dated(SystemTime::now()).map(|date| (header::DATE, date)));
        }
        let is_whole = body.is_empty() || output.is_head;
        output.begin(head.status, headers, is_whole)?;
        // Refusals are small, and nothing comes behind them: they may wait in the stream's own buffer.
        if is_whole { Ok(()) } else { output.end(body) }
    }

    /// The halves of a stream whose request is passed on, and whose answer is somebody else's.
    pub fn halves(&mut self) -> (Body<'_>, Answer<'_>) {
        (Body::new(&mut self.input, &self.output), Answer::new(&self.output))
    }

    fn output(&mut self) -> &mut Output {
        self.output.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    /// Sends the head of the answer, which may be all of it.
    pub(super) fn begin(&mut self, status: StatusCode, headers: HeaderMap, is_whole: bool) -> io::Result<()> {
        let head = head(status, headers);
        self.stream = Some(self.respond.send_response(head, is_whole).map_err(failed)?);
        self.has_ended = is_whole;
        Ok(())
    }

    /// Sends the head of an informational answer.
    pub(super) fn inform(&mut self, status: StatusCode, headers: HeaderMap) -> io::Result<()> {
        self.respond.send_informational(head(status, headers)).map_err(failed)
    }

    /// Sends some of these bytes, as many as the client takes.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        while stream.capacity() == 0 {
            stream.reserve_capacity(bytes.len());
            match ready!(stream.poll_capacity(cx)) {
                Some(capacity) => _ = capacity.map_err(failed)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = stream.capacity().min(bytes.len());
        let sent = bytes.get(..count).unwrap_or_default();
        stream.send_data(Bytes::copy_from_slice(sent), false).map_err(failed)?;
        Poll::Ready(Ok(count))
    }

    /// Sends these bytes, which are the last, and the end.
    pub(super) fn end(&mut self, bytes: Bytes) -> io::Result<()> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(());
        }
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.send_data(bytes, true).map_err(failed)
    }

    /// Sends the end, and these fields with it.
    pub(super) fn end_with(&mut self, trailers: HeaderMap) -> io::Result<()> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(());
        }
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.send_trailers(trailers).map_err(failed)
    }

    /// Ready when the client has reset the stream, or its connection is gone.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(_) if self.has_ended => Poll::Pending,
            Some(stream) => stream.poll_reset(cx).map(drop),
            None => self.respond.poll_reset(cx).map(drop),
        }
    }
}

fn head(status: StatusCode, headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The same as of a socket: a reset is one, whatever its reason.
pub(super) fn failed(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let input = &mut self.input;
        let bytes = ready!(input.poll_fill(cx))?;
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(bytes.get(..count).unwrap_or_default());
        input.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output().poll_send(cx, bytes)
    }

    /// What was taken goes out with the connection, which has a task of its own.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.output().end(Bytes::new()))
    }
}
