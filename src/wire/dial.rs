//! Resolves a host's name and connects to whichever of its addresses answers first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::sleep;

/// How long one address is waited for before the next is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// Of a name's addresses at most so many are tried.
const MAX_ADDRESSES: usize = 16;

/// A connection to this host, a name or an address without brackets. Small frames leave at once; that the kernel is to
/// [`watch`](super::socket::watch) it is left to whoever keeps it for long. The name is resolved each time; the deadline is the caller's.
///
/// # Errors
/// The resolver's, or the last address's.
pub async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match host.parse::<IpAddr>() {
        Ok(ip) => connect(SocketAddr::new(ip, port)).await?,
        Err(_) => first(lookup_host((host, port)).await?.take(MAX_ADDRESSES).collect(), connect).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects. The gateway speaks first on each connection that it makes, and at once: on Linux the last packet of TCP's handshake is left
/// to the request, so that the server is woken once and not twice.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&socket).set_tcp_quickack(false)?;
    socket.connect(address).await
}

/// Tries the addresses in their order, each as soon as the one before has failed or has been slow, and takes the first connection.
async fn first<T, F: Future<Output = io::Result<T>>>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T> {
    let mut addresses = addresses.into_iter().peekable();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        attempts.extend(addresses.next().map(&connect));
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if addresses.peek().is_some() => {}
            else => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What each port does: 1 connects, 2 refuses, 3 never answers, 4 connects after a second.
    async fn connected(ports: &[u16]) -> (Result<u16, io::ErrorKind>, Vec<u16>) {
        let tried = RefCell::new(Vec::new());
        let addresses = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
        let result = tokio::time::timeout(
            Duration::from_secs(3),
            first(addresses, |address| {
                tried.borrow_mut().push(address.port());
                async move {
                    match address.port() {
                        1 => Ok(1),
                        2 => Err(io::ErrorKind::ConnectionRefused.into()),
                        4 => {
                            sleep(Duration::from_secs(1)).await;
                            Ok(4)
                        }
                        _ => std::future::pending().await,
                    }
                }
            }),
        );
        let result = result.await.map_or(Err(io::ErrorKind::TimedOut), |result| result.map_err(|error| error.kind()));
        (result, tried.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_tried_in_order_and_the_first_connection_is_taken() {
        type Row<'a> = (&'a [u16], Result<u16, io::ErrorKind>, &'a [u16]);
        let rows: [Row<'_>; 8] = [
            (&[1, 2], Ok(1), &[1]),
            (&[2, 1], Ok(1), &[2, 1]),
            (&[3, 1], Ok(1), &[3, 1]),
            (&[3, 2, 4], Ok(4), &[3, 2, 4]),
            (&[4, 3], Ok(4), &[4, 3]),
            (&[2, 2], Err(io::ErrorKind::ConnectionRefused), &[2, 2]),
            (&[2, 3], Err(io::ErrorKind::TimedOut), &[2, 3]),
            (&[], Err(io::ErrorKind::NotFound), &[]),
        ];
        for (ports, expected, tried) in rows {
            assert_eq!(connected(ports).await, (expected, tried.to_vec()), "{ports:?}");
        }
    }
}
