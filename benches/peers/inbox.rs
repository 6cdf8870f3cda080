//! Whole frames out of what a socket brings, copied only where one comes in pieces.

use std::io::Result;

use crate::frame::Head;
use crate::link::Link;

/// What is left from one read to the next up to this size is put in front of it; a larger frame is read on in its own place.
const SMALL: usize = 4 << 10;

#[derive(Default)]
pub struct Inbox {
    /// The beginning of a frame: its first `have` bytes, with room for the rest where that is known.
    bytes: Vec<u8>,
    have: usize,
}

/// What a read came to.
#[derive(PartialEq)]
pub enum Read {
    /// There may be more.
    More,
    /// Nothing more now.
    Dry,
    Ended,
}

impl Inbox {
    /// One read. Every frame that is whole goes to `each`, with its payload unmasked.
    pub fn read(&mut self, link: &mut Link, buffer: &mut [u8], mut each: impl FnMut(u8, &mut [u8]) -> Result<()>) -> Result<Read> {
        if self.have >= SMALL {
            return self.read_on(link, each);
        }
        let carried = self.have;
        buffer[..carried].copy_from_slice(&self.bytes[..carried]);
        let Some(count) = link.read(&mut buffer[carried..])? else { return Ok(Read::Dry) };
        if count == 0 {
            return Ok(Read::Ended);
        }
        let filled = carried + count;
        let is_full = filled == buffer.len();
        let mut taken = 0;
        let missing = loop {
            let Some(head) = Head::parse(&buffer[taken..filled]) else { break 0 };
            let end = taken + head.whole();
            if end > filled {
                break head.whole();
            }
            deliver(&head, &mut buffer[taken..end], &mut each)?;
            taken = end;
        };
        let rest = &buffer[taken..filled];
        self.have = rest.len();
        self.bytes.resize(self.bytes.len().max(missing).max(self.have), 0);
        self.bytes[..self.have].copy_from_slice(rest);
        Ok(if is_full { Read::More } else { Read::Dry })
    }

    fn read_on(&mut self, link: &mut Link, mut each: impl FnMut(u8, &mut [u8]) -> Result<()>) -> Result<Read> {
        let head = Head::parse(&self.bytes[..self.have]).unwrap();
        let frame = &mut self.bytes[..head.whole()];
        match link.read(&mut frame[self.have..])? {
            None => Ok(Read::Dry),
            Some(0) => Ok(Read::Ended),
            Some(count) => {
                self.have += count;
                if self.have < frame.len() {
                    return Ok(Read::Dry);
                }
                self.have = 0;
                deliver(&head, frame, &mut each)?;
                Ok(Read::More)
            }
        }
    }
}

fn deliver(head: &Head, frame: &mut [u8], each: &mut impl FnMut(u8, &mut [u8]) -> Result<()>) -> Result<()> {
    let payload = &mut frame[head.size..];
    if let Some(key) = head.mask {
        crate::frame::mask(payload, key);
    }
    each(head.opcode, payload)
}
