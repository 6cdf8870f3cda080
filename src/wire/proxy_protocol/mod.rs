//! The PROXY protocol, versions 1 and 2: a balancer says first whose connection it hands on (haproxy.org, `proxy-protocol.txt`).
//!
//! [`Reader`] reads the header a balancer sends us, [`Version::header`] writes the one we send a backend.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::stage::refusal::BAD_PROXY_HEADER;

use super::flaw::Flaw;
use super::head::Unread;

/// The largest header that is read, in bytes: addresses are 52 of them, the rest is what a balancer says of the client's TLS.
pub const MAX_HEADER: usize = 4096;
/// What is read before a header's length is known; what of it stands behind the header fits into the smallest `max_head`.
const CHUNK: usize = 512;

/// Both ends of a connection, as seen by whoever accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's; port 0 where it is not known.
    pub source: SocketAddr,
    /// The one it connected to.
    pub destination: SocketAddr,
}

/// In which form a header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

impl Version {
    /// The header that says this. Both ends have to be of one family: beside an IPv6 address, an IPv4 one is written as mapped into
    /// IPv6 (RFC 4291 §2.5.5.2).
    pub fn header(self, ends: Ends) -> Vec<u8> {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (source, destination) = (plain(ends.source), plain(ends.destination));
        let ends = match source.is_ipv4() == destination.is_ipv4() {
            true => Ends { source, destination },
            false => Ends { source: mapped(source), destination: mapped(destination) },
        };
        match self {
            Self::V1 => v1::write(ends),
            Self::V2 => v2::write(ends),
        }
    }
}

/// The same address in IPv6.
fn mapped(end: SocketAddr) -> SocketAddr {
    let ip: Ipv6Addr = match end.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), end.port())
}

/// How far a header is there.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// All of it: what it says, and its length. `None`: the balancer speaks for itself, or cannot say for whom.
    Whole(Option<Ends>, usize),
    /// Not yet: with what may be read of it and what follows, it is at most so long.
    Wants(usize),
}

/// Parses the header that `bytes` begin with. However they are cut, it comes to the same in the end.
fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let may_be = |signature: &[u8]| bytes.iter().zip(signature).all(|(byte, expected)| byte == expected);
    if may_be(v2::SIGNATURE) {
        v2::parse(bytes)
    } else if may_be(v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err("no PROXY header")
    }
}

/// Reads one header. It holds at most [`MAX_HEADER`] bytes.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// Whether nothing has come so far.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads until the header is whole; gives what it says, and the bytes behind it, less than 512. The deadline is the caller's.
    ///
    /// Cancel-safe: what was read stays in `self`, and the next call goes on.
    ///
    /// # Errors
    /// [`Unread`], where the other end went, or what it sent is no header or a larger one: `bad_proxy_header`.
    pub async fn read<IO: AsyncRead + Unpin>(&mut self, io: &mut IO) -> Result<(Option<Ends>, Vec<u8>), Unread> {
        loop {
            let wanted = match parse(&self.buffer).map_err(|rule| Flaw(BAD_PROXY_HEADER, rule))? {
                Parsed::Whole(ends, length) => return Ok((ends, mem::take(&mut self.buffer).split_off(length))),
                Parsed::Wants(wanted) => wanted,
            };
            let room = wanted.saturating_sub(self.buffer.len());
            self.buffer.reserve(room);
            match io.read_buf(&mut (&mut self.buffer).limit(room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) if self.buffer.is_empty() => return Err(Unread::Nothing),
                Ok(0) | Err(_) => return Err(Unread::Cut),
            }
        }
    }
}
