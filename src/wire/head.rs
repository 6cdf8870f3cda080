//! Reads the first request head off a socket, bounded, and stops at the first byte that no head can hold.
//!
//! hyper destroys evidence: it hides bare line feeds, cuts `#fragment`, drops a Content-Length that stands beside a
//! Transfer-Encoding, and answers for itself; so do most parsers. So the head is read and judged raw, and only then parsed.

use std::mem;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::stage::Refusal;
use crate::stage::refusal::{BAD_HANDSHAKE, HEAD_TOO_LARGE, URI_TOO_LONG};

use super::flaw::Flaw;
use super::h2::PREFACE;
use super::http::framing::Framing;
use super::strict;

/// What a head may weigh unless the listener says otherwise, in bytes.
pub const DEFAULT_MAX_HEAD: usize = 16 * 1024;
/// How many header lines a head may have unless the listener says otherwise.
pub const DEFAULT_MAX_HEADERS: usize = 64;
/// The most `max_head` can be: beyond it a target no longer fits into an `http::Uri`.
pub const LARGEST_MAX_HEAD: usize = 64 * 1024;
/// The most `max_headers` can be.
pub const LARGEST_MAX_HEADERS: usize = 1024;
/// Read at a time; the usual browser's head fits.
const CHUNK: usize = 1024;

/// The bounds of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(super) max_head: usize,
    pub(super) max_headers: usize,
}

impl Limits {
    /// At most so many bytes, up to and with the empty line, and so many header lines; what exceeds [`LARGEST_MAX_HEAD`] or
    /// [`LARGEST_MAX_HEADERS`] is brought down to it.
    pub fn new(max_head: usize, max_headers: usize) -> Self {
        Self { max_head: max_head.min(LARGEST_MAX_HEAD), max_headers: max_headers.min(LARGEST_MAX_HEADERS) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_HEAD, DEFAULT_MAX_HEADERS)
    }
}

/// A whole request head that passed every check, and what the client sent behind it.
#[derive(Debug)]
pub struct Head {
    pub(super) bytes: Vec<u8>,
    pub(super) surplus: Vec<u8>,
    /// Its lines, the request line among them.
    pub(super) lines: usize,
    /// How its body is delimited.
    pub(super) framing: Framing,
}

impl Head {
    /// Its bytes, up to and with its empty line.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why there is no head.
#[derive(Debug)]
pub enum Unread {
    /// The client went without having sent a byte: a port scan, a health check, a connection opened in advance. Nobody is answered.
    Nothing,
    /// The client went in mid-head. Nobody is answered.
    Cut,
    /// The head is refused.
    Refused(Box<Refusal>),
}

impl From<Box<Refusal>> for Unread {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Flaw> for Unread {
    fn from(flaw: Flaw) -> Self {
        Self::Refused(flaw.into())
    }
}

/// A flaw of a whole head; a HEAD is answered without a body.
fn refused(flaw: Flaw, head: &[u8]) -> Box<Refusal> {
    let mut refusal: Box<Refusal> = flaw.into();
    refusal.telling.bodiless = head.starts_with(b"HEAD ");
    refusal
}

/// Reads one head. It holds at most `max_head` bytes.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    buffer: Vec<u8>,
    scan: Scan,
}

impl Reader {
    /// Nothing is read yet.
    pub fn new(limits: Limits) -> Self {
        Self::begin_with(limits, Vec::new())
    }

    /// These bytes of the client's are read already: fewer than the limit allows.
    pub fn begin_with(limits: Limits, early: Vec<u8>) -> Self {
        Self { limits, buffer: early, scan: Scan::default() }
    }

    /// All that was read, where it begins with the preface of HTTP/2: that reads as a head, for just this purpose (RFC 9113 §3.4), and
    /// is refused as one.
    pub fn into_preface(self) -> Option<Vec<u8>> {
        Some(self.buffer).filter(|bytes| bytes.starts_with(PREFACE))
    }

    /// Whether the client has sent nothing so far: tells a connection opened in advance from a slow head when the deadline strikes.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads until the head is whole. The deadline is the caller's.
    ///
    /// Cancel-safe: what was read stays in `self`, and the next call goes on.
    ///
    /// # Errors
    /// [`Unread`], where the client went or the head is refused. A head is refused at its first wrong byte where the byte alone
    /// tells, so that neither a TLS hello nor bare line feeds wait for the deadline.
    pub async fn read<IO: AsyncRead + Unpin>(&mut self, io: &mut IO) -> Result<Head, Unread> {
        loop {
            // What is read may not depend on how much came with it: nothing behind the bound is looked at.
            let within = self.buffer.get(..self.limits.max_head).unwrap_or(&self.buffer);
            if let Some(end) = self.scan.advance(within, self.limits.max_headers)? {
                let head = self.buffer.get(..end).unwrap_or_default();
                let framing = strict::check(head).map_err(|flaw| refused(flaw, head))?;
                let mut bytes = mem::take(&mut self.buffer);
                let surplus = bytes.split_off(end);
                return Ok(Head { bytes, surplus, lines: self.scan.lines, framing });
            }
            let room = self.limits.max_head.saturating_sub(self.buffer.len());
            if room == 0 {
                return Err(self.scan.overflow().into());
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.buffer.reserve(room.min(self.buffer.len().max(CHUNK)));
            }
            match io.read_buf(&mut (&mut self.buffer).limit(room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) if self.buffer.is_empty() => return Err(Unread::Nothing),
                Ok(0) | Err(_) => return Err(Unread::Cut),
            }
        }
    }
}

/// How far the head has been looked through.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    line_start: usize,
    lines: usize,
    previous: u8,
}

impl Scan {
    /// Looks through what is new, and gives the length of the head once it is whole.
    fn advance(&mut self, bytes: &[u8], max_headers: usize) -> Result<Option<usize>, Flaw> {
        while let Some(&byte) = bytes.get(self.at) {
            let starts_line = self.at == self.line_start;
            if !starts_line && self.previous != b'\r' && !is_control(byte) {
                // Most of a head: what is within a line.
                let rest = bytes.get(self.at..).unwrap_or_default();
                self.at += rest.iter().position(|byte| is_control(*byte)).unwrap_or(rest.len());
                continue;
            }
            match (self.previous, byte) {
                (b'\r', b'\n') if self.at == self.line_start + 1 => {
                    return if self.lines == 0 { bad("an empty line before the request line") } else { Ok(Some(self.at + 1)) };
                }
                (b'\r', b'\n') => {
                    self.lines += 1;
                    self.line_start = self.at + 1;
                }
                (b'\r', _) => return bad("a bare CR"),
                (_, b'\n') => return bad("a bare LF"),
                (_, b' ' | b'\t') if starts_line && self.lines > 0 => return bad("a folded header line"),
                (_, b'\r' | b'\t') => {}
                (_, 0x16) if self.at == 0 => return bad("TLS where plain HTTP is spoken"),
                (_, 0) => return bad("a NUL"),
                _ if is_control(byte) => return bad("a control byte"),
                _ if starts_line && self.lines > max_headers => return Err(Flaw(HEAD_TOO_LARGE, "more headers than `max_headers`")),
                _ => {}
            }
            self.previous = byte;
            self.at += 1;
        }
        Ok(None)
    }

    /// The flaw of a head that is as long as it may be and not whole.
    fn overflow(&self) -> Flaw {
        if self.lines == 0 {
            Flaw(URI_TOO_LONG, "a request line longer than `max_head`")
        } else {
            Flaw(HEAD_TOO_LARGE, "a head larger than `max_head`")
        }
    }
}

fn is_control(byte: u8) -> bool {
    matches!(byte, ..0x20 | 0x7f)
}

fn bad<T>(rule: &'static str) -> Result<T, Flaw> {
    Err(Flaw(BAD_HANDSHAKE, rule))
}

#[cfg(test)]
mod tests;
