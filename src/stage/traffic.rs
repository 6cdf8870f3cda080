//! What a stage may see of the traffic: frame heads and messages.

use std::borrow::Cow;
use std::time::Instant;

use crate::config::secret::Secret;

use super::refusal::Refusal;

/// The two ends of a connection through the gateway; `from` a side means sent by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The backend, or the endpoint that answers in its place.
    Upstream,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }
}

/// The kind of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further frame of the message that is open.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// Close.
    Close,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
}

impl Opcode {
    /// Whether frames of this kind may stand between the fragments of a message (RFC 6455 §5.5).
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's head, decoded and checked against RFC 6455 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The frame's kind.
    pub opcode: Opcode,
    /// Whether it is the last frame of its message.
    pub is_final: bool,
    /// Whether its message is compressed (RSV1, RFC 7692 §6).
    pub is_compressed: bool,
    /// Whether it is the first frame of a message; false for control frames.
    pub starts_message: bool,
    /// The payload's length in bytes.
    pub length: u64,
    /// The payload length of the whole message up to and with this frame; `length` for control frames.
    pub message_length: u64,
}

/// A whole message: unmasked, put together, inflated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

impl Message<'_> {
    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The same, for keeping.
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// Text.
impl<'a, T: Into<Cow<'a, str>>> From<T> for Message<'a> {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// How a connection's traffic is to be looked at; the variant is the declaration of depth.
#[derive(Default)]
pub enum Inspect {
    /// Not at all.
    #[default]
    Nothing,
    /// At each frame's head.
    Frames(Box<dyn FrameInspector>),
    /// At each message of the sides that it [reads](MessageInspector::reads): a copy is unmasked, put together, inflated and shown
    /// before any byte of it goes on.
    Messages(Box<dyn MessageInspector>),
}

/// What becomes of a frame that is not refused. In report mode a frame is neither held nor left out; that it would be is reported as
/// [`RATE_LIMITED`](super::refusal::RATE_LIMITED).
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// It goes on.
    Go,
    /// It goes on at this moment and not before. Its side is not read until then, so that whoever sends feels it.
    HoldUntil(Instant),
    /// Its message is left out, all frames of it, while control frames between them pass, for breaking this rule where it has broken
    /// one. A message can be left out at its first frame, a ping or pong by itself; any other frame goes on.
    Skip(Option<Box<Refusal>>),
    /// The same, and the client is sent this text, where no message toward it is open. One such text waits at a time.
    SkipAndTell(Box<str>, Option<Box<Refusal>>),
}

/// Judges one connection's frames by their heads. It belongs to that connection, so counters of its own need no lock.
pub trait FrameInspector: Send {
    /// Called at each data or control frame's head, before any byte of it has gone on.
    ///
    /// # Errors
    /// The refusal that ends the connection.
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>>;
}

/// What becomes of a message that is not refused. In report mode it goes on as it came, and what else would have become of it is
/// reported: by the refusal that it is left out for, where there is one.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes on as it came, byte for byte.
    Pass,
    /// It is left out, for breaking this rule where it has broken one.
    Drop(Option<Box<Refusal>>),
    /// The same, and the side that sent it is sent this, as soon as no message toward it is open.
    Reply(Message<'static>, Option<Box<Refusal>>),
    /// This goes on in its place, in one frame and uncompressed.
    Replace(Message<'static>),
    /// It is left out: it bears the credential that the stage is to renew the client's identity by, see [`Renewal`](super::Renewal). Of
    /// several that come while one is looked at, the last counts. In report mode nothing is renewed.
    Renew(Secret),
}

/// Judges one connection's messages by what they hold. It belongs to that connection, so counters of its own need no lock.
pub trait MessageInspector: Send {
    /// Whether it is shown the messages of this side; asked once. The other side's go on as they come.
    fn reads(&self, _from: Side) -> bool {
        true
    }

    /// Called with each whole message, before any byte of it has gone on.
    ///
    /// # Errors
    /// The refusal that ends the connection.
    fn message(&mut self, from: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>>;
}
