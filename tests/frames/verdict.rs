//! The frame layer's verdict on a stream of bytes beside tungstenite's. Fuzzed as well (`fuzz/`), so it takes whatever comes.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self};
use wsgate::stage::{Message, Opcode, Pace, Side};
use wsgate::wire::close::Close;
use wsgate::wire::deflate::Inflater;
use wsgate::wire::frame::Cursor;
use wsgate::wire::message::{Assembler, Item};
use wsgate::wire::tick::Tick;
use wsgate::wire::violation::Violation;

/// The largest message that both take.
pub(crate) const LIMIT: usize = 1000;

/// What stood in a stream, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(Message<'static>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a Close.
    Closed,
    /// The bytes are used up; what they begin is not finished.
    Open,
    /// Something in them is refused; this rule, where we know.
    Refused(Option<Box<str>>),
}

/// The stream as the frame layer reads it, given in parts.
pub(crate) fn ours(from: Side, bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, End) {
    let (mut cursor, mut assembler) = (Cursor::new(from, LIMIT as u64, false), Assembler::default());
    let (mut read, mut pending) = (Vec::new(), Vec::new());
    for (tick, part) in parts(bytes, cuts).enumerate() {
        pending.extend_from_slice(part);
        // Control frames are counted by the second; each part is one of its own.
        let now = Tick::new(u32::try_from(tick).unwrap() * 10 + 10);
        loop {
            match assembler.read(&mut cursor, &pending, now, &mut Inflater::default(), |_, _| Ok(Pace::Go)) {
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
pub(crate) fn theirs(from: Side, bytes: &[u8]) -> (Vec<Seen>, End) {
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

/// Says where the two differ, but for what is decided otherwise: lengths must be in their shortest form, and close codes be ones
/// that may be sent.
///
/// # Errors
/// What one of them read and the other did not.
pub(crate) fn compare(from: Side, bytes: &[u8], cuts: &[usize]) -> Result<(), String> {
    let (mut read, end) = ours(from, bytes, cuts);
    let End::Refused(rule) = end else {
        // tungstenite rewrites a 1014 to its own 1002.
        if let Some(Seen::Close(code @ Some(1014), reason)) = read.last_mut() {
            (*code, *reason) = (Some(1002), "Protocol violation".to_owned());
        }
        return same(&(read, end), &theirs(from, bytes));
    };
    // We refuse at a head, or at the byte that shows it; tungstenite at the end of the frame, so it is given one.
    let filled = [bytes, &[0; LIMIT + 14]].concat();
    let (mut their_read, their_end) = theirs(from, &filled);
    let rule = rule.as_deref();
    if [Violation::LengthNotMinimal, Violation::CloseCode].iter().any(|violation| rule == Some(violation.as_str())) {
        their_read.truncate(read.len());
        return same(&read, &their_read);
    }
    same(&(read, End::Refused(None)), &(their_read, their_end))
}

fn same<T: PartialEq + std::fmt::Debug>(ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("  ours: {ours:?}\ntheirs: {theirs:?}")) }
}

/// `bytes` in parts of these lengths, again and again.
pub(crate) fn parts<'a>(mut bytes: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut cuts = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let cut = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, bytes.len().max(1));
        let (part, rest) = bytes.split_at_checked(cut)?;
        bytes = rest;
        Some(part)
    })
}
