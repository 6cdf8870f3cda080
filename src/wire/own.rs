//! Frames the gateway itself sends: Close, its own pings, pongs, and messages of its own.

use std::sync::LazyLock;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::stage::{Message, Side};

use super::close;
use super::deflate::Deflater;
use super::mark::Mark;
use super::message::unmask;

/// What this process's own pings carry: 6 letters for whoever reads a capture, and 8 random bytes, so that of two gateways in a
/// row each knows its own.
static PING: LazyLock<[u8; 14]> = LazyLock::new(|| {
    let mut payload = *b"wsgate........";
    for (byte, random) in payload.iter_mut().skip(6).zip(rand::random::<[u8; 8]>()) {
        *byte = random;
    }
    payload
});

/// A Close frame with this code; the reason is cut to fit.
pub(super) fn close(toward: Side, code: Option<u16>, reason: &str) -> Vec<u8> {
    let said = code.map(|code| CloseFrame { code: code.into(), reason: close::cut(reason).into() });
    encode(toward, Frame::close(said))
}

/// A ping of the gateway's own.
pub(super) fn ping(toward: Side) -> Vec<u8> {
    encode(toward, Frame::ping(PING.to_vec()))
}

/// What answers it.
pub(super) fn ping_mark() -> Mark {
    Mark::of(&*PING)
}

/// Whether a pong with this payload answers a ping of the gateway's own.
pub(super) fn is_pong(payload: &[u8]) -> bool {
    payload == *PING
}

/// The client's ping, answered (RFC 6455 §5.5.3).
pub(super) fn pong(payload: &[u8], out: &mut Vec<u8>) {
    out.extend(encode(Side::Client, Frame::pong(payload.to_vec())));
}

/// A whole message in one frame, behind what `out` holds; gives the length of its payload.
pub(super) fn message(toward: Side, message: &Message<'_>, out: &mut Vec<u8>) -> u64 {
    frame(toward, opcode(message), false, message.as_bytes(), out)
}

/// The same to a client that has agreed to read compressed ones (RFC 7692 §6), where that makes it shorter.
pub(super) fn compressed(message: &Message<'_>, deflater: &mut Deflater, out: &mut Vec<u8>) -> u64 {
    let mut payload = Vec::new();
    if deflater.deflate(message.as_bytes(), &mut payload) {
        frame(Side::Client, opcode(message), true, &payload, out)
    } else {
        self::message(Side::Client, message, out)
    }
}

fn opcode(message: &Message<'_>) -> OpCode {
    OpCode::Data(match message {
        Message::Text(_) => Data::Text,
        Message::Binary(_) => Data::Binary,
    })
}

/// `rsv1` marks a compressed message.
fn frame(toward: Side, opcode: OpCode, rsv1: bool, payload: &[u8], out: &mut Vec<u8>) -> u64 {
    let mask = mask(toward);
    let header = FrameHeader { opcode, rsv1, mask, ..FrameHeader::default() };
    header.format(payload.len() as u64, out).expect("a vector takes what is written");
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        unmask(out.get_mut(start..).unwrap_or_default(), key);
    }
    payload.len() as u64
}

/// A text message to the client.
pub(super) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message(Side::Client, &text.into(), &mut out);
    out
}

fn encode(toward: Side, mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = mask(toward);
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a vector takes what is written");
    bytes
}

/// Toward a backend the gateway is the client, and masks what it sends (RFC 6455 §5.3).
fn mask(toward: Side) -> Option<[u8; 4]> {
    (toward == Side::Upstream).then(rand::random)
}
