//! A connection of HTTP/2: each of its streams is a visit of its own, and a connection to everything behind the door.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use h2::Reason;
use http::Method;
use http::request::Parts;
use tokio::time::{Instant as Moment, timeout, timeout_at};

use crate::gateway::Gateway;
use crate::gateway::admission::Against;
use crate::gateway::listener::Listener;
use crate::stage::refusal::{HANDSHAKE_TIMEOUT, PROTOCOL_ERROR};
use crate::stage::slots::Slots;
use crate::stage::{Peer, Refusal};
use crate::wire::h2::STREAMS;
use crate::wire::h2::connection::{Connection, Next, Patience};
use crate::wire::h2::request::{self, Extended};
use crate::wire::h2::stream::Stream;
use crate::wire::handshake::Exchange;
use crate::wire::stream::Socket;

use super::connection::Admitted;
use super::door::{Door, LINGER};
use super::live::Carrier;
use super::request::KEEP_ALIVE;
use super::task::Task;
use super::visit::{Stop, Visit, refused};

impl Visit {
    /// Conducts a connection of HTTP/2, of which `early` has been read, for as long as it has streams or may have new ones.
    pub(super) async fn multiplex(mut self: Box<Self>, early: Vec<u8>) {
        let Some(socket) = self.door.take_unread() else { return };
        let deadline = Moment::from_std(self.began) + self.listener.handshake_timeout;
        let begun = tokio::select! {
            begun = timeout_at(deadline, Connection::begin(socket, early, self.listener.head)) => begun,
            // Nobody has asked for anything yet.
            () = self.worker.drain_begins() => return,
        };
        let over = match begun {
            Ok(Ok(connection)) => self.serve_streams(connection).await,
            Ok(Err(_)) => None,
            Err(_) => Some(Refusal::new(HANDSHAKE_TIMEOUT).rule("the preface of HTTP/2 did not come in time")),
        };
        if let Some(refusal) = over {
            self.turn_away(refused(refusal)).await;
        }
    }

    /// Has every stream visit. Gives what the connection was cut off for, which its client has been told as HTTP/2 can say it.
    async fn serve_streams(&mut self, mut connection: Connection) -> Option<Refusal> {
        // One that a client has reset is over for it, and what was begun for it may not be.
        let turns = Arc::new(Slots::new(Some(STREAMS as usize)));
        let carrier = Arc::<Carrier>::default();
        self.carrier = Some(carrier.clone());
        let worker = self.worker.clone();
        let mut drain = pin!(worker.drain_begins());
        let head = self.listener.handshake_timeout;
        // Until it asks for something it is in its handshake, as any connection.
        let mut patience = Patience { head, idle: head.saturating_sub(self.began.elapsed()) };
        let (mut is_asked, mut is_retired) = (false, false);
        loop {
            let next = tokio::select! {
                biased;
                () = drain.as_mut(), if !is_retired => None,
                next = connection.next(patience) => Some(next),
            };
            let is_last = match next {
                None => true,
                Some(Next::Request(request)) => {
                    if !std::mem::replace(&mut is_asked, true) {
                        self.handshake = None;
                        patience.idle = if is_retired { LINGER } else { KEEP_ALIVE };
                    }
                    let (request, stream) = *request;
                    let is_welcome = self.take_stream(request.into_parts().0, stream, &turns);
                    // One too many is read for the sake of probes, and no more than once.
                    !is_welcome || self.spare.is_some()
                }
                Some(Next::Idle) if is_retired => return None,
                Some(Next::Idle) if is_asked => true,
                Some(Next::Over) => return None,
                Some(Next::Broken(error)) => {
                    let refusal = error.is_library().then(|| Refusal::new(PROTOCOL_ERROR).rule(format!("HTTP/2: {error}")));
                    refusal.iter().for_each(|refusal| carrier.cut(refusal));
                    return refusal;
                }
                Some(Next::Flooded) => {
                    let refusal = Refusal::new(PROTOCOL_ERROR).rule("HTTP/2: more frames that carry nothing than anybody needs");
                    carrier.cut(&refusal);
                    _ = timeout(LINGER, connection.cut(Reason::ENHANCE_YOUR_CALM)).await;
                    return Some(refusal);
                }
                Some(Next::Idle | Next::Late) => {
                    let refusal = Refusal::new(HANDSHAKE_TIMEOUT);
                    carrier.cut(&refusal);
                    _ = timeout(LINGER, connection.cut(Reason::NO_ERROR)).await;
                    return Some(refusal);
                }
            };
            if is_last && !is_retired {
                (is_retired, patience.idle) = (true, LINGER);
                connection.retire();
            }
        }
    }

    /// A stream is opened by a request. Says whether there may be more: the listener may have been edited away from under the connection.
    fn take_stream(&mut self, mut parts: Parts, stream: Stream, turns: &Arc<Slots>) -> bool {
        let Some(force) = self.in_force() else {
            stream.decline();
            return false;
        };
        let Some(turn) = turns.enter() else {
            stream.decline();
            return true;
        };
        let has_body = stream.has_body();
        let mut visit = Box::new(self.visitor(force, stream, parts.method == Method::HEAD));
        tokio::spawn(Task::new(async move {
            let _turn = turn;
            let admitted = match request::settle(&mut parts, has_body, visit.listener.head) {
                Ok(()) => visit.admit_stream(parts).await,
                Err(refusal) => Err(refusal.into()),
            };
            visit.proceed(admitted).await
        }));
        true
    }

    /// The listener as it is in force, where it still speaks as it did when the connection began.
    fn in_force(&self) -> Option<(Arc<Gateway>, Arc<Listener>)> {
        let gateway = self.worker.shared.gateway.load_full();
        let listener = gateway.listeners.get(&self.peer.listener).cloned()?;
        (listener.http2 && listener.tls.is_some() == self.peer.tls.is_some()).then_some((gateway, listener))
    }

    /// Whoever comes over a stream of this connection: what was learned of that holds for all, and its greeting for the first.
    fn visitor(&mut self, force: (Arc<Gateway>, Arc<Listener>), stream: Stream, is_head: bool) -> Self {
        let peer = Peer { accepted: SystemTime::now(), http2: true, ..self.peer.clone() };
        let door = Door::Asked(Box::new(Exchange::resumed(Socket::Stream(Box::new(stream)), Vec::new(), is_head)));
        let against = Against { unwelcome: self.against.unwelcome.take(), full: self.against.full.clone() };
        let visitor = Self::new(self.worker.take_load(), force, peer, door);
        Self { carrier: self.carrier.clone(), way: self.way.clone(), greeted: self.greeted.take(), against, spare: self.spare, ..visitor }
    }

    /// A WebSocket over a stream takes a connection's place beside that of its connection, or HTTP/2 would be a way around the limit.
    async fn admit_stream(&mut self, parts: Parts) -> Result<Admitted, Stop> {
        if self.against.full.is_none() {
            let takes_place = parts.extensions.get::<Extended>().is_some();
            self.against.full = self.take_places(takes_place).err().map(|limit| self.overload(limit));
        }
        self.come_in(parts).await
    }
}
