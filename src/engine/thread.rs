//! A worker's thread: one single-threaded runtime; a connection never leaves the one it was handed to.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior};

use crate::wire::tick::{TICK, Ticks};

use super::Shared;
use super::connection;
use super::task::Task;
use super::worker::{Accepted, Inbox, Load, Worker};

/// Sockets that may wait for a busy worker; an acceptor waits with the next.
const INBOX: usize = 256;
/// Connections that are called between two looks at the sockets: what others wait for them is about a millisecond.
const AT_A_TIME: usize = 64;

/// A worker's thread, as the engine holds it.
pub(super) struct Thread {
    pub(super) worker: Arc<Worker>,
    pub(super) inbox: Inbox,
    pub(super) runtime: Handle,
    thread: JoinHandle<()>,
}

impl Thread {
    /// Starts a worker's thread; it ends when `stop` turns true, and its connections with it.
    ///
    /// # Errors
    /// When the host refuses a thread or a poller.
    pub(super) fn start(index: usize, shared: Arc<Shared>, stop: watch::Receiver<bool>) -> std::io::Result<Self> {
        let worker = Arc::new(Worker::new(index, shared));
        let (inbox, sockets) = mpsc::channel(INBOX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (work, handle) = (run(worker.clone(), sockets, stop), runtime.handle().clone());
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            runtime.block_on(work);
            // A name that is being resolved has a thread of its own, and may take seconds: nobody waits for it any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { worker, inbox, runtime: handle, thread })
    }

    /// Waits for the thread, after `stop`.
    pub(super) fn join(self) {
        drop(self.inbox);
        // A worker that panicked has printed why; there is nothing left to stop.
        _ = self.thread.join();
    }
}

/// Calls connections whose time has come.
async fn turn_wheel(worker: Arc<Worker>) {
    let begun = Instant::now();
    let mut turned = 0;
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        let ticks = Ticks::from(begun.elapsed()).get();
        let due = worker.wheel.advance(ticks.saturating_sub(turned));
        turned = ticks.max(turned);
        // After a pause of the whole process sockets and deadlines are ready at once. The sockets have their turn first: a pong that
        // lies there unread has not been missed.
        yield_now().await;
        // Ten thousand tokens may end in the same second: whose time has not come is served in between.
        for some in due.chunks(AT_A_TIME) {
            for record in some.iter().filter_map(|place| worker.registry.get(*place)) {
                record.call();
            }
            yield_now().await;
        }
    }
}

/// Conducts what comes in, until the engine stops.
async fn run(worker: Arc<Worker>, mut inbox: mpsc::Receiver<(Accepted, Load)>, mut stop: watch::Receiver<bool>) {
    tokio::spawn(turn_wheel(worker.clone()));
    loop {
        tokio::select! {
            accepted = inbox.recv() => match accepted {
                Some((accepted, load)) => { tokio::spawn(Task::new(connection::conduct(load, accepted))); }
                None => break,
            },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
    // No acceptor is left to hand us sockets; those we have live on until the engine stops.
    _ = stop.wait_for(|stop| *stop).await;
}
