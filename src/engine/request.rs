//! Ordinary requests: a connection whose request asks for an answer is conducted from one request to the next, until it ends or upgrades.

use std::time::{Duration, Instant, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::time::{Instant as Moment, timeout_at};

use crate::observe::event::Event;
use crate::stage::Refusal;
use crate::stage::refusal::OVERLOADED;
use crate::wire::linger::linger;
use crate::wire::stream::Socket;

use super::connection::Admitted;
use super::door::{Door, LINGER};
use super::exchange::Over;
use super::task::Established;
use super::visit::{Stop, Visit, refused};

/// How long a client may wait between two requests.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Read at first of a request that is awaited; the usual head fits.
const CHUNK: usize = 1024;

impl Visit {
    /// A request has been let in that asks for an answer. It gets one, and so does each behind it, judged from its start by the gateway
    /// in force then; one that upgrades is the last.
    pub(super) async fn serve(mut self: Box<Self>) -> Option<Established> {
        self.handshake = None;
        loop {
            // Apart, so that a connection between two requests does not hold the place of one.
            let over = Box::pin(self.answer_in_full()).await;
            let admitted = match over {
                Ok(Over::Kept(socket, early)) => self.next(socket, early).await,
                Ok(Over::Closes(socket)) => {
                    self.show_out(socket).await;
                    return None;
                }
                Ok(Over::Answered | Over::Cut) => return None,
                Err(stop) => Err(stop),
            };
            self.report_findings();
            match admitted {
                Ok(Admitted::Plain) => self.handshake = None,
                Ok(Admitted::Live(backend)) => return self.go_live(backend),
                Err(stop) => {
                    self.turn_away(stop).await;
                    return None;
                }
            }
        }
    }

    /// The client has its answer, and knows that it is the last.
    async fn show_out(mut self: Box<Self>, socket: Socket) {
        self.holdings.release();
        if let Some(_courtesy) = self.worker.courtesy.enter() {
            linger(socket, LINGER).await;
        }
    }

    /// The next request of the connection, of which `early` is read already, is awaited, read and judged. Nothing is left of the one
    /// before.
    async fn next(&mut self, socket: Socket, early: Vec<u8>) -> Result<Admitted, Stop> {
        self.door = Door::Unread(socket);
        (self.asked, self.route, self.client, self.shared, self.terms) = (None, None, None, None, None);
        self.greeted = None;
        self.id = rand::random();
        self.disbelieve();
        let early = self.await_request(early).await?;
        self.began = Instant::now();
        self.gateway = self.worker.shared.gateway.load_full();
        self.listener = self.gateway.listeners.get(&self.peer.listener).cloned().ok_or(Stop::Gone)?;
        if self.listener.tls.is_some() != self.peer.tls.is_some() {
            return Err(Stop::Gone);
        }
        self.handshake = Some(self.gateway.handshakes.enter().ok_or_else(|| refused(Refusal::new(OVERLOADED).rule("max_handshakes")))?);
        let parts = self.read_request(early).await?;
        self.come_in(parts).await
    }

    /// Waits for the first bytes of a request; an empty line before it is passed over, as some clients send one behind a body (RFC 9112
    /// §2.2). Nobody is told who lets that go by.
    async fn await_request(&mut self, mut early: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let Door::Unread(socket) = &mut self.door else { return Err(Stop::Gone) };
        let (until, mut empty_line) = (Moment::now() + KEEP_ALIVE, &b"\r\n"[..]);
        loop {
            if early.starts_with(empty_line) {
                early.drain(..empty_line.len());
                empty_line = b"";
            }
            if !empty_line.starts_with(&early) {
                return Ok(early);
            }
            early.reserve(CHUNK);
            let read = tokio::select! {
                biased;
                read = timeout_at(until, socket.read_buf(&mut early)) => read,
                () = self.worker.drain_begins() => return Err(Stop::Gone),
            };
            if !matches!(read, Ok(Ok(1..))) {
                return Err(Stop::Gone);
            }
        }
    }

    /// Whether the connection may go on behind this answer, as far as the gateway can tell.
    pub(super) fn may_go_on(&self) -> bool {
        let lifetime = self.route.as_ref().and_then(|route| route.times.lifetime);
        let age = SystemTime::now().duration_since(self.peer.accepted).unwrap_or_default();
        !self.worker.is_draining() && lifetime.is_none_or(|lifetime| age < lifetime)
    }

    /// The one place where an ordinary request that was let in is logged.
    pub(super) fn report_request(&self, method: &str, status: Option<u16>, cut: Option<&Refusal>, upstream: Option<&str>) {
        let Some(client) = self.client() else { return };
        let duration = self.began.elapsed();
        self.worker.observer().report(&Event::Request { client, method, status, cut, upstream, duration });
    }
}
