//! What a peer can do wrong with a frame, and which row of the table that is.

use crate::stage::refusal::{
    MESSAGE_TOO_LARGE, NOT_UTF8, Outcome, PROTOCOL_ERROR, RATE_LIMITED, TOO_MANY_FRAGMENTS, UPSTREAM_MESSAGE_TOO_LARGE, UPSTREAM_NOT_UTF8,
    UPSTREAM_PROTOCOL_ERROR,
};
use crate::stage::{Refusal, Side};

/// A broken rule of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A client's frame must be masked (RFC 6455 §5.1).
    NotMasked,
    /// A backend's frame must not be masked (RFC 6455 §5.1).
    Masked,
    /// A reserved bit that no negotiated extension gives a meaning, or that it allows elsewhere only (RFC 6455 §5.2, RFC 7692 §6).
    ReservedBit,
    /// An opcode nobody has defined (RFC 6455 §5.2).
    ReservedOpcode,
    /// A control frame must not be fragmented (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame has a payload of 125 bytes or less (RFC 6455 §5.5).
    LongControl,
    /// A continuation frame where no message is open (RFC 6455 §5.4).
    NothingToContinue,
    /// A new message inside one that is not finished (RFC 6455 §5.4).
    MessageInMessage,
    /// A length must be written in the fewest bytes (RFC 6455 §5.2).
    LengthNotMinimal,
    /// The highest bit of a 64-bit length must be 0 (RFC 6455 §5.2).
    LengthOver63Bits,
    /// A Close with a payload has at least the two bytes of a code (RFC 6455 §5.5.1).
    CloseCut,
    /// A close code that must not go on the wire (RFC 6455 §7.4).
    CloseCode,
    /// A close reason must be UTF-8 (RFC 6455 §5.5.1).
    CloseReason,
    /// More control frames within a second than [`CONTROL_FRAMES_PER_SECOND`](super::frame::CONTROL_FRAMES_PER_SECOND).
    ControlFlood,
    /// A message over `max_message`.
    MessageTooLarge,
    /// A message in more fragments than [`MAX_FRAGMENTS`](super::message::MAX_FRAGMENTS).
    TooManyFragments,
    /// A text message that is not UTF-8 (RFC 6455 §8.1).
    NotUtf8,
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2).
    NotDeflate,
}

impl Violation {
    /// The words for it in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotMasked => "frame is not masked",
            Self::Masked => "frame is masked",
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControl => "control frame is fragmented",
            Self::LongControl => "control frame over 125 bytes",
            Self::NothingToContinue => "continuation of nothing",
            Self::MessageInMessage => "message inside a message",
            Self::LengthNotMinimal => "length not in its shortest form",
            Self::LengthOver63Bits => "length over 63 bits",
            Self::CloseCut => "close payload of one byte",
            Self::CloseCode => "close code not allowed on the wire",
            Self::CloseReason => "close reason is not UTF-8",
            Self::ControlFlood => "over 200 control frames a second",
            Self::MessageTooLarge => "message over max_message",
            Self::TooManyFragments => "over 131072 fragments",
            Self::NotUtf8 => "text is not UTF-8",
            Self::NotDeflate => "compressed data is corrupt",
        }
    }

    /// The row for it. A client's flood breaks no rule of RFC 6455, so it is told 1008 (policy) and not 1002; of a backend only
    /// the rows that blame it say who must act.
    fn outcome(self, from: Side) -> Outcome {
        match (self, from) {
            (Self::MessageTooLarge, Side::Client) => MESSAGE_TOO_LARGE,
            (Self::MessageTooLarge, Side::Upstream) => UPSTREAM_MESSAGE_TOO_LARGE,
            (Self::ControlFlood, Side::Client) => RATE_LIMITED,
            (Self::TooManyFragments, Side::Client) => TOO_MANY_FRAGMENTS,
            (Self::NotUtf8, Side::Client) => NOT_UTF8,
            (Self::NotUtf8, Side::Upstream) => UPSTREAM_NOT_UTF8,
            (_, Side::Client) => PROTOCOL_ERROR,
            (_, Side::Upstream) => UPSTREAM_PROTOCOL_ERROR,
        }
    }

    /// The refusal that ends the connection over it; the broken rule is named for the log.
    pub fn refusal(self, from: Side) -> Box<Refusal> {
        Box::new(Refusal::new(self.outcome(from)).rule(self.as_str()))
    }
}
