//! The frame layer and tungstenite read the same bytes and come to the same verdict.

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self};
use wsgate::stage::{Message, Opcode, Pace, Side};
use wsgate::wire::close::Close;
use wsgate::wire::frame::Cursor;
use wsgate::wire::message::{Assembler, Item};
use wsgate::wire::tick::Tick;
use wsgate::wire::violation::Violation;

use super::bytes::{parts, traffic};

const LIMIT: usize = 1000;

/// What stood in a stream, in order.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(Message<'static>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With a Close.
    Closed,
    /// The bytes are used up; what they begin is not finished.
    Open,
    /// Something in them is refused; this rule, where we know.
    Refused(Option<Box<str>>),
}

/// The stream as the frame layer reads it, given in parts.
fn ours(from: Side, bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, End) {
    let (mut cursor, mut assembler) = (Cursor::new(from, LIMIT as u64, false), Assembler::default());
    let (mut read, mut pending) = (Vec::new(), Vec::new());
    for (tick, part) in parts(bytes, cuts).enumerate() {
        pending.extend_from_slice(part);
        // Control frames are counted by the second; each part is one of its own.
        let now = Tick::new(u32::try_from(tick).unwrap() * 10 + 10);
        loop {
            match assembler.read(&mut cursor, &pending, now, |_, _| Ok(Pace::Go)) {
                Ok((taken, item)) => {
                    pending.drain(..taken);
                    match item {
                        None => break,
                        Some(Item::Held(_)) => unreachable!("nobody holds"),
                        Some(Item::Message(message)) => read.push(Seen::Message(message.into_owned())),
                        Some(Item::Control(frame)) => match frame.opcode {
                            Opcode::Ping => read.push(Seen::Ping(frame.payload().to_vec())),
                            Opcode::Pong => read.push(Seen::Pong(frame.payload().to_vec())),
                            _ => {
                                let close = Close::parse(frame.payload()).unwrap();
                                read.push(Seen::Close(close.code, close.reason.into()));
                                return (read, End::Closed);
                            }
                        },
                    }
                }
                Err(refusal) => return (read, End::Refused(refusal.rule)),
            }
        }
    }
    (read, End::Open)
}

/// Bytes to read; what is written goes nowhere.
struct Stream<'a>(&'a [u8]);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The stream as tungstenite reads it.
fn theirs(from: Side, bytes: &[u8]) -> (Vec<Seen>, End) {
    let role = if from == Side::Client { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default().max_frame_size(Some(LIMIT)).max_message_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Stream(bytes), role, Some(config));
    let mut read = Vec::new();
    loop {
        use tungstenite::Message as Theirs;
        read.push(match socket.read() {
            Ok(Theirs::Text(text)) => Seen::Message(text.to_string().into()),
            Ok(Theirs::Binary(bytes)) => Seen::Message(Message::Binary(bytes.to_vec().into())),
            Ok(Theirs::Ping(payload)) => Seen::Ping(payload.to_vec()),
            Ok(Theirs::Pong(payload)) => Seen::Pong(payload.to_vec()),
            Ok(Theirs::Close(close)) => {
                let code = close.as_ref().map(|close| close.code.into());
                read.push(Seen::Close(code, close.map(|close| close.reason.to_string()).unwrap_or_default()));
                return (read, End::Closed);
            }
            Ok(Theirs::Frame(_)) => unreachable!("reading gives no raw frames"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (read, End::Open),
            Err(_) => return (read, End::Refused(None)),
        });
    }
}

/// Asserts the same verdict, but for what DESIGN.md §6 and §7 decide otherwise.
fn compare(from: Side, bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let (mut read, end) = ours(from, bytes, cuts);
    let End::Refused(rule) = end else {
        let theirs = theirs(from, bytes);
        // tungstenite rewrites a 1014 to its own 1002.
        if let Some(Seen::Close(code @ Some(1014), reason)) = read.last_mut() {
            (*code, *reason) = (Some(1002), "Protocol violation".to_owned());
        }
        prop_assert_eq!((read, end), theirs);
        return Ok(());
    };
    // We refuse at a head, or at the byte that shows it; tungstenite at the end of the frame, so it is given one.
    let filled = [bytes, &[0; LIMIT + 14]].concat();
    let (their_read, their_end) = theirs(from, &filled);
    let rule = rule.as_deref();
    let is_stricter = [Violation::LengthNotMinimal, Violation::CloseCode].iter().any(|violation| rule == Some(violation.as_str()));
    prop_assert_eq!(their_read.get(..read.len()), Some(&read[..]), "before {:?}", rule);
    if !is_stricter {
        prop_assert_eq!(their_read.len(), read.len(), "{:?}", rule);
        prop_assert_eq!(their_end, End::Refused(None), "{:?}", rule);
    }
    Ok(())
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Upstream)]
}

/// Well-formed traffic in which some bytes were changed, and an end lost.
fn damaged() -> impl Strategy<Value = (Side, Vec<u8>)> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    sides().prop_flat_map(traffic_of).prop_flat_map(move |(side, bytes)| {
        (damage.clone(), 0..=bytes.len()).prop_map(move |(damage, lost)| {
            let mut bytes = bytes.clone();
            for (at, byte) in damage.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(bytes.len() - lost / 4);
            (side, bytes)
        })
    })
}

fn traffic_of(side: Side) -> impl Strategy<Value = (Side, Vec<u8>)> {
    traffic(side).prop_map(move |frames| (side, frames.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn well_formed_traffic_is_read_alike((side, bytes) in sides().prop_flat_map(traffic_of), cuts in vec(1..300_usize, 1..8)) {
        let (_, end) = ours(side, &bytes, &cuts);
        prop_assert_eq!(end, End::Open);
        compare(side, &bytes, &cuts)?;
    }

    #[test]
    fn damaged_traffic_is_judged_alike((side, bytes) in damaged(), cuts in vec(1..300_usize, 1..8)) {
        compare(side, &bytes, &cuts)?;
    }

    #[test]
    fn arbitrary_bytes_are_judged_alike(side in sides(), bytes in vec(any::<u8>(), 0..400), cuts in vec(1..100_usize, 1..8)) {
        compare(side, &bytes, &cuts)?;
    }

    #[test]
    fn heads_that_are_nearly_right_are_judged_alike(
        side in sides(),
        heads in vec((any::<[bool; 2]>(), 0..16_u8, 0..130_u8, vec(any::<u8>(), 0..130)), 1..12),
        cuts in vec(1..100_usize, 1..8),
    ) {
        let mask = if side == Side::Client { 0x80 } else { 0 };
        let mut bytes = Vec::new();
        for ([is_final, has_rsv], opcode, length, payload) in heads {
            bytes.push(opcode | u8::from(is_final) << 7 | u8::from(has_rsv && length > 120) << 6);
            bytes.push(mask | length.min(127));
            bytes.extend(payload);
        }
        compare(side, &bytes, &cuts)?;
    }

    #[test]
    fn closes_are_judged_alike(side in sides(), code in prop_oneof![0..20_u16, 990..1020_u16, 2990..5010_u16], reason in vec(any::<u8>(), 0..6), cut in 0..8_usize) {
        let payload = [&code.to_be_bytes()[..], &reason].concat();
        let payload = payload.get(..cut).unwrap_or(&payload);
        compare(side, &super::bytes::frame(side, super::bytes::CLOSE, payload), &[3])?;
    }
}
