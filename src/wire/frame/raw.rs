//! A frame's head as its bytes have it (RFC 6455 §5.2), before any rule is held against it.

use crate::stage::Opcode;

const FINAL: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What the bytes of a head say.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct RawHead {
    first: u8,
    /// The key that the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload.
    pub length: u64,
    /// The bytes the head takes.
    pub size: usize,
}

impl RawHead {
    /// The head that these bytes begin with; none where it is not whole.
    pub(in crate::wire) fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (length, rest) = match second & LENGTH {
            126 => rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?,
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
            short => (short.into(), rest),
        };
        let (mask, rest) = match second & MASKED {
            0 => (None, rest),
            _ => rest.split_first_chunk().map(|(key, rest)| (Some(*key), rest))?,
        };
        Some(Self { first: *first, mask, length, size: bytes.len() - rest.len() })
    }

    /// The kind of the frame; none where the opcode is reserved.
    pub(super) fn opcode(&self) -> Option<Opcode> {
        Some(match self.first & OPCODE {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_final(&self) -> bool {
        self.first & FINAL != 0
    }

    /// Whether the bit is set that permessage-deflate gives a meaning.
    pub(super) fn has_rsv1(&self) -> bool {
        self.first & RSV1 != 0
    }

    /// Whether a bit is set that nothing gives a meaning.
    pub(super) fn has_rsv2_or_3(&self) -> bool {
        self.first & RSV2_AND_3 != 0
    }

    /// Whether the length is written in the fewest bytes.
    pub(super) fn is_minimal(&self) -> bool {
        let extra = match self.length {
            0..126 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        self.size == 2 + extra + self.mask.map_or(0, |key| key.len())
    }
}
