//! What each header says, however it arrives, and that another implementation reads and writes the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::prelude::*;
use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader};
use tokio::io::{self, ReadBuf};

use super::*;

/// A socket that gives its bytes in pieces of these sizes, the last of them for ever.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let size = if self.sizes.len() > 1 { self.sizes.remove(0) } else { self.sizes[0] };
        let size = size.clamp(1, 1 << 16).min(into.remaining()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(size);
        into.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

/// What is read of these bytes, and all that stands behind the header; or why nothing is.
fn read(bytes: &[u8], sizes: &[usize]) -> Result<(Option<Ends>, Vec<u8>), String> {
    let mut pieces = Pieces { bytes, sizes: sizes.to_vec() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = runtime.block_on(Reader::default().read(&mut pieces));
    match read {
        Ok((ends, early)) => {
            assert!(early.len() < CHUNK);
            Ok((ends, [&early, pieces.bytes].concat()))
        }
        Err(Unread::Refused(refusal)) => {
            assert_eq!(refusal.outcome.id, "bad_proxy_header");
            Err(refusal.rule.unwrap().into())
        }
        Err(Unread::Nothing) => Err("nothing".to_owned()),
        Err(Unread::Cut) => Err("cut".to_owned()),
    }
}

fn ends(source: &str, destination: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A header of version 2 with this command, family and block.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, block].concat()
}

#[test]
fn a_line_of_text_says_who_the_client_is() {
    let seven = ends("192.0.2.7:56324", "198.51.100.1:443");
    for (line, said) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some(seven)),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 1 0\r\n", Some(ends("[2001:db8::7]:1", "[2001:db8::1]:0"))),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", Some(ends("[::ffff:192.0.2.7]:1", "[::1]:2"))),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:: ffff:: 1 1 and so on\r\n", None),
    ] {
        let bytes = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(read(bytes.as_bytes(), &[usize::MAX]), Ok((said, b"GET / HTTP/1.1\r\n".to_vec())), "{line}");
    }
}

#[test]
fn bytes_say_who_the_client_is() {
    let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
    let seven = Some(ends("192.0.2.7:56324", "198.51.100.1:443"));
    let long: Vec<u8> = addresses.into_iter().chain([4; 4068]).collect();
    let six: Vec<u8> = (0..36).collect();
    let sixth = ends("[1:203:405:607:809:a0b:c0d:e0f]:8225", "[1011:1213:1415:1617:1819:1a1b:1c1d:1e1f]:8739");
    for (what, header, said) in [
        ("IPv4", v2(0x21, 0x11, &addresses), seven),
        ("IPv6", v2(0x21, 0x21, &six), Some(sixth)),
        ("entries behind the addresses", v2(0x21, 0x11, &long), seven),
        ("a probe of the balancer", v2(0x20, 0x00, &[]), None),
        ("one that names a family", v2(0x20, 0x11, &[]), None),
        ("no address", v2(0x21, 0x00, &[1; 9]), None),
        ("a socket of its host", v2(0x21, 0x31, &[0; 216]), None),
    ] {
        assert_eq!(read(&[&*header, b"GET"].concat(), &[usize::MAX]), Ok((said, b"GET".to_vec())), "{what}");
    }
}

#[test]
fn what_is_no_header_says_what_is_wrong_with_it() {
    let lines: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\n", "no PROXY header"),
        (b"\r\n\r\n\0\r\nQUIT\r", "no PROXY header"),
        (b"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header"),
        (b"PROXY \xff\r\n", "a PROXY header that is no text"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "a PROXY header that does not end with CR LF"),
        (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "a PROXY header of another protocol"),
        (b"PROXY UNKNOWNS\r\n", "a PROXY header of another protocol"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "a PROXY header without its four words"),
        (b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "a PROXY header without its four words"),
        (b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n", "a malformed address in a PROXY header"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.02 1 2\r\n", "a malformed address in a PROXY header"),
        (b"PROXY TCP6 1.1.1.1 ::2 1 2\r\n", "a malformed address in a PROXY header"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "a malformed port in a PROXY header"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "a malformed port in a PROXY header"),
        (&[b'P'; 107], "no PROXY header"),
        (b"", "nothing"),
        (b"PROXY TCP4 1.1.1.1", "cut"),
    ];
    let blocks = [
        (v2(0x11, 0x11, &[0; 12]), "a PROXY header of another version or command"),
        (v2(0x22, 0x11, &[0; 12]), "a PROXY header of another version or command"),
        (v2(0x21, 0x12, &[0; 12]), "a PROXY header of another family or transport"),
        (v2(0x21, 0x41, &[0; 12]), "a PROXY header of another family or transport"),
        (v2(0x21, 0x11, &[0; 11]), "a PROXY header too short for its addresses"),
        (v2(0x21, 0x21, &[0; 35]), "a PROXY header too short for its addresses"),
        (v2(0x21, 0x11, &[0; 4081]), "a PROXY header of more than 4096 bytes"),
        (v2(0x21, 0x11, &[0; 12])[..27].to_vec(), "cut"),
    ];
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    let rows = lines.iter().map(|(bytes, rule)| (bytes.to_vec(), *rule)).chain(blocks);
    for (bytes, rule) in rows.chain([(long.into_bytes(), "a PROXY header of more than 107 bytes")]) {
        for size in [1, usize::MAX] {
            assert_eq!(read(&bytes, &[size]), Err(rule.to_owned()), "{:?}", bytes.escape_ascii().to_string());
        }
    }
}

#[test]
fn ends_of_two_families_are_written_in_the_wider_one() {
    let mixed = ends("192.0.2.7:1", "[2001:db8::1]:2");
    assert_eq!(Version::V1.header(mixed), b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n");
    let same = ends("[::ffff:192.0.2.7]:1", "198.51.100.1:2");
    assert_eq!(Version::V1.header(same), b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n");
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    prop_oneof![v4, v6]
}

/// Bytes that are nearly a header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let whole = (address(), address(), any::<bool>()).prop_map(|(source, destination, is_text)| {
        let version = if is_text { Version::V1 } else { Version::V2 };
        version.header(Ends { source, destination })
    });
    let changed = (whole, any::<prop::sample::Index>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..600));
    let changed = changed.prop_map(|(mut bytes, at, byte, behind)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend(behind);
        bytes
    });
    prop_oneof![changed, prop::collection::vec(any::<u8>(), 0..600)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_come_to_the_same_wherever_they_are_cut(bytes in nearly(), sizes in prop::collection::vec(1usize..40, 1..40)) {
        prop_assert_eq!(read(&bytes, &sizes), read(&bytes, &[usize::MAX]));
    }

    #[test]
    fn what_is_written_is_read_by_us_and_by_others(source in address(), destination in address(), is_text in any::<bool>()) {
        let version = if is_text { Version::V1 } else { Version::V2 };
        let header = version.header(Ends { source, destination });
        let (others, length) = ProxyHeader::parse(&header, ParseConfig::default()).unwrap();
        let others = others.proxied_address().unwrap();
        let (ours, behind) = read(&header, &[usize::MAX]).unwrap();
        let ours = ours.unwrap();
        prop_assert_eq!((ours.source, ours.destination), (others.source, others.destination));
        prop_assert_eq!((length, behind), (header.len(), Vec::new()));
        let same = |end: SocketAddr, other: SocketAddr| (end.ip().to_canonical(), end.port()) == (other.ip().to_canonical(), other.port());
        prop_assert!(same(ours.source, source) && same(ours.destination, destination));
    }

    #[test]
    fn what_others_write_is_read(source in address(), destination in address(), is_text in any::<bool>()) {
        let header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
        let mut bytes = [0; 256];
        let written = if is_text { header.encode_to_slice_v1(&mut bytes) } else { header.encode_to_slice_v2(&mut bytes) };
        match written {
            Ok(length) => prop_assert_eq!(read(&bytes[..length], &[7]), Ok((Some(Ends { source, destination }), Vec::new()))),
            Err(_) => prop_assert_ne!(source.is_ipv4(), destination.is_ipv4()),
        }
    }
}
