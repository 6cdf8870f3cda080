//! A client of bare bytes, for what no library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

/// A well-formed upgrade request for `path`, with further header lines.
pub fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// Sends bytes and reads all that comes until the other side ends.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may answer and close before it has read all of it.
    _ = stream.write_all(bytes).await;
    String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
}

/// Everything that still comes.
pub async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset after the answer ends it as well.
    _ = in_time(stream.read_to_end(&mut all)).await;
    all
}

/// Upgrades and gives the socket, its 101 read away.
pub async fn upgraded(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(upgrade(path, "").as_bytes()).await.unwrap();
    let head = in_time(super::backend::read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

/// A client's frame: masked, with a mask of zeros where the payload should stay readable.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A server's frame: not masked.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame(first, payload);
    let mask = frame.len() - payload.len() - 4;
    frame.drain(mask..mask + 4);
    frame[1] &= 0x7f;
    frame
}

/// A Close frame's payload.
pub fn closing(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A frame's first byte and its unmasked payload.
pub type Frame = (u8, Vec<u8>);

/// Every frame in `bytes`, which must all be whole.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, rest) = first_frame(bytes).unwrap_or_else(|| panic!("a cut frame behind {frames:x?}: {bytes:x?}"));
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// The frame that `bytes` begin with, and what is behind it.
pub fn first_frame(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (length, rest) = match second & 0x7f {
        126 => rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?,
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length) as usize, rest))?,
        short => (usize::from(short), rest),
    };
    let (key, rest) = if second & 0x80 == 0 { ([0; 4], rest) } else { rest.split_first_chunk().map(|(key, rest)| (*key, rest))? };
    let (masked, rest) = rest.split_at_checked(length)?;
    Some(((*first, masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()), rest))
}

/// Reads one frame.
pub async fn next_frame(stream: &mut TcpStream) -> Frame {
    let mut bytes = Vec::new();
    loop {
        if let Some((frame, _)) = first_frame(&bytes) {
            return frame;
        }
        bytes.push(in_time(stream.read_u8()).await.unwrap());
    }
}

/// The code of the Close frame a server's bytes end with; 1006 where they end with none.
pub fn close_code(bytes: &[u8]) -> u16 {
    let mut at = 0;
    while let (Some(first), Some(second)) = (bytes.get(at), bytes.get(at + 1)) {
        let (length, head) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), 4),
            127 => (u64::from_be_bytes(bytes[at + 2..at + 10].try_into().unwrap()) as usize, 10),
            short => (usize::from(short), 2),
        };
        if first & 0x0f == 8 {
            return if length >= 2 { u16::from_be_bytes([bytes[at + head], bytes[at + head + 1]]) } else { 1005 };
        }
        at += head + length;
    }
    1006
}
