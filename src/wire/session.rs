//! A session: a live connection after its handshake, however it is answered.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::stage::refusal::OVERLOADED;
use crate::stage::{Client, Ending, Inspector, Message, Refusal, Secret, Side};

use super::budget::Budget;
use super::outbox::Outbox;
use super::terminal::Responder;
use super::tick::{Tick, Ticks};

/// What a session says while it is polled.
#[derive(Debug)]
pub enum Said<'a> {
    /// It ends by this refusal; how the client is told of it may still be shaped.
    Refused(&'a mut Refusal),
    /// A rule in report mode would have ended it.
    WouldRefuse(&'a Refusal),
    /// Messages or control frames were left out.
    LeftOut {
        /// For breaking this rule.
        why: &'a Refusal,
        /// How many.
        count: u64,
        /// Whether this rule has left out nothing of this connection's before.
        is_first: bool,
    },
    /// The client has shown a credential that its identity is to be renewed by.
    Renews {
        /// The stage that is to do so.
        stage: &'a Arc<str>,
        /// The credential.
        credential: &'a Secret,
    },
}

/// Who hears what a session says.
pub type Tell<'a> = &'a dyn Fn(Said<'_>);

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

    /// Sends the client a message of the gateway's own, as soon as no message toward it is open; the next poll does. Without effect
    /// where the connection is ending.
    fn say(&mut self, message: &Message<'_>, now: Tick);

    /// Queues a ping of the gateway's own where that leg is quiet: at a frame boundary, nothing waiting to be sent, no ping
    /// unanswered, not ending. Says whether; the next poll sends it.
    fn ping(&mut self, side: Side, now: Tick) -> bool;

    /// It has lasted: what few connections live to need of their sockets is set up now.
    fn lasts(&self) {}

    /// Signs of life of one side; none where there is no such side.
    fn activity(&self, side: Side) -> Option<Activity>;

    /// When to poll next though no socket is ready; only an ending has deadlines.
    fn deadline(&self) -> Option<Tick>;

    /// When a message must have ended that an edit has caught in the middle, as it wants messages read that go on as they come.
    fn overdue(&self) -> Option<Tick>;

    /// When to poll next for a frame that an inspector holds. Ticks are too coarse for it.
    fn held_until(&self) -> Option<Instant>;

    /// Gives up its inspectors, for those that stay to be adopted again before it is polled next.
    fn inspectors(&mut self) -> Vec<Inspector>;

    /// Goes by these rules from the next frame's head on; who reads messages, from the next message on. One that goes on already has
    /// `close_timeout` to end, or ends the connection.
    fn adopt(&mut self, rules: Rules, now: Tick);
}

/// What a live session goes by, and an edit of the config may change.
pub struct Rules {
    /// From now on; an ending that has begun keeps its time.
    pub limits: Limits,
    /// Asked at each frame's head, or shown each message, in this order.
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
    /// What it may take.
    pub limits: Limits,
    /// Whether both handshakes agreed on permessage-deflate.
    pub compression: bool,
    /// Asked at each frame's head, or shown each message, in this order.
    pub inspectors: Vec<Inspector>,
    /// What all connections may hold.
    pub budget: Arc<Budget>,
}

/// What a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message of each side, in payload bytes on the wire.
    pub max_message: MaxMessage,
    /// How long a peer may take over its part of an ending.
    pub close_timeout: Ticks,
    /// How many bytes of the gateway's own messages may wait for a peer before nothing more is read that adds to them.
    pub send_queue: usize,
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
    pub send_queue: usize,
    /// Whose messages somebody reads: the client's, the backend's.
    reads: [bool; 2],
    /// Whether the client's next message is the one that it was let in by.
    pub is_first_to_come: bool,
    /// What inspectors have said.
    pub outbox: Outbox,
    /// What all connections may hold.
    pub budget: Arc<Budget>,
}

/// A connection wants to hold more than is left for all.
pub(super) fn over_budget() -> Box<Refusal> {
    Box::new(Refusal::new(OVERLOADED).rule("max_buffered"))
}

impl Terms {
    /// Goes by these from now on.
    pub(super) fn adopt(&mut self, rules: Rules) {
        (self.close_timeout, self.send_queue) = (rules.limits.close_timeout, rules.limits.send_queue);
        (self.reads, self.inspectors) = (read_by(&rules.inspectors), rules.inspectors.into());
    }

    /// Whether somebody reads the messages of this side.
    pub(super) fn reads(&self, from: Side) -> bool {
        let [client, upstream] = self.reads;
        if from == Side::Client { client } else { upstream }
    }
}

impl From<Settings> for Terms {
    fn from(settings: Settings) -> Self {
        let Settings { client, inspectors, limits: Limits { close_timeout, send_queue, .. }, budget, .. } = settings;
        let reads = read_by(&inspectors);
        Self {
            client,
            inspectors: inspectors.into(),
            close_timeout,
            send_queue,
            reads,
            is_first_to_come: false,
            outbox: Outbox::default(),
            budget,
        }
    }
}

fn read_by(inspectors: &[Inspector]) -> [bool; 2] {
    [Side::Client, Side::Upstream].map(|side| inspectors.iter().any(|inspector| inspector.reads(side)))
}

/// The most turns one poll takes before it lets other connections run.
pub(super) const TURNS: usize = 64;
