//! The options of every TCP socket the gateway holds, on either leg.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

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

/// Sends what is the last toward a peer. The end of our direction has to follow: on Linux the kernel keeps the bytes for it, 200 ms at
/// most, and both leave in one packet (send(2), `MSG_MORE`).
///
/// # Errors
/// As of any write; of the kind `WouldBlock` where the socket takes nothing now.
pub fn send_last(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        const MSG_MORE: i32 = 0x8000;
        // As every write of the standard library's: a socket that is gone is an error, not a signal.
        const MSG_NOSIGNAL: i32 = 0x4000;
        let send = || SockRef::from(socket).send_with_flags(bytes, MSG_MORE | MSG_NOSIGNAL);
        socket.try_io(tokio::io::Interest::WRITABLE, send)
    }
    #[cfg(not(target_os = "linux"))]
    socket.try_write(bytes)
}

/// Has a socket that is given up end in a reset, and not as one does that has sent all. Where it cannot, it has gone already.
pub fn reset(socket: &TcpStream) {
    _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Sets a socket up: small frames leave at once, and a peer that the network took away is noticed.
///
/// # Errors
/// The system's, as when the peer has gone already.
pub fn tune<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    watch(socket)
}

/// Has the kernel notice a peer that the network took away. It takes five calls into it, and means nothing to a connection that is
/// younger than [`KEEPALIVE_AFTER`].
///
/// # Errors
/// The same.
pub fn watch<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_TRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::dial::dial;
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_made_is_watched_when_it_is_asked_to_be_and_sends_small_frames_at_once_before() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial("127.0.0.1", server.local_addr().unwrap().port()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert_eq!((socket.tcp_nodelay().unwrap(), socket.keepalive().unwrap()), (true, false));
        watch(&stream).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }
}
