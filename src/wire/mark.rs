//! By what a Pong is known to answer a Ping.

use std::hash::{DefaultHasher, Hasher};
use std::num::NonZeroU16;

/// A few bits of what a Ping or a Pong carries. A Pong that answers a Ping carries the same (RFC 6455 §5.5.3), and one that nobody has
/// asked for, as some clients send for a sign of life, hardly does unless both carry nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(NonZeroU16);

impl Mark {
    pub(super) fn of(payload: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(payload);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        Self(NonZeroU16::new(u16::from_le_bytes([low, high])).unwrap_or(NonZeroU16::MIN))
    }
}
