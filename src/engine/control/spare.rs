//! A spare descriptor: the gateway can be asked what is wrong when there is none left, and that is when somebody asks.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use futures_util::FutureExt;
use tokio::net::{UnixListener, UnixStream};

/// A descriptor that is given up for a client where the system has no other.
pub(super) struct Spare(Option<OwnedFd>);

impl Spare {
    /// Takes one, if there is one.
    pub(super) fn take() -> Self {
        let mut spare = Self(None);
        spare.renew();
        spare
    }

    /// The next client. Cancel-safe.
    pub(super) async fn accept(&mut self, listener: &UnixListener) -> io::Result<UnixStream> {
        self.renew();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if self.0.take().is_none() => return Err(error),
                // Where there is no descriptor, the system says so whether or not somebody waits.
                Err(_) => match listener.accept().now_or_never() {
                    Some(accepted) => return accepted.map(|(stream, _)| stream),
                    None => self.renew(),
                },
            }
        }
    }

    fn renew(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok().map(OwnedFd::from);
        }
    }

    /// Keeps the descriptor of a client that has been answered, before anybody else in this process can take it.
    pub(super) fn keep(&mut self, answered: UnixStream) {
        if self.0.is_none() {
            self.0 = answered.into_std().ok().map(OwnedFd::from);
        }
    }
}
