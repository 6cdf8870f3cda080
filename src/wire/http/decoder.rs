//! Takes a body out of what was read, wherever that was cut; sans-I/O.
//!
//! Strict where readers are known to differ, as smugglers live on that: a chunk's size is plain digits, its line ends in CRLF and is short,
//! its data is exactly as long as it says, a trailer is a header line (RFC 9112 §7.1). Extensions of chunks are read over and go no further.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::strict;

use super::framing::Framing;

/// The longest line a chunk may begin with, its extensions among it, in bytes.
const MAX_CHUNK_LINE: usize = 256;
/// The most digits of a chunk's size.
const MAX_DIGITS: usize = 16;
/// What trailers may weigh, in bytes.
const MAX_TRAILERS: usize = 8 * 1024;
/// How many trailers there may be.
const MAX_TRAILER_LINES: usize = 64;

/// The rule that a body breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What the front of the bytes is.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// Behind `skip` bytes that are read over, not enough to tell.
    More {
        /// Bytes that are done with.
        skip: usize,
    },
    /// Behind `skip` bytes, `length` bytes of the body; never 0.
    Data {
        /// Bytes that are done with.
        skip: usize,
        /// Bytes of the body behind them.
        length: usize,
    },
    /// With `skip` bytes the body has ended; what is behind them is not its.
    End {
        /// Bytes that are done with.
        skip: usize,
        /// The trailers, where it has any.
        trailers: Option<HeaderMap>,
    },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Length(u64),
    UntilEnd,
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    Over,
}

/// Reads one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// Nothing of it is read yet.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Nothing => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkLine,
            Framing::UntilEnd => State::UntilEnd,
        };
        Self { state }
    }

    /// Whether the end of the connection is the body's.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilEnd)
    }

    /// Looks at bytes that were read and not yet taken: those of the last part are gone.
    ///
    /// # Errors
    /// The rule that is broken; nothing behind it can be read.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Part, Malformed> {
        let mut skip = 0;
        loop {
            let rest = bytes.get(skip..).unwrap_or_default();
            match self.state {
                State::Length(0) | State::Over => {
                    self.state = State::Over;
                    return Ok(Part::End { skip, trailers: None });
                }
                State::Length(_) | State::UntilEnd | State::Chunk(_) if rest.is_empty() => return Ok(Part::More { skip }),
                State::UntilEnd => return Ok(Part::Data { skip, length: rest.len() }),
                State::Length(left) => {
                    let length = within(left, rest);
                    self.state = State::Length(left.saturating_sub(length as u64));
                    return Ok(Part::Data { skip, length });
                }
                State::Chunk(left) => {
                    let length = within(left, rest);
                    let left = left.saturating_sub(length as u64);
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    return Ok(Part::Data { skip, length });
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        skip += 2;
                        self.state = State::ChunkLine;
                    }
                    [] | [b'\r'] => return Ok(Part::More { skip }),
                    _ => return Err(Malformed("a chunk longer than its size")),
                },
                State::ChunkLine => {
                    let Some((size, line)) = chunk_line(rest)? else { return Ok(Part::More { skip }) };
                    skip += line;
                    self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
                }
                State::Trailers => {
                    let Some((trailers, length)) = trailers(rest)? else { return Ok(Part::More { skip }) };
                    self.state = State::Over;
                    return Ok(Part::End { skip: skip + length, trailers });
                }
            }
        }
    }
}

/// How many of these bytes belong to what has so many left.
fn within(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// The size of a chunk and the length of the line that tells it; none where the line is not whole.
fn chunk_line(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > MAX_DIGITS || (digits == 0 && !bytes.is_empty()) {
        return Err(Malformed("a malformed size of a chunk"));
    }
    let Some((digits, rest)) = bytes.split_at_checked(digits) else { return Ok(None) };
    if !matches!(rest.first(), None | Some(b'\r' | b';')) {
        return Err(Malformed("a malformed size of a chunk"));
    }
    let end = rest.iter().position(|byte| *byte == b'\r' || !is_text(*byte));
    let length = digits.len() + end.unwrap_or(rest.len());
    // Whether its end is here or not: what is read may not depend on where it was cut.
    if length > MAX_CHUNK_LINE {
        return Err(Malformed("the line of a chunk is too long"));
    }
    match bytes.get(length..) {
        Some([b'\r', b'\n', ..]) => {
            let size = str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let size = size.ok_or(Malformed("a malformed size of a chunk"))?;
            Ok(Some((size, length + 2)))
        }
        None | Some([] | [b'\r']) => Ok(None),
        _ => Err(Malformed("a line of a chunk that does not end in CRLF")),
    }
}

/// Whether a byte may stand in a line of text.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The trailers, and their length with the empty line behind them; none where they are not whole.
type Trailers = Option<(Option<HeaderMap>, usize)>;

fn trailers(bytes: &[u8]) -> Result<Trailers, Malformed> {
    let (mut at, mut fields) = (0, HeaderMap::new());
    for _ in 0..=MAX_TRAILER_LINES {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return if bytes.len() > MAX_TRAILERS { Err(Malformed("trailers that are too large")) } else { Ok(None) };
        };
        let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed("a bare LF among the trailers"))?;
        at += end + 1;
        if at > MAX_TRAILERS {
            break;
        }
        if line.is_empty() {
            return Ok(Some((Some(fields).filter(|fields| !fields.is_empty()), at)));
        }
        let (name, value) = strict::field(line).map_err(|_| Malformed("a malformed trailer"))?;
        let field = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value).ok());
        let (name, value) = field.ok_or(Malformed("a malformed trailer"))?;
        fields.append(name, value);
    }
    Err(Malformed("trailers that are too large"))
}

#[cfg(test)]
mod tests;
