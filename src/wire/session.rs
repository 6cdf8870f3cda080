//! A session: a live connection after its handshake, however it is answered.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::stage::{Client, Ending, Inspector, Refusal, Side};

use super::terminal::Responder;
use super::tick::{Tick, Ticks};

/// Shapes what the client is told of a refusal, or takes note of one that is only reported.
pub type Tell<'a> = &'a dyn Fn(&mut Refusal);

/// A live connection, from the 101 to its end. It owns no timer and no task: its owner polls it when a socket is ready and when
/// [`deadline`](Self::deadline) is due.
pub trait Session: Send {
    /// Moves bytes until the sockets have nothing more to give or take. Ready once, when both sockets are given up; not to be
    /// polled after that.
    ///
    /// A refusal that the session itself comes to, by a broken rule, a limit, an inspector or a lost peer, goes through `tell` before
    /// anybody is told of it; so does one that is only reported, which nobody else is told of.
    fn poll(&mut self, cx: &mut Context<'_>, now: Tick, tell: Tell<'_>) -> Poll<Ending>;

    /// Begins to end the connection with this refusal as it is; the polls that follow carry it out. Does nothing where it is ending
    /// already.
    fn end(&mut self, refusal: Box<Refusal>, now: Tick);

    /// Queues a ping of the gateway's own where that leg is quiet: at a frame boundary, nothing waiting to be sent, no ping
    /// unanswered, not ending. Says whether; the next poll sends it.
    fn ping(&mut self, side: Side, now: Tick) -> bool;

    /// Signs of life of one side; none where there is no such side.
    fn activity(&self, side: Side) -> Option<Activity>;

    /// When to poll next though no socket is ready; only an ending has deadlines.
    fn deadline(&self) -> Option<Tick>;

    /// When to poll next for a frame that an inspector holds. Ticks are too coarse for it.
    fn held_until(&self) -> Option<Instant>;

    /// Gives up its inspectors, for those that stay to be adopted again before it is polled next.
    fn inspectors(&mut self) -> Vec<Inspector>;

    /// Goes by these rules from the next frame's head on.
    fn adopt(&mut self, rules: Rules);
}

/// What a live session goes by, and an edit of the config may change.
pub struct Rules {
    /// The largest message of each side, in payload bytes on the wire.
    pub max_message: MaxMessage,
    /// How long a peer may take over its part of an ending that has not begun.
    pub close_timeout: Ticks,
    /// Asked at each frame's head, in this order.
    pub inspectors: Vec<Inspector>,
    /// What answers from now on, where the gateway answers itself; none leaves it to the one that does.
    pub responder: Option<Box<dyn Responder>>,
}

/// What one side has been doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When it last sent a byte.
    pub received: Tick,
    /// When it last sent a byte of a data frame. Control frames are no activity for `idle`.
    pub data: Tick,
    /// Since when a ping of the gateway's own waits for an answer. Any byte satisfies it; it starts again when a leg that was not
    /// read is read again.
    pub ping: Option<Tick>,
    /// Whether this side is not being read now, because the other does not take what it has sent.
    pub blocked: bool,
    /// Since when bytes have been waiting for this side without one of them being taken.
    pub stalled: Option<Tick>,
}

/// What a session is opened with.
pub struct Settings {
    /// The connection's facts; its counters are kept up as messages pass.
    pub client: Arc<Client>,
    /// The largest message of each side, in payload bytes on the wire.
    pub max_message: MaxMessage,
    /// Whether both handshakes agreed on permessage-deflate.
    pub compression: bool,
    /// How long a peer may take over its part of an ending.
    pub close_timeout: Ticks,
    /// Asked at each frame's head, in this order.
    pub inspectors: Vec<Inspector>,
}

/// The largest message of each side, in payload bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxMessage {
    /// From the client.
    pub client: u64,
    /// From the backend.
    pub upstream: u64,
}

/// What is left of the settings once a session is open.
pub(super) struct Terms {
    pub client: Arc<Client>,
    pub inspectors: Box<[Inspector]>,
    pub close_timeout: Ticks,
    /// What an inspector wants the client told; a later one finds it told already.
    pub notice: Option<Box<str>>,
    /// What inspectors only report, one refusal each, until it is told of.
    pub reports: Vec<Refusal>,
}

impl Terms {
    /// Goes by these from now on.
    pub(super) fn adopt(&mut self, rules: Rules) {
        (self.inspectors, self.close_timeout) = (rules.inspectors.into(), rules.close_timeout);
    }

    /// Tells of what inspectors only report.
    pub(super) fn report(&mut self, tell: Tell<'_>) {
        for mut refusal in std::mem::take(&mut self.reports) {
            tell(&mut refusal);
        }
    }
}

impl From<Settings> for Terms {
    fn from(settings: Settings) -> Self {
        let Settings { client, inspectors, close_timeout, .. } = settings;
        Self { client, inspectors: inspectors.into(), close_timeout, notice: None, reports: Vec::new() }
    }
}

/// The most turns one poll takes before it lets other connections run.
pub(super) const TURNS: usize = 64;
