//! The conversation of `wsgate connect`: lines out, messages in, and how it ended.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::wire::stream;

use super::connect::Input;
use super::{Failure, say};

/// How long the server may take to answer our Close.
const FAREWELL: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<stream::Socket>;

/// Sends each line as a text and prints what comes, until either side has closed. What is sent never waits for what comes, nor the
/// other way round: a server that answers everything could otherwise stop both.
pub(super) async fn talk(socket: Socket, input: Input, quiet: bool) -> Result<(), Failure> {
    let (sink, mut messages) = socket.split();
    let mut sending = pin!(send(sink, input));
    let mut sent = None;
    let mut closed = None;
    let mut deadline = Instant::now();
    loop {
        tokio::select! {
            done = &mut sending, if sent.is_none() => {
                sent = Some(done?);
                deadline = Instant::now() + FAREWELL;
            }
            () = sleep_until(deadline), if sent.is_some() || closed.is_some() => break,
            message = messages.next() => match message {
                Some(Ok(Message::Close(frame))) => {
                    closed = Some(frame);
                    deadline = Instant::now() + FAREWELL;
                }
                Some(Ok(message)) => print(&message, quiet)?,
                Some(Err(error)) if closed.is_none() => return Err(Failure::could(format!("closed: 1006, {error}"))),
                Some(Err(_)) | None => break,
            },
        }
    }
    let was_ours = sent.is_some_and(|sent| sent.is_closed);
    match closed {
        Some(frame) => farewell(frame.as_ref(), was_ours || quiet),
        None => Err(Failure::could("closed: 1006, the server sent no Close frame")),
    }
}

/// The sender, once it is done.
struct Sent {
    /// Kept for as long as anything is read: the socket of a half that is dropped could no longer be written to.
    _sink: SplitSink<Socket, Message>,
    /// Whether it ended with a Close of ours.
    is_closed: bool,
}

/// Sends every line, then a Close: the answers to what was sent come before the answer to that. A socket that takes no more has been
/// closed by the server, which says why to whoever reads.
async fn send(mut sink: SplitSink<Socket, Message>, mut input: Input) -> Result<Sent, Failure> {
    while let Some(line) = input.next_line().await.map_err(|error| Failure::could(format!("cannot read the input: {error}")))? {
        if sink.send(Message::text(line)).await.is_err() {
            return Ok(Sent { _sink: sink, is_closed: false });
        }
    }
    let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let is_closed = sink.send(Message::Close(Some(close))).await.is_ok();
    Ok(Sent { _sink: sink, is_closed })
}

/// Messages go to standard output, all else to standard error.
fn print(message: &Message, quiet: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match message {
        Message::Text(text) if out.is_terminal() => writeln!(out, "{}", harmless(text)),
        Message::Text(text) => writeln!(out, "{text}"),
        Message::Binary(bytes) => writeln!(out, "({} of binary)", counted(bytes.len())),
        Message::Ping(payload) if !quiet => {
            say(&format!("ping ({})", counted(payload.len())));
            Ok(())
        }
        _ => Ok(()),
    }?;
    out.flush()
}

/// A text whose control characters are written out: a terminal would obey them.
fn harmless(text: &str) -> String {
    let escaped = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

fn counted(bytes: usize) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

/// Says how the server closed: anything but a normal close is a failure for scripts; that one need not be told where it is the answer to
/// our own.
fn farewell(frame: Option<&CloseFrame>, is_quiet: bool) -> Result<(), Failure> {
    let (code, reason) = frame.map_or((1005, "no code"), |frame| (u16::from(frame.code), frame.reason.as_str()));
    let line = format!("closed: {code} {}", harmless(reason));
    if !matches!(code, 1000 | 1005) {
        return Err(Failure::could(line.trim_end()));
    }
    if !is_quiet {
        say(line.trim_end());
    }
    Ok(())
}
