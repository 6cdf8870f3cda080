//! Frames that break a rule of RFC 6455, from either side, at each depth: the side that breaks it is told which, and the other that it
//! is over.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{backend, in_time, raw};
use super::{Before, an_ordinary_client_is_served, gateway};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What is sent, as a server would send it: the client's is masked.
enum Sent {
    /// Frames: the first byte and the payload of each.
    Frames(Vec<(u8, Vec<u8>)>),
    /// A head of which the length is written so, without payload.
    Head(u8, &'static [u8]),
    /// Masked by a server, not by a client.
    WrongMask,
}
use Sent::{Frames, Head, WrongMask};

fn one(first: u8, payload: &[u8]) -> Sent {
    Frames(vec![(first, payload.to_vec())])
}

fn close(code: u16) -> Sent {
    one(CLOSE, &code.to_be_bytes())
}

/// What is sent, and the close code that who sent it is told; whether it is broken only for somebody who reads.
fn cases() -> Vec<(String, Sent, u16, bool)> {
    let mut all: Vec<(String, Sent, u16, bool)> = Vec::new();
    let mut case = |what: &str, sent: Sent, code: u16| all.push((what.to_owned(), sent, code, false));
    case("the mask of the other side", WrongMask, 1002);
    for bit in [0x40, 0x20, 0x10] {
        case(&format!("reserved bit {bit:#x}"), one(TEXT | bit, b"a"), 1002);
        case(&format!("reserved bit {bit:#x} of a ping"), one(PING | bit, b""), 1002);
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        case(&format!("opcode {opcode:#x}"), one(0x80 | opcode, b""), 1002);
    }
    for (what, first) in [("Close", CLOSE), ("ping", PING), ("pong", PONG)] {
        case(&format!("a {what} of 126 bytes"), one(first, &[0; 126]), 1002);
        case(&format!("a {what} in parts"), one(first & 0x7f, b""), 1002);
    }
    case("a Close of one byte", one(CLOSE, b"\x03"), 1002);
    case("a Close whose reason is no text", one(CLOSE, b"\x03\xe8\xff\xfe"), 1002);
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        case(&format!("a Close of code {code}"), close(code), 1002);
    }
    case("a continuation of nothing", one(0x80, b"a"), 1002);
    case("a part of nothing", one(0x00, b"a"), 1002);
    case("a message within a message", Frames(vec![(0x01, b"a".to_vec()), (TEXT, b"b".to_vec())]), 1002);
    case("a beginning within a message", Frames(vec![(0x02, b"a".to_vec()), (0x01, b"b".to_vec())]), 1002);
    case("a continuation of what has ended", Frames(vec![(TEXT, b"a".to_vec()), (0x80, b"b".to_vec())]), 1002);
    case("a reserved bit in a continuation", Frames(vec![(0x01, b"a".to_vec()), (0xc0, b"b".to_vec())]), 1002);
    case("two bytes for a length of one", Head(TEXT, &[126, 0, 125]), 1002);
    case("eight bytes for a length of two", Head(TEXT, &[127, 0, 0, 0, 0, 0, 0, 255, 255]), 1002);
    case("a length with its first bit set", Head(BINARY, &[127, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1002);
    case("a message that is too large", one(BINARY, &[0; 1025]), 1009);
    case("a message that says it will be", Head(BINARY, &[127, 0, 0, 0x10, 0, 0, 0, 0, 0]), 1009);
    case("a message that is too large in all", Frames(vec![(0x02, vec![0; 1024]), (0x00, vec![0]), (0x80, Vec::new())]), 1009);
    case("more pings than anybody needs", Frames(vec![(PING, Vec::new()); 201]), 1008);
    case("more pongs than anybody needs", Frames(vec![(PONG, Vec::new()); 201]), 1008);
    for (what, payload) in [
        ("a surrogate", &b"\xed\xa0\x80"[..]),
        ("a character in too many bytes", b"\xc0\xaf"),
        ("a character beyond the last", b"\xf4\x90\x80\x80"),
        ("a character that is cut", b"\xe2\x82"),
        ("a byte that begins nothing", b"\x80"),
    ] {
        all.push((format!("text with {what}"), one(TEXT, payload), 1007, true));
        let (first, rest) = payload.split_at(1);
        all.push((format!("text with {what}, in parts"), Frames(vec![(0x01, first.to_vec()), (0x80, rest.to_vec())]), 1007, true));
    }
    all
}

fn bytes(sent: &Sent, is_client: bool) -> Vec<u8> {
    let frame = |first: u8, payload: &[u8]| if is_client { raw::frame(first, payload) } else { raw::unmasked(first, payload) };
    match sent {
        Frames(frames) => frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect(),
        Head(first, length) => {
            let mut head = [&[*first], *length].concat();
            if is_client {
                head[1] |= 0x80;
                head.extend([0; 4]);
            }
            head
        }
        WrongMask => {
            if is_client {
                raw::unmasked(TEXT, b"a")
            } else {
                raw::frame(TEXT, b"a")
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_a_rule_is_told_so_and_its_backend_that_it_is_gone() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let gateway = gateway(address);
    let before = Before::of(&gateway);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (what, sent, code, is_for_readers) in cases() {
        for path in ["/echo", "/relay", "/read"] {
            if path == "/relay" && is_for_readers {
                continue;
            }
            let mut client = raw::upgraded(gateway.address("public"), path).await;
            // The gateway may have seen enough before all is sent.
            _ = client.write_all(&bytes(&sent, true)).await;
            let told = raw::close_code(&raw::rest(&mut client).await);
            drop(client);
            let backend = if path == "/echo" { 1001 } else { raw::close_code(&unmasked(&in_time(seen.recv()).await.unwrap())) };
            if (told, backend) != (code, 1001) {
                wrong.push(format!("{what} at {path}: {told}, and the backend {backend}; not {code} and 1001"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 150, "{count}");
    an_ordinary_client_is_served(&gateway, "/echo").await;
    before.is_restored(&gateway).await;
}

/// Frames as their receiver sees them.
fn unmasked(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut all = Vec::new();
    while let Some(((first, payload), behind)) = raw::first_frame(rest) {
        all.extend(raw::unmasked(first, &payload));
        rest = behind;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_a_rule_is_told_so_and_its_client_that_the_backend_has() {
    let (sender, mut seen) = mpsc::channel(16);
    // Which case it is stands in the query.
    let address = backend::scripted(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            let head = backend::read_head(&mut stream).await;
            let number: usize = head.split_once("case=").map_or(usize::MAX, |(_, rest)| rest.split_once(' ').unwrap().0.parse().unwrap());
            _ = stream.write_all(backend::switching(&head).as_bytes()).await;
            let mut all = Vec::new();
            match cases().get(number) {
                Some((_, sent, ..)) => _ = stream.write_all(&bytes(sent, false)).await,
                None => return echo(stream).await,
            }
            _ = stream.read_to_end(&mut all).await;
            _ = sender.send(all).await;
        }
    })
    .await;
    let gateway = gateway(address);
    let before = Before::of(&gateway);
    let mut wrong = Vec::new();
    for (number, (what, _, code, is_for_readers)) in cases().into_iter().enumerate() {
        for path in ["/relay", "/read"] {
            if path == "/relay" && is_for_readers {
                continue;
            }
            let mut client = raw::upgraded(gateway.address("public"), &format!("{path}?case={number}")).await;
            let told = raw::close_code(&raw::rest(&mut client).await);
            drop(client);
            let backend = raw::close_code(&unmasked(&in_time(seen.recv()).await.unwrap()));
            // What is a matter of policy with a client breaks the protocol with a backend.
            let code = if code == 1008 { 1002 } else { code };
            if (told, backend) != (1011, code) {
                wrong.push(format!("{what} at {path}: {told}, and the backend {backend}; not 1011 and {code}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    an_ordinary_client_is_served(&gateway, "/relay").await;
    before.is_restored(&gateway).await;
}

/// Echoes frames until the other side closes.
async fn echo(mut stream: TcpStream) {
    loop {
        let (first, payload) = raw::next_frame(&mut stream).await;
        _ = stream.write_all(&raw::unmasked(first, &payload)).await;
        if first == CLOSE {
            return;
        }
    }
}
