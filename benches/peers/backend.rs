//! One connection of the echo backend.

use std::io::Result;

use mio::event::Event;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::frame::{CLOSE, PING, PONG, put};
use crate::inbox::{Inbox, Read};
use crate::link::Link;

pub struct Served {
    link: Link,
    inbox: Inbox,
    /// The request, until it is whole.
    request: Option<Vec<u8>>,
    /// Whether a Close has been answered.
    is_closing: bool,
}

impl Served {
    pub fn new(link: Link) -> Self {
        Self { link, inbox: Inbox::default(), request: Some(Vec::new()), is_closing: false }
    }

    /// Says whether the connection is over. All that one turn answers goes out in one write: a message is answered when it is whole,
    /// in however many pieces it has come.
    pub fn turn(&mut self, event: &Event, buffer: &mut [u8], out: &mut Vec<u8>) -> Result<bool> {
        self.link.flush()?;
        out.clear();
        let mut has_ended = false;
        while event.is_readable() && !has_ended {
            let read = if self.request.is_some() {
                self.upgrade(buffer, out)?
            } else {
                self.inbox.read(&mut self.link, buffer, |opcode, payload| {
                    self.is_closing |= opcode == CLOSE;
                    match opcode {
                        PING => put(out, PONG, None, payload),
                        PONG => {}
                        opcode => put(out, opcode, None, payload),
                    }
                    Ok(())
                })?
            };
            has_ended = read == Read::Ended;
            if read == Read::Dry && !event.is_read_closed() {
                break;
            }
        }
        self.link.send(out)?;
        Ok(has_ended || (self.is_closing && self.link.is_clear()))
    }

    /// Answers the request once it is whole; nothing comes behind it before it is answered.
    fn upgrade(&mut self, buffer: &mut [u8], out: &mut Vec<u8>) -> Result<Read> {
        let Some(count) = self.link.read(buffer)? else { return Ok(Read::Dry) };
        let request = self.request.get_or_insert_default();
        request.extend_from_slice(&buffer[..count]);
        if request.ends_with(b"\r\n\r\n") {
            let head = str::from_utf8(request).unwrap();
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            let (_, key) = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).unwrap();
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
            out.extend_from_slice(answer.as_bytes());
            out.extend_from_slice(derive_accept_key(key.trim().as_bytes()).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            self.request = None;
        }
        Ok(if count == 0 { Read::Ended } else { Read::Dry })
    }
}
