//! `wsgate run`: logs, signals, and the engine between them.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::engine::control::{Command, Control, Door};
use crate::engine::keeper::{Keeper, Source};
use crate::engine::watch::Watch;
use crate::engine::{Engine, logs};
use crate::gateway::{Catalog, Gateway};
use crate::observe::Logs;
use crate::observe::event::Event;
use crate::stage::cells::Cells;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::Failure;

/// Descriptors for what is no connection: sockets that listen, logs, watches, probes of health, files that are being read.
const OWN_DESCRIPTORS: u64 = 100;

/// How often troubles of the logs themselves are looked for and reported.
const LOOK_AFTER_LOGS: Duration = Duration::from_secs(5);

pub(crate) fn run(path: &Path, catalog: &Catalog) -> Result<(), Failure> {
    let runtime = runtime()?;
    // Watched before it is read, so that no edit falls between.
    let read_again = super::can_be_read_again(path).then(|| path.to_owned());
    let watch = runtime.block_on(Watch::new(read_again.clone()));
    let cells = Arc::new(Cells::default());
    let (gateway, document, warnings) = super::compile(path, catalog, &cells)?;
    super::prove(&document, &gateway, catalog, &warnings)?;
    // A log has each of them below; a person sees them where they stand.
    if io::stderr().is_terminal() {
        super::show(&document, &warnings);
    }
    let logs = Logs::default();
    logs.swap(logs::open(&logs, &gateway).map_err(Failure::Could)?);
    let _guard = logs.install().map_err(Failure::could)?;
    for warning in &warnings {
        Event::Warning { text: &format!("{}: {}", document.position(&warning.place), warning.message) }.emit();
    }
    let document = Arc::new(document);
    let source = Source { path: read_again, document: document.clone(), catalog: catalog.clone(), cells };
    serve_until_stopped(runtime, Path::new(document.name()), gateway, Some((source, watch)), &logs, |_| Ok(()))
}

/// What acceptors and the engine's chores run on, and nothing of a connection.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Serves a gateway until a signal ends it, in step with its source where it has one. `greet` is called when it listens, and before it
/// says that it has started.
pub(super) fn serve_until_stopped(
    runtime: Runtime,
    name: &Path,
    gateway: Gateway,
    source: Option<(Source, Watch)>,
    logs: &Logs,
    greet: impl FnOnce(&Engine) -> Result<(), Failure>,
) -> Result<(), Failure> {
    report_panics();
    raise_file_limit();
    runtime.block_on(async {
        // Taken before anything is served, so that no signal meets its deadly default.
        let signals = Signals::take()?;
        let listeners = gateway.listeners.len();
        // What has no text of its own has nobody who would know where to look for it.
        let door = match &source {
            Some((source, _)) => Some(Door::open(&gateway, source).await.map_err(Failure::Could)?),
            None => None,
        };
        let engine = Engine::start(gateway).map_err(Failure::could)?;
        engine.metrics().watch(logs);
        greet(&engine)?;
        let mut keeper = Keeper::new(engine, source, logs.clone()).await;
        let control = door.map(|door| door.serve(&mut keeper, logs));
        if let Some(text) = scarce_descriptors(&keeper.engine.gateway()) {
            Event::Warning { text: &text }.emit();
        }
        Event::Started { version: env!("CARGO_PKG_VERSION"), config: name, listeners }.emit();
        serve(keeper, control, signals, logs).await;
        Ok::<(), Failure>(())
    })?;
    // A text that is still being read, from a disk that may never answer, is not waited for.
    runtime.shutdown_background();
    Event::Stopped.emit();
    Ok(())
}

async fn serve(mut keeper: Keeper, mut control: Option<Control>, mut signals: Signals, logs: &Logs) {
    let is_urgent = tend(&mut keeper, &mut control, &mut signals, logs).await;
    // Whoever looks on may see the drain.
    control.iter_mut().for_each(Control::close);
    if !is_urgent {
        tokio::select! {
            () = keeper.engine.drain() => {}
            () = signals.stop() => {}
        }
    }
    report_troubles(logs);
    keeper.engine.stop();
}

/// Does what there is to do until a signal asks to stop, which waits for no edit that is still being read; whether a second one was
/// quicker than that.
async fn tend(keeper: &mut Keeper, control: &mut Option<Control>, signals: &mut Signals, logs: &Logs) -> bool {
    let stopping = keeper.stopping();
    let mut look = interval(LOOK_AFTER_LOGS);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let job = tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return false,
                Asked::Reload => Job::ReloadAll,
                Asked::Reopen => Job::Reopen,
            },
            () = keeper.changed() => Job::Reload,
            command = commanded(control) => Job::Command(command),
            _ = look.tick() => Job::Look,
        };
        let mut done = pin!(job.carry_out(keeper, logs));
        tokio::select! {
            () = &mut done => {}
            () = signals.stop() => {
                stopping.tell();
                return tokio::select! {
                    () = done => false,
                    () = signals.stop() => true,
                };
            }
        }
    }
}

/// What there is to do beside serving.
enum Job {
    /// The files have changed.
    Reload,
    /// So has whatever a SIGHUP speaks of: log files, which may have been moved away, among it.
    ReloadAll,
    /// Log files alone.
    Reopen,
    Command(Command),
    Look,
}

impl Job {
    async fn carry_out(self, keeper: &mut Keeper, logs: &Logs) {
        match self {
            Self::Reload => _ = keeper.reload(false).await,
            Self::ReloadAll => {
                logs.reopen();
                keeper.mend().await;
                keeper.reload(false).await;
            }
            Self::Reopen => logs.reopen(),
            Self::Command(command) => command.carry_out(keeper).await,
            Self::Look => {
                report_troubles(logs);
                keeper.mend().await;
            }
        }
    }
}

/// The next command; never where nobody can give any.
async fn commanded(control: &mut Option<Control>) -> Command {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// The signals a gateway listens to: two that ask it to stop, the one on which the config is read again and log files are reopened, and
/// the one on which log files alone are, as other servers have it, whose `logrotate` scripts would end this one.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.user.recv() => Asked::Reopen,
        }
    }

    /// Returns when the process is asked to stop: once to drain, once more to stop at once. What else is asked is left for later.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
    Reopen,
}

fn report_troubles(logs: &Logs) {
    for trouble in logs.troubles() {
        Event::from(&trouble).emit();
    }
}

/// A panic ends one connection's task and no more; it is a fault of the gateway itself, and has its line in the log.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| Event::InternalError { what: &panic.to_string() }.emit()));
}

/// What is said where the limits of the file cannot be reached with the descriptors that the process may have.
fn scarce_descriptors(gateway: &Gateway) -> Option<String> {
    let (may, _) = rlimit::Resource::NOFILE.get().ok()?;
    let listeners: Option<usize> = gateway.listeners.values().map(|listener| listener.max_connections).sum();
    let connections = [gateway.max_connections, listeners].into_iter().flatten().min()? as u64;
    let proxies = gateway.routes.iter().any(|route| matches!(route.endpoint, Endpoint::Upstream(_)));
    let each = if proxies { 2 } else { 1 };
    let needed = connections.saturating_mul(each).saturating_add(OWN_DESCRIPTORS);
    (needed > may).then(|| {
        format!(
            "max_connections lets in {connections} clients, who may take {needed} descriptors, and this process may have {may}: \
             raise the limit on open files (`ulimit -Hn`, LimitNOFILE of systemd), or lower max_connections"
        )
    })
}

/// A gateway holds two descriptors for every connection; the soft limit is often 1,024.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        Event::Warning { text: &format!("cannot raise the limit on open files: {error}") }.emit();
    }
}
