//! Version 2: a signature, a command, a family, a length, addresses, and what else the balancer knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{CHUNK, Ends, MAX_HEADER, Parsed};

/// What every header begins with; no HTTP request does.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Everything before the addresses.
const FIXED: usize = 16;

/// The balancer's own connection, as a probe of its own.
const LOCAL: u8 = 0x20;
/// A client's connection.
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
/// It knows of no address (0x00 to 0x02), or of one that is no network's: a socket of its own host (0x31).
const WITHOUT_ADDRESS: [u8; 4] = [0x00, 0x01, 0x02, 0x31];

/// Parses a header that begins with the signature, or with as much of it as is there.
///
/// Behind the addresses stand entries of type, length and value (§2.2). None is read: the checksum among them guards against faults that
/// TCP's own has missed, and a balancer that is trusted to say who the client is needs no second proof of its word.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(Parsed::Wants(CHUNK)) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err("a PROXY header of another version or command");
    }
    if FIXED + length > MAX_HEADER {
        return Err("a PROXY header of more than 4096 bytes");
    }
    let Some(block) = rest.get(..length) else { return Ok(Parsed::Wants(FIXED + length)) };
    let short = "a PROXY header too short for its addresses";
    let ends = match (command, family) {
        // Whatever family it names (§2.2).
        (LOCAL, _) => None,
        (_, TCP_OVER_IPV4) => Some(ends::<4>(block).ok_or(short)?),
        (_, TCP_OVER_IPV6) => Some(ends::<16>(block).ok_or(short)?),
        (_, family) if WITHOUT_ADDRESS.contains(&family) => None,
        _ => return Err("a PROXY header of another family or transport"),
    };
    Ok(Parsed::Whole(ends, FIXED + length))
}

/// Source, destination and their ports; `N` bytes are an address.
fn ends<const N: usize>(block: &[u8]) -> Option<Ends>
where
    [u8; N]: Into<IpAddr>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, _) = rest.split_first_chunk()?;
    let end = |address: &[u8; N], port: &[u8; 2]| SocketAddr::new((*address).into(), u16::from_be_bytes(*port));
    Some(Ends { source: end(source, source_port), destination: end(destination, destination_port) })
}

/// Writes the header; both ends are of one family.
pub(super) fn write(Ends { source, destination }: Ends) -> Vec<u8> {
    let mut addresses = Vec::new();
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(ip) => addresses.extend(Ipv4Addr::octets(&ip)),
            IpAddr::V6(ip) => addresses.extend(Ipv6Addr::octets(&ip)),
        }
    }
    for end in [source, destination] {
        addresses.extend(end.port().to_be_bytes());
    }
    let (family, length) = if source.is_ipv4() { (TCP_OVER_IPV4, 12) } else { (TCP_OVER_IPV6, 36) };
    [SIGNATURE, &[PROXY, family, 0, length], &addresses].concat()
}
