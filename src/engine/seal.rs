//! TLS on the way in: on a listener that has it, what a client asks for is read from within it.

use tokio::time::{Instant, timeout_at};

use crate::stage::Refusal;
use crate::stage::refusal::HANDSHAKE_TIMEOUT;
use crate::stage::tls::Tls;
use crate::wire::head::Unread;
use crate::wire::stream::Socket;
use crate::wire::tls::accept;

use super::door::Door;
use super::visit::{Stop, Visit, refused};

impl Visit {
    /// The socket is accepted, and `early` read of it. Where the listener speaks TLS, its handshake has what there is of
    /// `handshake_timeout`, and the head what it leaves. Gives what has been read of the head.
    pub(super) async fn begin_tls(&mut self, mut early: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let Some(tls) = self.listener.tls.clone() else { return Ok(early) };
        let Some(Socket::Plain(tcp)) = self.door.unread() else { return Err(Stop::Gone) };
        let deadline = Instant::from_std(self.began) + self.listener.handshake_timeout;
        let begun = tokio::select! {
            begun = timeout_at(deadline, accept::hello(tcp, &mut early)) => begun,
            // Nobody has asked for anything yet.
            () = self.worker.drain_begins() => return Err(Stop::Gone),
        };
        match begun {
            Ok(Ok(())) => {}
            Ok(Err(Unread::Refused(refusal))) => {
                // What speaks plain HTTP is answered so; to all else there is nothing to say.
                if refusal.outcome.status.is_some()
                    && let Some(socket) = self.door.take_unread()
                {
                    self.door = Door::Unread(socket);
                }
                return Err(refusal.into());
            }
            Ok(Err(Unread::Nothing | Unread::Cut)) | Err(_) => return Err(Stop::Gone),
        }
        let Some(Socket::Plain(tcp)) = self.door.take_unread() else { return Err(Stop::Gone) };
        match timeout_at(deadline, accept::accept(tls.config.clone(), tcp, early)).await {
            Ok(Ok((socket, facts))) => {
                self.peer.tls = Some(Tls { trusted_by: tls.authorities(), ..facts }.into());
                self.way.secure = true;
                self.door = Door::Unread(socket);
                Ok(Vec::new())
            }
            Ok(Err((refusal, tcp))) => {
                self.door = Door::Sealed(Socket::Plain(tcp));
                Err(refusal.into())
            }
            Err(_) => Err(refused(Refusal::new(HANDSHAKE_TIMEOUT).rule("TLS did not come about in time"))),
        }
    }
}
