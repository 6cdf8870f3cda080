//! A byte relay: reads from one socket, writes to the other, looks at nothing. What a proxy without io_uring, splice or a kernel of
//! its own can come to at best.

use std::io::Result;
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

use crate::link::{Link, wait};
use crate::places::Places;

const LISTENER: Token = Token(usize::MAX);

/// What is read at once, for all connections: 64 KiB, as of the proxies that are given large buffers.
const BUFFER: usize = 64 << 10;

/// Serves until it is killed.
pub fn run(listen: SocketAddr, backend: SocketAddr) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(listen).unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let mut pairs = Places::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        wait(&mut poll, &mut events);
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((client, _)) = listener.accept() {
                    // A backend that is not there ends the client, and nothing else.
                    _ = pairs.insert(|place| Pair::new(client, backend, poll.registry(), place));
                }
                continue;
            }
            let place = event.token().0 / 2;
            if pairs.get(place).is_some_and(|pair| pair.turn(event, &mut buffer).is_err() || pair.is_over()) {
                pairs.remove(place);
            }
        }
    }
}

/// A client and its backend.
struct Pair {
    links: [Link; 2],
    /// Which of them has sent its last byte.
    has_ended: [bool; 2],
}

impl Pair {
    fn new(client: TcpStream, backend: SocketAddr, registry: &Registry, place: usize) -> Result<Self> {
        let client = Link::new(client, registry, Token(place * 2))?;
        let backend = Link::new(TcpStream::connect(backend)?, registry, Token(place * 2 + 1))?;
        Ok(Self { links: [client, backend], has_ended: [false; 2] })
    }

    fn is_over(&self) -> bool {
        self.has_ended == [true; 2] && self.links.iter().all(Link::is_clear)
    }

    fn turn(&mut self, event: &Event, buffer: &mut [u8]) -> Result<()> {
        let side = event.token().0 % 2;
        let is_freed = event.is_writable() && !self.links[side].is_clear();
        if is_freed {
            self.links[side].flush()?;
            // While this side took nothing the other was not read.
            self.copy(1 - side, true, buffer)?;
        }
        if event.is_readable() {
            self.copy(side, event.is_read_closed(), buffer)?;
        }
        Ok(())
    }

    /// Reads until nothing is there: `to_end` until the socket says so, else until a read brings less than it could.
    fn copy(&mut self, from: usize, to_end: bool, buffer: &mut [u8]) -> Result<()> {
        let [client, backend] = &mut self.links;
        let (src, dst) = if from == 0 { (client, backend) } else { (backend, client) };
        while dst.is_clear() && !self.has_ended[from] {
            match src.read(buffer)? {
                None => break,
                Some(0) => {
                    self.has_ended[from] = true;
                    dst.shut();
                }
                Some(count) => {
                    dst.send(&buffer[..count])?;
                    if count < buffer.len() && !to_end {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
