//! What a client sends over a stream, taken off the `h2` crate's hands as it comes: the crate keeps every frame apart, at a price that is
//! far above that of one byte, and would have to end the whole connection for many small ones of a stream that nobody reads.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use h2::{FlowControl, RecvStream};
use http::header::HeaderMap;

use super::stream::failed;

/// What a client sends over a stream, for whoever serves it.
#[derive(Debug)]
pub(super) struct Input {
    inbox: Shared,
    flow: FlowControl,
    /// What is being read. The client may send as much more once it has been.
    chunk: Bytes,
    has_body: bool,
}

/// Fills the inbox of a stream for as long as somebody serves it: a part of its connection's task.
#[derive(Debug)]
pub(super) struct Intake {
    stream: RecvStream,
    inbox: Shared,
}

/// What has come and is not being read yet: no more than the client's window.
#[derive(Debug, Default)]
struct Inbox {
    /// The first of it, as it came.
    front: Bytes,
    /// All behind that in one piece, whatever pieces it came in.
    back: BytesMut,
    end: Option<End>,
    reader: Option<Waker>,
    intake: Option<Waker>,
    /// Nobody will read it.
    is_left: bool,
}

/// How a stream has ended.
#[derive(Debug)]
enum End {
    Well(Option<HeaderMap>),
    Badly(io::Error),
}

type Shared = Arc<Mutex<Inbox>>;

/// Locked for moments, by two tasks.
fn lock(inbox: &Shared) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Input {
    /// What comes over this stream, and who has to be polled for it.
    pub(super) fn of(mut stream: RecvStream) -> (Self, Intake) {
        let (inbox, flow, has_body) = (Shared::default(), stream.flow_control().clone(), !stream.is_end_stream());
        (Self { inbox: inbox.clone(), flow, chunk: Bytes::new(), has_body }, Intake { stream, inbox })
    }

    /// Whether the client has more to say than the head.
    pub(super) fn has_body(&self) -> bool {
        self.has_body
    }

    /// How many bytes have come that have not been read: no more than the client's window.
    pub(super) fn unread(&self) -> usize {
        self.flow.used_capacity()
    }

    /// Whether the client has still to end what it sends.
    pub(super) fn is_going(&self) -> bool {
        self.has_body && lock(&self.inbox).end.is_none()
    }

    /// Waits for the end, behind whatever is unread.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.inbox).poll_end(cx)
    }

    /// Waits for bytes; without any, they have ended.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&Bytes>> {
        if self.chunk.is_empty() {
            self.chunk = ready!(lock(&self.inbox).poll_take(cx))?;
        }
        Poll::Ready(Ok(&self.chunk))
    }

    /// So many bytes are read.
    pub(super) fn consume(&mut self, count: usize) {
        self.chunk.advance(count.min(self.chunk.len()));
        // Fails where the stream is gone, and nobody sends anything more.
        _ = self.flow.release_capacity(count);
    }

    /// The trailers behind the last of the bytes, where there are any.
    pub(super) async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        poll_fn(|cx| lock(&self.inbox).poll_trailers(cx)).await
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let mut inbox = lock(&self.inbox);
        inbox.is_left = true;
        inbox.intake.take().iter().for_each(Waker::wake_by_ref);
    }
}

impl Inbox {
    fn push(&mut self, chunk: Bytes) {
        if self.front.is_empty() && self.back.is_empty() {
            self.front = chunk;
        } else {
            self.back.extend_from_slice(&chunk);
        }
    }

    /// Takes what there is; nothing once all has been read that comes.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let next = if self.front.is_empty() { mem::take(&mut self.back).freeze() } else { mem::take(&mut self.front) };
        match &mut self.end {
            _ if !next.is_empty() => Poll::Ready(Ok(next)),
            Some(End::Well(_)) => Poll::Ready(Ok(next)),
            Some(End::Badly(error)) => Poll::Ready(Err(mem::replace(error, io::ErrorKind::ConnectionReset.into()))),
            None => self.wait(cx),
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.end {
            Some(End::Well(_)) => Poll::Ready(Ok(())),
            Some(End::Badly(error)) => Poll::Ready(Err(error.kind().into())),
            None => self.wait(cx),
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<HeaderMap>>> {
        match &mut self.end {
            Some(End::Well(trailers)) => Poll::Ready(Ok(trailers.take())),
            Some(End::Badly(error)) => Poll::Ready(Err(mem::replace(error, io::ErrorKind::ConnectionReset.into()))),
            None => self.wait(cx),
        }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        note(&mut self.reader, cx);
        Poll::Pending
    }
}

/// Notes whom to wake.
fn note(waker: &mut Option<Waker>, cx: &mut Context<'_>) {
    if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}

impl Intake {
    /// Moves all that has come.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbox = lock(&self.inbox);
        while !inbox.is_left && inbox.end.is_none() {
            match poll_next(&mut self.stream, cx) {
                Poll::Ready(Ok(chunk)) => inbox.push(chunk),
                Poll::Ready(Err(end)) => inbox.end = Some(end),
                Poll::Pending => {
                    note(&mut inbox.intake, cx);
                    return Poll::Pending;
                }
            }
            inbox.reader.take().iter().for_each(Waker::wake_by_ref);
        }
        Poll::Ready(())
    }
}

/// What comes next, or how it has ended.
fn poll_next(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
    let badly = |error| End::Badly(failed(error));
    match ready!(stream.poll_data(cx)) {
        Some(chunk) => Poll::Ready(chunk.map_err(badly)),
        None => stream.poll_trailers(cx).map(|trailers| Err(trailers.map_or_else(badly, End::Well))),
    }
}

impl Future for Intake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_move(cx)
    }
}

/// Its connection is over: nothing comes any more, and what has come is left to whoever reads it.
impl Drop for Intake {
    fn drop(&mut self) {
        if self.poll_move(&mut Context::from_waker(Waker::noop())).is_pending() {
            let mut inbox = lock(&self.inbox);
            inbox.end = Some(End::Badly(io::ErrorKind::ConnectionAborted.into()));
            inbox.reader.take().iter().for_each(Waker::wake_by_ref);
        }
    }
}
