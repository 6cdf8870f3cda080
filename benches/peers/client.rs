//! One connection of the load generator.

use std::io::{Error, Result};

use mio::event::Event;

use crate::frame::{CLOSE, PING, PONG, TEXT, masked};
use crate::inbox::{Inbox, Read};
use crate::link::Link;
use crate::message::Message;

/// The key that every client asks with (RFC 6455 §1.3), and what it is to be answered.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SWITCHING: &str = "HTTP/1.1 101 ";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub struct Client {
    link: Link,
    inbox: Inbox,
    number: u32,
    /// The answer to the request, until it is whole.
    answer: Option<Vec<u8>>,
    /// Messages that have been sent, answered, and are to be.
    sent: u32,
    answered: u32,
    goal: u32,
    is_closing: bool,
}

/// What a turn came to.
#[derive(PartialEq)]
pub enum Outcome {
    Going,
    /// The last message has been answered.
    Answered,
    /// The Close has been answered, and the connection has ended.
    Closed,
}

/// What clients share for a turn.
pub struct Desk<'d> {
    pub buffer: &'d mut [u8],
    pub out: &'d mut Vec<u8>,
    pub message: &'d mut Message,
    /// Messages that may be on their way at a time.
    pub depth: u32,
}

impl Client {
    /// Sends its request. One message is to be answered behind the handshake.
    pub fn new(mut link: Link, number: u32, request: &[u8]) -> Result<Self> {
        link.send(request)?;
        let answer = Some(Vec::new());
        Ok(Self { link, inbox: Inbox::default(), number, answer, sent: 0, answered: 0, goal: 1, is_closing: false })
    }

    /// So many more messages are to be answered.
    pub fn ask(&mut self, messages: u32, desk: &mut Desk<'_>) -> Result<()> {
        self.goal += messages;
        self.send(desk)
    }

    pub fn close(&mut self) -> Result<()> {
        self.is_closing = true;
        self.link.send(&masked(CLOSE, &1000u16.to_be_bytes()))
    }

    pub fn turn(&mut self, event: &Event, desk: &mut Desk<'_>) -> Result<Outcome> {
        self.link.flush()?;
        let before = self.answered;
        let mut has_ended = false;
        while event.is_readable() && !has_ended {
            let read = if self.answer.is_some() { self.upgraded(desk)? } else { self.read(desk)? };
            has_ended = read == Read::Ended;
            if read == Read::Dry && !event.is_read_closed() {
                break;
            }
        }
        if has_ended && !self.is_closing {
            return Err(Error::other("it was ended"));
        }
        if self.answer.is_none() {
            self.send(desk)?;
        }
        Ok(match () {
            () if has_ended => Outcome::Closed,
            () if self.answered > before && self.answered == self.goal => Outcome::Answered,
            () => Outcome::Going,
        })
    }

    /// Sends what may be on its way now, in one write.
    fn send(&mut self, desk: &mut Desk<'_>) -> Result<()> {
        let count = (self.answered + desk.depth).min(self.goal) - self.sent;
        self.sent += count;
        match count {
            0 => Ok(()),
            1 => self.link.send(desk.message.frame(self.number, self.sent)),
            _ => {
                desk.out.clear();
                for number in self.sent - count + 1..=self.sent {
                    desk.out.extend_from_slice(desk.message.frame(self.number, number));
                }
                self.link.send(desk.out)
            }
        }
    }

    /// Reads answers. Pings are answered, as any client's would be.
    fn read(&mut self, desk: &mut Desk<'_>) -> Result<Read> {
        let mut pong = None;
        let read = self.inbox.read(&mut self.link, desk.buffer, |opcode, payload| {
            match opcode {
                TEXT => {
                    self.answered += 1;
                    if !desk.message.is_answer(self.number, self.answered, payload) {
                        return Err(Error::other("an answer is not the one that was due"));
                    }
                }
                PING => pong = Some(masked(PONG, payload)),
                CLOSE if !self.is_closing => return Err(Error::other("it was closed")),
                _ => {}
            }
            Ok(())
        })?;
        self.link.send(&pong.unwrap_or_default())?;
        Ok(read)
    }

    /// Reads the answer to the request; nothing comes behind it before the client has spoken.
    fn upgraded(&mut self, desk: &mut Desk<'_>) -> Result<Read> {
        let Some(count) = self.link.read(desk.buffer)? else { return Ok(Read::Dry) };
        let answer = self.answer.get_or_insert_default();
        answer.extend_from_slice(&desk.buffer[..count]);
        let head = String::from_utf8_lossy(answer);
        if answer.len() >= SWITCHING.len() && !head.starts_with(SWITCHING) {
            return Err(Error::other(head));
        }
        if answer.ends_with(b"\r\n\r\n") {
            if !head.contains(ACCEPT) {
                return Err(Error::other(head));
            }
            self.answer = None;
        }
        Ok(if count == 0 { Read::Ended } else { Read::Dry })
    }
}
