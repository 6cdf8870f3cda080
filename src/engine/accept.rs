//! Acceptors: one per address; each socket goes to the least loaded worker.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::gateway::listener::Listener;
use crate::observe::event::Event;
use crate::stage::Peer;
use crate::wire::socket;

use super::Shared;
use super::worker::{Accepted, Load, Worker};

/// Connections the kernel keeps for us while we are busy; it may keep fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// How long accepting rests when the host has no descriptors or memory left; doubled up to `LONGEST_REST`.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// So many errors in a row, of whichever kind, are the host's too: accepting rests instead of spinning.
const FAILURES: u32 = 64;

/// The workers an acceptor hands its sockets to.
pub(super) type Workers = Arc<[(Arc<Worker>, mpsc::Sender<(Accepted, Load)>)]>;

/// Binds one address. `only_v6` keeps a `[::]` from taking the IPv4 addresses too.
///
/// # Errors
/// What the host says.
pub(super) fn bind(address: SocketAddr, only_v6: bool) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until its task is dropped.
pub(super) async fn accept(sockets: TcpListener, name: Arc<str>, shared: Arc<Shared>, workers: Workers) {
    let (mut rest, mut failures) = (None, 0);
    loop {
        match sockets.accept().await {
            Ok((socket, address)) => {
                failures = 0;
                if rest.take().is_some() {
                    shared.observer.report(&Event::AcceptResumed { listener: &name });
                }
                let gateway = shared.gateway.load_full();
                let Some(listener) = gateway.listeners.get(&name).cloned() else { continue };
                if let Some((socket, peer)) = prepare(socket, address, &listener) {
                    hand_over(&workers, Accepted { socket, peer, listener, gateway }).await;
                }
            }
            Err(error) if socket::is_exhaustion(&error) || failures >= FAILURES => {
                if rest.is_none() {
                    shared.observer.report(&Event::AcceptPaused { listener: &name, error: &error });
                }
                let pause = rest.map_or(FIRST_REST, |before: Duration| (before * 2).min(LONGEST_REST));
                rest = Some(pause);
                tokio::time::sleep(pause).await;
            }
            // The client gave up between the kernel's accept and ours, or the network was at fault: nothing of ours.
            Err(_) => failures += 1,
        }
    }
}

/// Sets a socket up and frees it of this runtime: it will live on a worker's.
fn prepare(socket: TcpStream, address: SocketAddr, listener: &Listener) -> Option<(net::TcpStream, Peer)> {
    // A socket that refuses its options has been reset already.
    socket::tune(&socket).ok()?;
    let local = socket.local_addr().ok()?;
    let peer =
        Peer { address, ip: address.ip().to_canonical(), local, listener: listener.name.clone(), accepted: SystemTime::now(), tls: None };
    Some((socket.into_std().ok()?, peer))
}

async fn hand_over(workers: &Workers, accepted: Accepted) {
    if let Some((worker, inbox)) = workers.iter().min_by_key(|(worker, _)| worker.load()) {
        let load = worker.take_load();
        // Fails only while the engine stops: the socket closes.
        _ = inbox.send((accepted, load)).await;
    }
}
