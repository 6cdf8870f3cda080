//! Keeps a running gateway in step with its file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::config::Document;
use crate::config::fault::{Fault, Faults, Severity};
use crate::config::world::Machine;
use crate::gateway::trial::prove;
use crate::gateway::{Catalog, Compiled, Gateway};
use crate::observe::Logs;
use crate::observe::event::{Concerned, Event};
use crate::stage::cells::Cells;

use super::reload::{Impact, NotReloaded, Reloaded};
use super::watch::Watch;
use super::{Engine, logs};

/// What a running gateway was compiled from, to be read and compiled again.
#[derive(Clone)]
pub struct Source {
    /// The file or folder.
    pub path: PathBuf,
    /// The kinds it may use.
    pub catalog: Catalog,
    /// What outlives a snapshot: the cells that the one in force was compiled with.
    pub cells: Arc<Cells>,
}

/// A running gateway, and what its config is read from.
pub struct Keeper {
    /// The gateway.
    pub engine: Engine,
    source: Option<(Source, Watch)>,
    logs: Logs,
    generation: u64,
    refused: Option<Refused>,
}

/// An edit that does not take effect.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Every fault with its place, one a line, or the one reason.
    pub faults: String,
}

/// What reading the config again came to.
#[derive(Debug)]
pub enum Reload {
    /// It says what is in force.
    Unchanged,
    /// It is in force.
    Done(Box<Reloaded>),
    /// It is not, and what was in force still is.
    Refused(Refused),
}

impl Keeper {
    /// Keeps this gateway, which was compiled from this source, and whose logs are these. The watch is over the source's path, and was
    /// made before that was read. Without a source it stays as it is.
    pub async fn new(engine: Engine, source: Option<(Source, Watch)>, logs: Logs) -> Self {
        let mut keeper = Self { engine, source, logs, generation: 1, refused: None };
        keeper.rearm(BTreeSet::new()).await;
        keeper
    }

    /// Watches what the gateway in force was made from, and these files.
    async fn rearm(&mut self, files: BTreeSet<PathBuf>) {
        if let Some((source, watch)) = &mut self.source {
            let used = self.engine.gateway().files.clone();
            watch.rearm(used.into_iter().chain(files).chain([source.path.clone()])).await;
        }
    }

    /// Resolves when the config, or a file it reads, says something else than when it was last read; never where it is not to be
    /// watched. Cancel-safe.
    pub async fn changed(&mut self) {
        match &mut self.source {
            Some((_, watch)) if self.engine.gateway().reload.watch => watch.changed().await,
            _ => std::future::pending().await,
        }
    }

    /// The edit that does not take effect, until one does.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// Reads the config again and puts it in force, all of it or nothing. `force` closes more connections than `max_closed` allows.
    /// What it came to is reported.
    pub async fn reload(&mut self, force: bool) -> Reload {
        let begun = Instant::now();
        let mut files = BTreeSet::new();
        let came = match self.read(&mut files).await {
            Ok(gateway) => self.apply(gateway, force, begun.elapsed()).await,
            Err(faults) => Err(faults),
        };
        if let Some((source, _)) = &self.source {
            source.cells.sweep();
        }
        // Of an edit that is refused too: what it lacks may come.
        self.rearm(files).await;
        match came {
            Ok(None) => {
                self.refused = None;
                self.engine.observer().report(&Event::ReloadUnchanged);
                Reload::Unchanged
            }
            Ok(Some(reloaded)) => {
                self.refused = None;
                Reload::Done(Box::new(reloaded))
            }
            Err(faults) => {
                let refused = Refused { faults };
                self.engine.observer().report(&Event::ReloadRefused { faults: &refused.faults });
                self.refused = Some(refused.clone());
                Reload::Refused(refused)
            }
        }
    }

    /// Compiles the config as it stands now, on a thread of its own: it may take a while, and connections are accepted meanwhile.
    async fn read(&mut self, files: &mut BTreeSet<PathBuf>) -> Result<Gateway, String> {
        let (source, watch) = self.source.as_mut().ok_or("the config did not come from a file, so there is nothing to read again")?;
        watch.catch_up().await;
        let (source, before) = (source.clone(), self.engine.gateway());
        let compiled = tokio::task::spawn_blocking(move || source.compile(&before)).await;
        let (compiled, document) = compiled.map_err(|error| format!("cannot compile the config: {error}"))?;
        files.extend(compiled.files);
        let faults = compiled.faults;
        let Some(gateway) = compiled.gateway else { return Err(told(&document, &faults)) };
        for warning in &faults {
            let text = format!("{}: {}", document.position(&warning.place), warning.message);
            self.engine.observer().report(&Event::Warning { text: &text });
        }
        Ok(gateway)
    }

    async fn apply(&mut self, gateway: Gateway, force: bool, compiled: Duration) -> Result<Option<Reloaded>, String> {
        if gateway.changes_since(&self.engine.gateway()).is_empty() {
            return Ok(None);
        }
        if gateway.threads != self.engine.gateway().threads {
            let text = "gateway.threads takes effect at the next start";
            self.engine.observer().report(&Event::Warning { text });
        }
        let sinks = logs::open(&self.logs, &gateway)?;
        let reloaded = self.engine.reload(gateway, force).await.map_err(|refused| refusal(&refused))?;
        self.logs.swap(sinks);
        self.generation += 1;
        self.report(&reloaded, compiled);
        Ok(Some(reloaded))
    }

    fn report(&self, reloaded: &Reloaded, compiled: Duration) {
        let Reloaded { changes, impact, took } = reloaded;
        let causes = causes(impact);
        let connections = Concerned { kept: impact.kept, adopted: impact.adopted, closed: impact.closes(), causes: &causes };
        self.engine.observer().report(&Event::Reloaded {
            generation: self.generation,
            added: &changes.added,
            changed: &changes.changed,
            removed: &changes.removed,
            kept: changes.kept,
            connections,
            compiled,
            applied: *took,
        });
    }
}

impl Source {
    /// Compiles it, and tries its tests; not on a thread that has other things to do.
    fn compile(&self, before: &Gateway) -> (Compiled, Document) {
        let document = Document::open(&self.path);
        let mut compiled = Gateway::compile_after(Some(before), &document, &self.catalog, &self.cells, &Machine);
        if compiled.gateway.as_ref().is_some_and(|gateway| !gateway.tests.is_empty()) {
            let (_, failed) = Handle::current().block_on(prove(&document, &self.catalog, &Machine));
            compiled.gateway = compiled.gateway.filter(|_| !failed.refuse());
            compiled.faults.extend(failed);
        }
        (compiled, document)
    }
}

/// Every fault that refuses a config, with its place, one a line.
fn told(document: &Document, faults: &Faults) -> String {
    let line = |fault: &Fault| {
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {}{hint}", document.position(&fault.place), fault.message)
    };
    faults.into_iter().filter(|fault| fault.severity != Severity::Warning).map(line).collect::<Vec<_>>().join("\n")
}

fn refusal(refused: &NotReloaded) -> String {
    match refused {
        NotReloaded::Start(_) => refused.to_string(),
        NotReloaded::Closes { impact, .. } => {
            format!("{refused}: {}; to apply it all the same, raise `max_closed` in the same edit", causes(impact))
        }
    }
}

/// What closes connections, with how many, the most first.
fn causes(impact: &Impact) -> String {
    let mut causes: Vec<_> = impact.closed.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let cause = |(cause, count): (&super::Cause, &usize)| {
        let by = [cause.stage.as_deref(), cause.rule.as_deref()].into_iter().flatten().map(|by| format!(" {by}")).collect::<String>();
        format!("{count} of route.{}: {}{by}", cause.route, cause.outcome)
    };
    causes.into_iter().map(cause).collect::<Vec<_>>().join("; ")
}
