//! Frames the gateway itself sends: Close, its own pings, pongs, and the messages of a terminated endpoint.

use std::sync::LazyLock;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::stage::{Message, Side};

use super::close;

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

/// Whether a pong with this payload answers a ping of the gateway's own.
pub(super) fn is_pong(payload: &[u8]) -> bool {
    payload == *PING
}

/// The client's ping, answered (RFC 6455 §5.5.3).
pub(super) fn pong(payload: &[u8], out: &mut Vec<u8>) {
    out.extend(encode(Side::Client, Frame::pong(payload.to_vec())));
}

/// A whole message to the client, in one unmasked frame, behind what `out` holds.
pub(super) fn message(message: &Message, out: &mut Vec<u8>) {
    let opcode = OpCode::Data(match message {
        Message::Text(_) => Data::Text,
        Message::Binary(_) => Data::Binary,
    });
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let payload = message.as_bytes();
    header.format(payload.len() as u64, out).expect("a vector takes what is written");
    out.extend_from_slice(payload);
}

/// A whole message to the backend, in one masked frame.
pub(super) fn masked(message: &Message) -> Vec<u8> {
    let data = match message {
        Message::Text(_) => Data::Text,
        Message::Binary(_) => Data::Binary,
    };
    encode(Side::Upstream, Frame::message(message.as_bytes().to_vec(), OpCode::Data(data), true))
}

/// A text message to the client.
pub(super) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message(&Message::Text(text.to_owned()), &mut out);
    out
}

/// Masks what goes to a backend, where the gateway is the client (RFC 6455 §5.3).
fn encode(toward: Side, mut frame: Frame) -> Vec<u8> {
    if toward == Side::Upstream {
        frame.header_mut().mask = Some(rand::random());
    }
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a vector takes what is written");
    bytes
}
