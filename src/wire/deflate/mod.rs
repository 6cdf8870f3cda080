//! permessage-deflate: whole messages inflated and deflated (RFC 7692 §7.2). Knows no frames and no sockets.
//!
//! zlib's state takes 47 KiB to inflate and up to 371 KiB to deflate, so no connection owns any: each worker has its own, which
//! begins anew with every message. Where contexts are taken over, what a connection owns is the text that messages may refer back
//! to, at most one window of it, and the state is given that first. So a message that is not sent compressed after all leaves no
//! trace, which it would in a state that lives on.

mod deflater;
mod history;
mod inflater;

use std::fmt;

pub use deflater::Deflater;
pub use inflater::Inflater;

/// What stands at the end of a flush, and is left out of a message (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How far back the compressed messages of one side may refer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    bits: u8,
    is_kept: bool,
}

impl Window {
    /// The last 2^`bits` bytes, 8 to 15 bits; of the message alone or, where it is kept, of those before it as well.
    pub fn new(bits: u8, is_kept: bool) -> Self {
        Self { bits: bits.clamp(8, 15), is_kept }
    }

    /// Whether a message may refer to those before it. Where it may not, it can be left out, or read by itself.
    pub fn is_kept(self) -> bool {
        self.is_kept
    }

    fn size(self) -> usize {
        1 << self.bits
    }
}

/// Both directions of one connection, for an end of it.
#[derive(Debug)]
pub struct Codec {
    /// For what the other end sends.
    pub inflater: Inflater,
    /// For what it is sent.
    pub deflater: Deflater,
}

impl Codec {
    /// For an end that reads messages of the one window and sends those of the other.
    pub fn new(reads: Window, sends: Window) -> Self {
        Self { inflater: Inflater::new(reads), deflater: Deflater::new(sends) }
    }
}

/// Why a message cannot be inflated. Where the window is kept, none after it can be either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// It would be larger than it may.
    TooLarge,
    /// It is not what DEFLATE gives (RFC 1951), is cut short, or goes on where its text has ended.
    Corrupt,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "inflated message over the limit",
            Self::Corrupt => "compressed data is corrupt",
        })
    }
}

impl std::error::Error for InflateError {}

#[cfg(test)]
mod tests;
