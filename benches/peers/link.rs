//! A socket, and what it has not taken yet.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

pub struct Link {
    stream: TcpStream,
    unsent: Vec<u8>,
    /// How much of `unsent` has gone out since.
    sent: usize,
}

impl Link {
    /// Events come when something changes, both ways: who is told has to go on until nothing is left.
    pub fn new(mut stream: TcpStream, registry: &Registry, token: Token) -> Result<Self> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, unsent: Vec::new(), sent: 0 })
    }

    pub fn is_clear(&self) -> bool {
        self.unsent.is_empty()
    }

    /// One read; nothing where there is nothing now, 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        unless_blocked(self.stream.read(buffer))
    }

    /// Sends behind what waits; what the socket does not take now is kept.
    pub fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while self.is_clear() && !bytes.is_empty() {
            match unless_blocked(self.stream.write(bytes))? {
                Some(count) => bytes = &bytes[count..],
                None => break,
            }
        }
        self.unsent.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends what waits.
    pub fn flush(&mut self) -> Result<()> {
        while !self.is_clear() {
            let Some(count) = unless_blocked(self.stream.write(&self.unsent[self.sent..]))? else { return Ok(()) };
            self.sent += count;
            if self.sent == self.unsent.len() {
                self.unsent.clear();
                self.sent = 0;
            }
        }
        Ok(())
    }

    /// Ends our direction.
    pub fn shut(&self) {
        _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// Waits for events. Whoever attaches a tracer interrupts that, and nothing else does.
pub fn wait(poll: &mut Poll, events: &mut Events) {
    if let Err(error) = poll.poll(events, None) {
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    }
}

fn unless_blocked(result: Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(None),
        Err(error) => Err(error),
    }
}
