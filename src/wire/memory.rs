//! A peer in memory: what it is made to say, and what it hears. For connections that are rehearsed instead of made.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stage::{Message, Opcode, Pace, Side};

use super::close::Close;
use super::deflate::Inflater;
use super::frame::Cursor;
use super::message::{Assembler, Item};
use super::own;
use super::tick::Tick;

/// The peer. What it says and hears is held until it is read; who rehearses bounds it by saying no more.
#[derive(Clone, Debug, Default)]
pub struct Peer(Arc<Mutex<Bytes>>);

/// The gateway's end of the stream to it. It never has to wait for room, and nobody wakes who waits for bytes: poll again once the
/// peer has said more.
#[derive(Debug)]
pub struct Stream(Peer);

#[derive(Debug, Default)]
struct Bytes {
    said: Vec<u8>,
    /// How much of it has been read.
    read: usize,
    heard: Vec<u8>,
}

/// What a peer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Message<'static>),
    /// A Close frame.
    Close(Close),
}

impl Peer {
    /// A peer that has said nothing, and the stream to it.
    pub fn new() -> (Self, Stream) {
        let peer = Self::default();
        (peer.clone(), Stream(peer))
    }

    /// Says a message, as a client does: in one masked frame (RFC 6455 §5.3).
    pub fn say(&self, message: &Message<'_>) {
        own::message(Side::Upstream, message, &mut self.bytes().said);
    }

    /// What it has heard as a client since it was asked last; control frames other than a Close are nothing to it.
    pub fn hear(&self) -> Vec<Heard> {
        let bytes = std::mem::take(&mut self.bytes().heard);
        let (mut cursor, mut assembler) = (Cursor::new(Side::Upstream, u64::MAX, false), Assembler::default());
        let (mut at, mut heard) = (0, Vec::new());
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            // What the gateway sends breaks no rule and ends with a whole frame.
            let Ok((taken, Some(item))) = assembler.read(&mut cursor, rest, Tick::default(), &mut Inflater::default(), |_, _| Ok(Pace::Go))
            else {
                break;
            };
            at += taken;
            match item {
                Item::Message(message) => heard.push(Heard::Message(message.into_owned())),
                Item::Control(frame) if frame.opcode == Opcode::Close => {
                    heard.push(Heard::Close(Close::parse(frame.payload()).unwrap_or_default()));
                }
                Item::Control(_) | Item::Held(_) => {}
            }
        }
        heard
    }

    /// How many bytes of what it said are not read, and how many it has heard: it stands still where neither changes.
    pub fn standing(&self) -> (usize, usize) {
        let bytes = self.bytes();
        (bytes.said.len() - bytes.read, bytes.heard.len())
    }

    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl super::stream::Stream for Stream {}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = self.0.bytes();
        let rest = bytes.said.get(bytes.read..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        bytes.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, written: &[u8]) -> Poll<io::Result<usize>> {
        self.0.bytes().heard.extend_from_slice(written);
        Poll::Ready(Ok(written.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_a_peer_says_is_read_and_what_it_is_sent_is_heard() {
        let (peer, mut stream) = Peer::new();
        peer.say(&Message::Text("hello".into()));
        let mut bytes = vec![0; 64];
        let count = stream.read(&mut bytes).await.unwrap();
        let mut cursor = Cursor::new(Side::Client, 64, false);
        let mut assembler = Assembler::default();
        let read = assembler.read(&mut cursor, &bytes[..count], Tick::default(), &mut Inflater::default(), |_, _| Ok(Pace::Go)).unwrap();
        assert!(matches!(read.1, Some(Item::Message(Message::Text(text))) if text == "hello"));
        assert_eq!(peer.standing(), (0, 0));

        let mut sent = own::ping(Side::Client);
        sent.extend(own::text("one"));
        sent.extend(own::close(Side::Client, Some(1008), "enough"));
        stream.write_all(&sent).await.unwrap();
        let close = Close { code: Some(1008), reason: "enough".into() };
        assert_eq!(peer.hear(), [Heard::Message(Message::Text("one".into())), Heard::Close(close)]);
        assert_eq!(peer.hear(), []);
    }
}
