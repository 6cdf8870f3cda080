//! Time: accepts connections, conducts each through its pipeline, ends it.

mod accept;
mod ages;
mod connection;
pub mod control;
mod door;
mod exchange;
mod expiry;
mod judge;
pub mod keeper;
mod live;
mod liveness;
pub mod logs;
mod multiplex;
mod opening;
mod outside;
mod pacer;
mod pages;
mod passing;
mod policy;
mod progress;
mod recheck;
mod redeem;
mod registry;
mod reload;
mod renewing;
mod request;
mod roster;
mod scrape;
mod seal;
mod sockets;
mod source;
mod standing;
mod stopping;
mod task;
mod texts;
mod thread;
mod tickets;
mod tidy;
mod vigil;
mod visit;
pub mod watch;
mod way;
mod wheel;
mod worker;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::observe::event::Event;
use crate::observe::metrics::Format;
use crate::observe::{Metrics, Observer};
use crate::wire::tick::TICK;

use ages::Ages;
use pacer::Pacer;
use recheck::Rechecks;
use roster::Roster;
use scrape::Scraper;
use sockets::Sockets;
use thread::Thread;
use tickets::Tickets;

pub use reload::{Cause, Impact, NotReloaded, Reloaded, Staying};

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
    observer: Arc<Observer>,
    /// Whoever an edit ends in turn.
    pacer: Pacer,
    /// Which parts of earlier snapshots are still gone by.
    ages: Ages,
    /// Which connections have which tickets.
    tickets: Tickets,
    /// How often connections were to be judged again for what has changed outside.
    rechecks: Rechecks,
}

/// A running gateway.
pub struct Engine {
    shared: Arc<Shared>,
    workers: Vec<Thread>,
    team: Arc<accept::Team>,
    sockets: Sockets,
    scraper: Arc<Scraper>,
    /// What runs beside the acceptors and the workers' connections: the tidying up, the word on certificates, and the closing in turn.
    chores: JoinSet<()>,
    stop: tokio::sync::watch::Sender<bool>,
    is_drained: bool,
}

impl Engine {
    /// Binds the addresses of every listener and every page of metrics, and starts accepting. Acceptors run on the tokio runtime this is
    /// called in, connections on threads of their own.
    ///
    /// # Errors
    /// When an address cannot be bound or a thread not started; nothing has been accepted then.
    pub fn start(gateway: Gateway) -> Result<Self, StartError> {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let threads = gateway.threads;
        let observer = Arc::new(Observer::new(threads));
        observer.metrics().retain(&scrape::names(&gateway));
        let gateway = ArcSwap::from_pointee(gateway);
        let shared = Arc::new(Shared {
            gateway,
            observer,
            pacer: Pacer::default(),
            ages: Ages::default(),
            tickets: Tickets::default(),
            rechecks: Rechecks::default(),
        });
        let mut workers = Vec::new();
        for index in 0..threads {
            let thread = Thread::start(index, shared.clone(), stopped.clone());
            workers.push(thread.map_err(StartError::new("cannot start a worker thread"))?);
        }
        let team = Arc::new(accept::Team::of(&workers));
        let attendant = shared.gateway.load().outside.attend();
        // The threads end with `stop`, should this fail.
        let mut sockets = Sockets::default();
        let bound = sockets.bind(&shared.gateway.load(), &team)?;
        shared.gateway.load().take_effect();
        let scraper = Arc::new(Scraper::new(shared.clone(), workers.iter().map(|handle| handle.worker.clone()).collect()));
        sockets.listen(bound, &scraper, &team);
        let mut chores = JoinSet::new();
        chores.spawn(tidy::tidy(shared.clone()));
        chores.spawn(expiry::tell(shared.clone()));
        let roster = Roster::new(shared.clone(), workers.iter().map(|thread| thread.worker.clone()).collect());
        chores.spawn(outside::attend(attendant, roster));
        let closing = shared.clone();
        chores.spawn(async move { closing.pacer.run(&closing).await });
        Ok(Self { shared, workers, team, sockets, scraper, chores, stop, is_drained: false })
    }

    /// The snapshot in force.
    pub fn gateway(&self) -> Arc<Gateway> {
        self.shared.gateway.load_full()
    }

    /// How many snapshots have been in force with the one that is.
    pub fn generation(&self) -> u64 {
        self.shared.ages.current()
    }

    /// The connections, for whoever looks on while the engine works.
    pub(crate) fn roster(&self) -> Roster {
        Roster::new(self.shared.clone(), self.workers.iter().map(|thread| thread.worker.clone()).collect())
    }

    /// The bound addresses with their listeners' names; a configured port 0 has its real one here.
    pub fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.sockets.addresses()
    }

    /// The bound addresses of its metrics, with the names of their pages.
    pub fn metrics_addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.sockets.metrics_addresses()
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        self.observer().metrics()
    }

    /// The page of its metrics as of now, for a program that serves it itself.
    ///
    /// # Errors
    /// See [`Metrics::page`].
    pub fn metrics_page(&self, format: Format) -> Result<String, fmt::Error> {
        self.scraper.page(format)
    }

    fn observer(&self) -> &Observer {
        &self.shared.observer
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
            self.observer().report(&Event::Stopping { delay: drain.delay });
            tokio::time::sleep(drain.delay).await;
        }
        self.sockets.close().await;
        let (began, open) = (Instant::now(), self.connections());
        self.observer().report(&Event::Draining { connections: open, over: drain.over });
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
        self.observer().report(&Event::Drained { closed: open.saturating_sub(cut), cut, duration: began.elapsed() });
        self.is_drained = true;
    }

    /// Stops: what is still open ends with its sockets.
    pub fn stop(self) {
        let cut = self.connections();
        if !self.is_drained && cut > 0 {
            self.observer().report(&Event::Drained { closed: 0, cut, duration: Duration::ZERO });
        }
        drop(self.sockets);
        drop(self.chores);
        self.stop.send_replace(true);
        for handle in self.workers {
            handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::policy::Policy;
    use super::registry::{Record, Settled};
    use crate::config::Document;
    use crate::gateway::{Catalog, Gateway};
    use crate::observe::Observer;
    use crate::stage::cells::Cells;
    use crate::stage::{Client, sample};

    /// What is known of somebody on some route.
    pub(super) fn record() -> Arc<Record> {
        let text = "[listener.l]\naddress = \"127.0.0.1:0\"\n[route.r]\nendpoint = \"echo\"\n";
        let (gateway, _) = Gateway::compile(&Document::parse("test", text, "."), &Catalog::default(), &Cells::default());
        let gateway = gateway.unwrap();
        let policy = Policy { listener: gateway.listeners["l"].clone(), route: gateway.routes[0].clone() };
        Arc::new(Record::new(client(), policy, Settled::default(), Arc::new(Observer::new(1))))
    }

    fn client() -> Arc<Client> {
        let mut client = Client { request: None, ..sample::client(&[]) };
        (client.peer.listener, client.route) = ("l".into(), "r".into());
        Arc::new(client)
    }
}
