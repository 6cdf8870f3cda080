//! A client's connection of HTTP/2: gives its requests, and moves the frames of all its streams while it is waited for them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::head::Limits;
use super::super::stream::Socket;
use super::input::{Input, Intake};
use super::meter::BURST;
use super::metered::{Count, Metered};
use super::served::{Served, Serving};
use super::stream::Stream;
use super::{ALL_WINDOWS, SENDING, STREAMS, UNTAKEN, WINDOW};

/// Beside what a head may weigh by our count, each of its fields weighs 32 bytes by that of HTTP/2 (RFC 9113 §6.5.2). What is larger still
/// is answered 431 before it gets here.
const FIELD: usize = 32;
/// Streams that a client resets before they have got here. The count of its frames bounds them, and a turn how many get there at once.
const RESETS: usize = BURST as usize;
/// Streams that were reset from here: so many are remembered,
const REMEMBERED: usize = 1000;
/// for so long, as the client may not have heard of it and sends on. What comes for others is an error of its own,
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// of which a client may make so many in a connection's life, as with requests that are malformed by HTTP/2's own rules. The answer to each
/// waits to be sent.
const ERRORS: usize = 10_000;

/// A connection.
pub struct Connection {
    inner: server::Connection<Metered, Bytes>,
    /// Of the streams of which more may come.
    intakes: FuturesUnordered<Intake>,
    count: Count,
    served: Arc<Served>,
    /// Since when there has been no stream.
    quiet: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// What has come of a connection.
pub enum Next {
    /// A request, and its stream.
    Request(Box<(Request<()>, Stream)>),
    /// Its end.
    Over,
    /// It has broken the protocol, as told.
    Broken(h2::Error),
    /// It sends more frames that carry nothing than anybody needs.
    Flooded,
    /// The head of a request has not come in time.
    Late,
    /// There have been no streams for as long as there may be none.
    Idle,
}

/// How long a connection may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Over the head of a request.
    pub head: Duration,
    /// Without a stream.
    pub idle: Duration,
}

impl Connection {
    /// Begins on a connection of which `early` has been read: it has to say the preface. The deadline is the caller's.
    ///
    /// # Errors
    /// The client has gone, or says something else.
    pub async fn begin(socket: Socket, early: Vec<u8>, limits: Limits) -> Result<Self, h2::Error> {
        let (metered, count) = Metered::new(socket, early);
        let list = limits.max_head.saturating_add(limits.max_headers.saturating_mul(FIELD));
        let inner = server::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(ALL_WINDOWS)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(RESETS)
            .max_concurrent_reset_streams(REMEMBERED)
            .reset_stream_duration(HEARD_WITHIN)
            .max_local_error_reset_streams(Some(ERRORS))
            .max_send_buffer_size(SENDING)
            .data_frame_budget(UNTAKEN)
            .enable_connect_protocol()
            .handshake(metered)
            .await?;
        Ok(Self {
            inner,
            intakes: FuturesUnordered::new(),
            count,
            served: Arc::default(),
            quiet: None,
            timer: Box::pin(sleep_until(Instant::now())),
        })
    }

    /// Waits for what comes next. All streams stand still unless somebody does.
    ///
    /// Cancel-safe.
    pub async fn next(&mut self, patience: Patience) -> Next {
        poll_fn(|cx| self.poll(cx, patience)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, patience: Patience) -> Poll<Next> {
        loop {
            match self.inner.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let (request, stream, intake) = parted(request, respond, self.served.begin());
                    self.intakes.push(intake);
                    return Poll::Ready(Next::Request(Box::new((request, stream))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Broken(error)),
                Poll::Ready(None) => return Poll::Ready(Next::Over),
                Poll::Pending => {}
            }
            while let Poll::Ready(Some(())) = self.intakes.poll_next_unpin(cx) {}
            let (is_flooded, is_turn_over, head) = {
                let mut meter = self.count.lock();
                (meter.is_flooded(), meter.begin_turn(), meter.due(patience.head).map(Instant::from_std))
            };
            if is_flooded {
                return Poll::Ready(Next::Flooded);
            }
            if is_turn_over {
                continue;
            }
            self.quiet = if self.served.is_none(cx) { self.quiet.or_else(|| Some(Instant::now())) } else { None };
            let idle = self.quiet.map(|since| since + patience.idle);
            let Some(due) = head.into_iter().chain(idle).min() else { return Poll::Pending };
            if due <= Instant::now() {
                return Poll::Ready(if head == Some(due) { Next::Late } else { Next::Idle });
            }
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Tells the client to open no more streams here; those that are open go on, and the connection ends with the last of them.
    pub fn retire(&mut self) {
        // It has some time to end by itself.
        self.quiet = None;
        self.inner.graceful_shutdown();
    }

    /// Ends the connection with all its streams, and tells the client why. The deadline is the caller's.
    pub async fn cut(&mut self, reason: Reason) {
        self.inner.abrupt_shutdown(reason);
        // Whether it has been told is all the same now.
        _ = poll_fn(|cx| self.inner.poll_closed(cx)).await;
    }
}

fn parted(request: Request<RecvStream>, respond: SendResponse<Bytes>, serving: Serving) -> (Request<()>, Stream, Intake) {
    let (parts, body) = request.into_parts();
    let (input, intake) = Input::of(body);
    let stream = Stream::new(respond, input, &parts.method, serving);
    (Request::from_parts(parts, ()), stream, intake)
}
