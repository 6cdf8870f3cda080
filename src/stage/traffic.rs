//! What a stage may see of the traffic: frame heads and messages.

use std::time::Instant;

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

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
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
}

/// What becomes of a frame that is not refused. In report mode a frame is neither held nor left out; that it would be is reported as
/// [`RATE_LIMITED`](super::refusal::RATE_LIMITED).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It goes on.
    Go,
    /// It goes on at this moment and not before. Its side is not read until then, so that whoever sends feels it.
    HoldUntil(Instant),
    /// Its message is left out, all frames of it, while control frames between them pass. A message can be left out at its first
    /// frame, a ping or pong by itself; any other frame goes on.
    Skip,
    /// The same, and the client is sent this text, where no message toward it is open. One such text waits at a time.
    SkipAndTell(Box<str>),
}

/// Judges one connection's frames by their heads. It belongs to that connection, so counters of its own need no lock.
pub trait FrameInspector: Send {
    /// Called at each data or control frame's head, before any byte of it has gone on.
    ///
    /// # Errors
    /// The refusal that ends the connection.
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>>;
}
