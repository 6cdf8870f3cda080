//! A connection's task: its handshake, and in its place then its session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::wire::relay::Relay;
use crate::wire::stream::Socket;
use crate::wire::terminal::Terminal;

use super::live::Live;

/// A connection that is open.
pub(super) enum Established {
    /// Between its client and a server.
    Relay(Live<Relay<Socket, Socket>>),
    /// Answered by the gateway itself.
    Own(Live<Terminal<Socket>>),
}

/// A connection, from when it is accepted to its end. All of the handshake is dropped before the session begins, which needs no task of
/// its own then.
#[expect(clippy::large_enum_variant, reason = "a handshake is short, and a session takes its place")]
pub(super) enum Task {
    /// Boxed: it is several KiB, most of it room for what few go through.
    Handshake(Pin<Box<dyn Future<Output = Option<Established>> + Send>>),
    /// It has its 101.
    Session(Established),
}

impl Task {
    /// A connection that becomes live by this handshake, or is turned away in it.
    pub(super) fn new(handshake: impl Future<Output = Option<Established>> + Send + 'static) -> Self {
        Self::Handshake(Box::pin(handshake))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Self::Handshake(handshake) => match ready!(handshake.as_mut().poll(cx)) {
                    Some(established) => self.set(Self::Session(established)),
                    None => return Poll::Ready(()),
                },
                Self::Session(Established::Relay(live)) => return Pin::new(live).poll(cx),
                Self::Session(Established::Own(live)) => return Pin::new(live).poll(cx),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runtime puts 104 bytes around what it runs, and rounds up to 128: one more here is 128 more of every connection.
    #[test]
    fn the_task_of_a_connection_takes_640_bytes() {
        // With assertions on, each socket says whose it is.
        let said = if cfg!(debug_assertions) { 2 * size_of::<usize>() } else { 0 };
        let size = size_of::<Task>() - said;
        assert!(size + 104 <= 640, "{size} bytes");
    }
}
