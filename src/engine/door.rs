//! The door: how far a client has come in, which is how it can be told no.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::observe::event::Told;
use crate::stage::refusal::CLIENT_LOST;
use crate::stage::{Client, Refusal};
use crate::wire::answers;
use crate::wire::handshake::Exchange;
use crate::wire::leg::Leg;
use crate::wire::linger::linger;
use crate::wire::session::{Limits, MaxMessage, Session, Settings};
use crate::wire::stream::Stream;
use crate::wire::terminal::{Silent, Terminal};
use crate::wire::tick::TICK;

use super::visit::{Stop, refused as stopped};
use super::worker::Worker;

/// How long a client that was refused over HTTP may take to close.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// A client on its way in.
pub(super) enum Door<C: Stream> {
    /// It has to begin with TLS, and has not ended its handshake: there is nothing to tell it anything over.
    Sealed(C),
    /// Its request is not read.
    Unread(C),
    /// Its request waits for an answer.
    Asked(Box<Exchange<C>>),
    /// It has been answered 101.
    Open(Leg<C>),
    /// It has gone.
    Gone,
}

impl<C: Stream> Door<C> {
    /// Answers 101: from here on a refusal is a Close frame. A door that is open already stays as it is.
    ///
    /// # Errors
    /// The client has gone, or does not take the answer in time.
    pub(super) async fn open(&mut self, switching: impl FnOnce() -> Response<Bytes>, within: Duration) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Asked(exchange) => {
                let (io, early) = timeout(within, exchange.answer(switching())).await??;
                Self::Open(Leg::new(io, early))
            }
            other => other,
        };
        Ok(())
    }

    /// Does this while the client is there.
    ///
    /// # Errors
    /// It has gone meanwhile, and nothing more is done. What it has sent is kept, within a bound behind which nobody looks.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            done = work => return Ok(done),
            () = self.is_left() => {}
        }
        *self = Self::Gone;
        Err(stopped(Refusal::new(CLIENT_LOST)))
    }

    async fn is_left(&mut self) {
        match self {
            Self::Asked(exchange) => exchange.is_left().await,
            Self::Open(leg) => leg.is_left().await,
            Self::Sealed(_) | Self::Unread(_) | Self::Gone => pending().await,
        }
    }

    /// The connection, of which no request is read.
    pub(super) fn unread(&mut self) -> Option<&mut C> {
        match self {
            Self::Sealed(io) | Self::Unread(io) => Some(io),
            _ => None,
        }
    }

    /// Takes the connection out, of which no request is read.
    pub(super) fn take_unread(&mut self) -> Option<C> {
        match std::mem::replace(self, Self::Gone) {
            Self::Sealed(io) | Self::Unread(io) => Some(io),
            _ => None,
        }
    }

    /// The client's leg, once the door is open.
    pub(super) fn leg(&mut self) -> Option<&mut Leg<C>> {
        match self {
            Self::Open(leg) => Some(leg),
            _ => None,
        }
    }

    /// Takes the client's leg out.
    pub(super) fn take_leg(&mut self) -> Option<Leg<C>> {
        match std::mem::replace(self, Self::Gone) {
            Self::Open(leg) => Some(leg),
            _ => None,
        }
    }

    /// Whether a request of HTTP/2 waits for its answer.
    fn is_multiplexed(&mut self) -> bool {
        if let Self::Asked(exchange) = self { exchange.is_multiplexed() } else { false }
    }

    /// How a client at this door is told of a refusal.
    pub(super) fn tells(&mut self, refusal: &Refusal) -> Told {
        if self.is_multiplexed() {
            return answers::status_over_h2(refusal).map_or(Told::Nothing, Told::Status);
        }
        match self {
            Self::Unread(_) | Self::Asked(_) => refusal.status().map_or(Told::Nothing, Told::Status),
            Self::Open(_) => refusal.close_code().map_or(Told::Nothing, Told::Code),
            Self::Sealed(_) | Self::Gone => Told::Nothing,
        }
    }

    /// Answers over HTTP, as bytes where its request was never parsed, and shows the client out; without a word where TLS has not come
    /// about, but so that an alert gets there.
    pub(super) async fn answer(self, raw: impl FnOnce() -> Vec<u8>, response: impl FnOnce() -> Response<Bytes>, within: Duration) {
        let answered = match self {
            Self::Sealed(io) => Ok(Ok(io)),
            Self::Unread(mut io) => timeout(within, io.write_all(&raw())).await.map(|written| written.map(|()| io)),
            Self::Asked(exchange) => timeout(within, exchange.answer(response())).await.map(|answered| answered.map(|(io, _)| io)),
            Self::Open(_) | Self::Gone => return,
        };
        if let Ok(Ok(mut io)) = answered
            && io.multiplexed().is_none_or(|stream| stream.is_sent_a_body())
        {
            linger(io, LINGER).await;
        }
    }
}

impl<C: Stream> Door<C> {
    /// Tells a refused client, in the way it can still be told, and ends the connection.
    pub(super) async fn refuse(
        mut self,
        refusal: Box<Refusal>,
        client: Option<Client>,
        worker: &Worker,
        within: Duration,
        close: Duration,
    ) {
        let Some(leg) = self.take_open() else {
            let refused = if self.is_multiplexed() { answers::refusal_over_h2 } else { answers::refusal };
            return self.answer(|| answers::raw(&refusal), || refused(&refusal), within).await;
        };
        let Some(client) = client else { return };
        let settings = Settings {
            client: Arc::new(client),
            limits: Limits { max_message: MaxMessage { client: 0, upstream: 0 }, close_timeout: close.into(), send_queue: 0 },
            compression: false,
            inspectors: Vec::new(),
            budget: worker.shared.gateway.load().budget.clone(),
        };
        let mut session = Terminal::new(leg, Box::new(Silent), None, settings, worker.wheel.now());
        session.end(refusal, worker.wheel.now());
        // A farewell takes seconds at most: not worth a place on the wheel.
        let mut clock = tokio::time::interval(TICK);
        std::future::poll_fn(|cx| {
            while clock.poll_tick(cx).is_ready() {}
            session.poll(cx, worker.wheel.now(), &|_| {}).map(drop)
        })
        .await;
    }

    fn take_open(&mut self) -> Option<Leg<C>> {
        if matches!(self, Self::Open(_)) { self.take_leg() } else { None }
    }
}
