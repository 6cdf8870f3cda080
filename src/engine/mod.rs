//! Time: accepts connections, conducts each through its pipeline, ends it.

mod accept;
mod connection;
mod door;
mod live;
mod liveness;
mod opening;
mod policy;
mod registry;
mod request;
mod thread;
mod tidy;
mod visit;
mod wheel;
mod worker;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::observe::event::Event;
use crate::wire::tick::TICK;

use thread::Thread;

/// How long a drained engine waits for closed connections to say goodbye.
const FAREWELL: Duration = Duration::from_secs(10);

/// The host refused something the gateway needs to start.
#[derive(Debug)]
pub struct StartError {
    what: String,
    why: io::Error,
}

impl StartError {
    fn new(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |why| Self { what, why }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for StartError {}

/// What acceptors and connections share.
struct Shared {
    gateway: ArcSwap<Gateway>,
}

/// A running gateway.
pub struct Engine {
    shared: Arc<Shared>,
    workers: Vec<Thread>,
    /// What runs beside the workers' connections: the acceptors, and the tidying up.
    acceptors: JoinSet<()>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    stop: watch::Sender<bool>,
    is_drained: bool,
}

impl Engine {
    /// Binds every listener's addresses and starts accepting. Acceptors run on the tokio runtime this is called in,
    /// connections on threads of their own.
    ///
    /// # Errors
    /// When an address cannot be bound or a thread not started; nothing has been accepted then.
    pub fn start(gateway: Gateway) -> Result<Self, StartError> {
        let mut bound = Vec::new();
        for listener in gateway.listeners.values() {
            for &address in &listener.addresses {
                let failed = || StartError::new(format!("cannot listen on {address} (listener.{})", listener.name));
                let socket = accept::bind(address, listener.has_v4_twin(address)).map_err(failed())?;
                let local = socket.local_addr().map_err(failed())?;
                bound.push((listener.name.clone(), local, TcpListener::from_std(socket).map_err(failed())?));
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::new();
        for index in 0..gateway.threads {
            workers.push(Thread::start(index, stopped.clone()).map_err(StartError::new("cannot start a worker thread"))?);
        }
        gateway.take_effect();
        let shared = Arc::new(Shared { gateway: ArcSwap::from_pointee(gateway) });
        let team: accept::Workers = workers.iter().map(|handle| (handle.worker.clone(), handle.inbox.clone())).collect();
        let mut acceptors = JoinSet::new();
        let mut addresses = Vec::new();
        for (name, address, socket) in bound {
            Event::Listening { listener: &name, address }.emit();
            acceptors.spawn(accept::accept(socket, name.clone(), shared.clone(), team.clone()));
            addresses.push((name, address));
        }
        acceptors.spawn(tidy::tidy(shared.clone()));
        Ok(Self { shared, workers, acceptors, addresses, stop, is_drained: false })
    }

    /// The bound addresses with their listeners' names; a configured port 0 has its real one here.
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// Connections and handshakes in progress.
    pub fn connections(&self) -> usize {
        self.workers.iter().map(|handle| handle.worker.load()).sum()
    }

    /// Is not ready from now on, as health endpoints tell it; stops accepting after the configured delay, ends every connection with 1001 over the configured time, and returns
    /// when the last is gone. Dropping the future leaves the engine as it is then; [`stop`](Self::stop) ends the rest at once.
    pub async fn drain(&mut self) {
        let drain = self.shared.gateway.load().drain;
        self.workers.iter().for_each(|handle| handle.worker.begin_to_stop());
        if !drain.delay.is_zero() {
            Event::Stopping { delay: drain.delay }.emit();
            tokio::time::sleep(drain.delay).await;
        }
        self.acceptors.shutdown().await;
        let (began, open) = (Instant::now(), self.connections());
        Event::Draining { connections: open, over: drain.over }.emit();
        let mut told = JoinSet::new();
        for handle in &self.workers {
            let worker = handle.worker.clone();
            told.spawn(async move { worker.drain(drain.over).await });
        }
        told.join_all().await;
        let gone = async {
            let mut clock = tokio::time::interval(TICK);
            while self.connections() > 0 {
                clock.tick().await;
            }
        };
        _ = tokio::time::timeout(FAREWELL, gone).await;
        let cut = self.connections();
        Event::Drained { closed: open.saturating_sub(cut), cut, duration: began.elapsed() }.emit();
        self.is_drained = true;
    }

    /// Stops: what is still open ends with its sockets.
    pub fn stop(self) {
        let cut = self.connections();
        if !self.is_drained && cut > 0 {
            Event::Drained { closed: 0, cut, duration: Duration::ZERO }.emit();
        }
        drop(self.acceptors);
        self.stop.send_replace(true);
        for handle in self.workers {
            handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::time::SystemTime;

    use crate::stage::{Client, Peer};

    /// Somebody on some route.
    pub(super) fn client() -> Arc<Client> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let peer = Peer { address, ip: address.ip(), local: address, listener: "l".into(), accepted: SystemTime::UNIX_EPOCH };
        Arc::new(Client {
            id: 0,
            peer,
            route: "r".into(),
            host: "h".into(),
            port: None,
            path: "/".into(),
            origin: None,
            params: Box::default(),
            identities: Box::default(),
            counters: Default::default(),
            holdings: Default::default(),
            request: None,
            first_message: None,
        })
    }
}
