//! The options of every TCP socket the gateway holds, on either leg.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How long a connection is silent before the kernel asks whether the peer is still there.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How long the kernel waits before it asks again.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How often it asks in vain.
pub const KEEPALIVE_TRIES: u32 = 4;
/// How long sent bytes may stay unacknowledged before the kernel gives the peer up (RFC 5482); without it, 15 minutes and more. Linux
/// counts a peer that reads nothing too, so it is longer than the 30 s after which the relay ends such a peer and says why.
pub const USER_TIMEOUT: Duration = Duration::from_secs(45);

/// Whether the host has run out of something for sockets, so that whoever is at the other end is not to blame and the next try
/// fails as well: descriptors (EMFILE, ENFILE), memory (ENOBUFS, ENOMEM), local ports (EADDRNOTAVAIL).
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12 | 99))
}

/// Has the kernel keep what is written until there is a packet full of it or our direction is shut down, on Linux; 200 ms at most
/// (tcp(7), `TCP_CORK`). Where it cannot, there is a packet more.
pub fn cork<'s>(socket: impl Into<SockRef<'s>>) {
    #[cfg(target_os = "linux")]
    let _ = socket.into().set_tcp_cork(true);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Sets a socket up: small frames leave at once, and a peer that the network took away is noticed.
///
/// # Errors
/// The system's, as when the peer has gone already.
pub fn tune<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_TRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
