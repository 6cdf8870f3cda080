//! `wsgate run`: logs, signals, and the engine between them.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::observe::Logs;
use wsgate::observe::event::Event;

use super::{Failure, logs};

/// How often troubles of the logs themselves are looked for and reported.
const LOOK_AFTER_LOGS: Duration = Duration::from_secs(5);

pub(crate) fn run(config: &Path, catalog: &Catalog) -> Result<(), Failure> {
    let (gateway, document, warnings) = super::compile(config, catalog)?;
    let config = Path::new(document.name());
    // A log has each of them below; a person sees them where they stand.
    if io::stderr().is_terminal() {
        super::show(&document, &warnings);
    }
    let logs = Logs::default();
    logs.swap(logs::open(&logs, &gateway)?);
    let _guard = logs.install().map_err(Failure::could)?;
    for warning in &warnings {
        Event::Warning { text: &format!("{}: {}", document.position(&warning.place), warning.message) }.emit();
    }
    serve_until_stopped(config, gateway, &logs, |_| Ok(()))
}

/// Serves a gateway until a signal ends it. `greet` is called when it listens, and before it says that it has started.
pub(super) fn serve_until_stopped(
    config: &Path,
    gateway: Gateway,
    logs: &Logs,
    greet: impl FnOnce(&Engine) -> Result<(), Failure>,
) -> Result<(), Failure> {
    report_panics();
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config, gateway, logs, greet))?;
    Event::Stopped.emit();
    Ok(())
}

async fn serve(config: &Path, gateway: Gateway, logs: &Logs, greet: impl FnOnce(&Engine) -> Result<(), Failure>) -> Result<(), Failure> {
    // Taken before anything is served, so that no signal meets its deadly default.
    let mut signals = Signals::take()?;
    let listeners = gateway.listeners.len();
    let mut engine = Engine::start(gateway).map_err(Failure::could)?;
    greet(&engine)?;
    Event::Started { version: env!("CARGO_PKG_VERSION"), config, listeners }.emit();
    let mut look = interval(LOOK_AFTER_LOGS);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => break,
                Asked::Reopen => logs.reopen(),
            },
            _ = look.tick() => report_troubles(logs),
        }
    }
    tokio::select! {
        () = engine.drain() => {}
        () = signals.stop() => {}
    }
    report_troubles(logs);
    engine.stop();
    Ok(())
}

/// The signals a gateway listens to: two that ask it to stop, and the one after which log files are reopened.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reopen,
        }
    }

    /// Returns when the process is asked to stop: once to drain, once more to stop at once.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    Stop,
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

/// A gateway holds two descriptors for every connection; the soft limit is often 1,024.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        Event::Warning { text: &format!("cannot raise the limit on open files: {error}") }.emit();
    }
}
