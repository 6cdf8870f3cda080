//! Version 1: one line of text, `PROXY TCP4 192.0.2.7 198.51.100.1 56324 443`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{CHUNK, Ends, Parsed};

/// What every header begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest header, its line end included (§2.1).
const MAX: usize = 107;

type Check<T> = Result<T, &'static str>;

/// Parses a header that begins with the signature, or with as much of it as is there.
pub(super) fn parse(bytes: &[u8]) -> Check<Parsed> {
    let Some(end) = bytes.iter().take(MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX { Ok(Parsed::Wants(CHUNK)) } else { Err("a PROXY header of more than 107 bytes") };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or("a PROXY header that does not end with CR LF")?;
    let text = str::from_utf8(line).map_err(|_| "a PROXY header that is no text")?;
    let words: Vec<&str> = text.split(' ').collect();
    let ends = match words.as_slice() {
        // Whatever else it says is nobody's to read (§2.1).
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", "TCP4", words @ ..] => Some(ends::<Ipv4Addr>(words)?),
        ["PROXY", "TCP6", words @ ..] => Some(ends::<Ipv6Addr>(words)?),
        _ => return Err("a PROXY header of another protocol"),
    };
    Ok(Parsed::Whole(ends, end + 1))
}

fn ends<A: FromStr + Into<IpAddr>>(words: &[&str]) -> Check<Ends> {
    let [source, destination, source_port, destination_port] = words else { return Err("a PROXY header without its four words") };
    let end = |address: &str, port: &str| {
        let address: A = address.parse().map_err(|_| "a malformed address in a PROXY header")?;
        Ok::<_, &'static str>(SocketAddr::new(address.into(), self::port(port)?))
    };
    Ok(Ends { source: end(source, source_port)?, destination: end(destination, destination_port)? })
}

fn port(digits: &str) -> Check<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain).ok_or("a malformed port in a PROXY header")
}

/// Writes the header; both ends are of one family.
pub(super) fn write(Ends { source, destination }: Ends) -> Vec<u8> {
    let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {protocol} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}
