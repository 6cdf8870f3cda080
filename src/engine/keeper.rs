//! Keeps a running gateway in step with its file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Document;
use crate::gateway::{Catalog, Changes, Gateway, RouteChange};
use crate::observe::Logs;
use crate::observe::event::{Concerned, Event};

use super::reload::{Impact, NotReloaded, Reloaded, too_many};
use super::source::{Made, Text, blocking};
use super::texts::Texts;
use super::watch::Watch;
use super::{Engine, logs};

pub use super::source::{Refused, Source};

/// Why there is nothing to read again.
const NO_FILE: &str = "the config did not come from a file, so there is nothing to read again";

/// A running gateway, and what its config is read from.
pub struct Keeper {
    /// The gateway.
    pub engine: Engine,
    kept: Option<Kept>,
    logs: Logs,
    standing: Standing,
}

struct Kept {
    source: Source,
    watch: Watch,
    texts: Texts,
}

/// How things stand with the config; clones are the same, for whoever looks on.
#[derive(Clone)]
pub struct Standing(Arc<Mutex<Facts>>);

/// How things stand with the config.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the gateway started.
    pub started: SystemTime,
    /// Since when what is in force is.
    pub since: SystemTime,
    /// The edit that does not take effect, until one does.
    pub refused: Option<Refused>,
    /// The generation whose text is in force in the place of the file's, and since when, until the file changes.
    pub rolled_back: Option<(u64, SystemTime)>,
}

/// Which text is to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What is saved, unless it was [gone back](Self::Before) from and has not changed since.
    Saved,
    /// What is saved.
    File,
    /// The text that is, with the files that it names as they are now.
    InForce,
    /// The text that was before.
    Before,
}

/// What reading the config again came to.
#[derive(Debug)]
pub enum Reload {
    /// It says what is in force; with what its operator would want to know of it.
    Unchanged(Vec<String>),
    /// It is in force; the same.
    Done(Box<Reloaded>, Vec<String>),
    /// It is not, and what was in force still is.
    Refused(Refused),
}

/// What an edit would come to.
#[derive(Debug)]
pub struct Plan {
    /// Which tables it would change.
    pub changes: Changes,
    /// What would become of each route.
    pub routes: Vec<RouteChange>,
    /// What it would mean for the connections that are open.
    pub impact: Impact,
    /// Why it would be refused all the same, unless it were forced.
    pub too_many: Option<String>,
    /// What its operator would want to know of it.
    pub warnings: Vec<String>,
}

impl Keeper {
    /// Keeps this gateway, which was compiled from this source, and whose logs are these. The watch is over the source's path, and was
    /// made before that was read. Without a source it stays as it is.
    pub async fn new(engine: Engine, source: Option<(Source, Watch)>, logs: Logs) -> Self {
        let kept = source.map(|(source, watch)| Kept { texts: Texts::new(source.document.clone()), source, watch });
        let now = SystemTime::now();
        let facts = Facts { started: now, since: now, refused: None, rolled_back: None };
        let mut keeper = Self { engine, kept, logs, standing: Standing(Arc::new(Mutex::new(facts))) };
        keeper.rearm(BTreeSet::new()).await;
        keeper
    }

    /// Watches what the gateway in force was made from, and these files.
    async fn rearm(&mut self, files: BTreeSet<PathBuf>) {
        if let Some(Kept { source, watch, .. }) = &mut self.kept {
            let used = self.engine.gateway().files.clone();
            watch.rearm(used.into_iter().chain(files).chain([source.path.clone()])).await;
        }
    }

    /// Resolves when the config, or a file it reads, says something else than when it was last read; never where it is not to be
    /// watched. Cancel-safe.
    pub async fn changed(&mut self) {
        match &mut self.kept {
            Some(kept) if self.engine.gateway().reload.watch => kept.watch.changed().await,
            _ => std::future::pending().await,
        }
    }

    /// How things stand, now and later.
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// The kinds that its config may use, and the text in force; none where it did not come from a file.
    pub fn in_force(&self) -> Option<(Catalog, Arc<Document>)> {
        let kept = self.kept.as_ref()?;
        Some((kept.source.catalog.clone(), kept.texts.in_force()?))
    }

    /// Reads the config again and puts it in force, all of it or nothing. `force` closes more connections than `max_closed` allows.
    /// What it came to is reported.
    pub async fn reload(&mut self, force: bool) -> Reload {
        self.bring(Wanted::Saved, force).await
    }

    /// Puts a text in force, as [`reload`](Self::reload) does with the file's.
    pub async fn bring(&mut self, wanted: Wanted, force: bool) -> Reload {
        let begun = Instant::now();
        let (mut files, mut warnings) = (BTreeSet::new(), Vec::new());
        let came = match self.read(wanted, &mut files).await {
            Ok(made) => {
                let Made { document, gateway, .. } = made;
                warnings = made.warnings;
                let came = self.apply(gateway, force, begun.elapsed()).await;
                if came.is_ok() {
                    self.settle(wanted, document).await;
                }
                came
            }
            Err(refused) => Err(refused),
        };
        if let Some(kept) = &self.kept {
            kept.source.cells.sweep();
        }
        // Of an edit that is refused too: what it lacks may come.
        self.rearm(files).await;
        match came {
            Ok(None) => {
                self.engine.observer().report(&Event::ReloadUnchanged);
                Reload::Unchanged(warnings)
            }
            Ok(Some(reloaded)) => Reload::Done(Box::new(reloaded), warnings),
            Err(refused) => {
                self.engine.observer().report(&Event::ReloadRefused { faults: &refused.faults });
                if matches!(wanted, Wanted::Saved | Wanted::File) {
                    self.standing.facts().refused = Some(refused.clone());
                }
                Reload::Refused(refused)
            }
        }
    }

    /// What a file would come to if it were saved in the place of the config, or the config as it is saved. Changes nothing.
    ///
    /// # Errors
    /// Why it would be refused, whatever is open.
    pub async fn plan(&self, file: Option<PathBuf>) -> Result<Plan, Refused> {
        let kept = self.kept.as_ref().ok_or_else(|| Refused::because(NO_FILE))?;
        let path = file.unwrap_or_else(|| kept.source.path.clone());
        let before = self.engine.gateway();
        let (_, made) = kept.source.compile(before.clone(), Text::At(path)).await;
        let plan = match made {
            Ok(Made { gateway, warnings, .. }) => {
                let impact = self.engine.survey(&gateway).await;
                let (changes, routes) = (gateway.changes_since(&before), gateway.routes_since(&before));
                let too_many = too_many(&gateway, &impact).map(|refused| refusal(&refused));
                Ok(Plan { changes, routes, impact, too_many, warnings })
            }
            Err(refused) => Err(refused),
        };
        // What only this text has a use for.
        kept.source.cells.sweep();
        plan
    }

    /// Reads and compiles the text that is wanted.
    async fn read(&mut self, wanted: Wanted, files: &mut BTreeSet<PathBuf>) -> Result<Made, Refused> {
        let kept = self.kept.as_mut().ok_or_else(|| Refused::because(NO_FILE))?;
        kept.watch.catch_up().await;
        let text = match wanted {
            Wanted::Saved => {
                let path = kept.source.path.clone();
                let document = blocking(move || Document::open(&path)).await?;
                match kept.texts.in_force() {
                    Some(held) if kept.texts.has_left(&document) => Text::Read(held),
                    _ => Text::Read(Arc::new(document)),
                }
            }
            Wanted::File => Text::At(kept.source.path.clone()),
            Wanted::InForce => Text::Read(kept.texts.in_force().ok_or_else(|| Refused::because(NO_FILE))?),
            Wanted::Before => match kept.texts.before() {
                Some((_, document)) => Text::Read(document),
                None => return Err(Refused::because("there is no text to go back to: the one in force is the first, or the oldest kept")),
            },
        };
        let (read, made) = kept.source.compile(self.engine.gateway(), text).await;
        files.extend(read);
        if let Ok(made) = &made {
            made.warnings.iter().for_each(|text| self.engine.observer().report(&Event::Warning { text }));
        }
        made
    }

    async fn apply(&mut self, gateway: Gateway, force: bool, compiled: Duration) -> Result<Option<Reloaded>, Refused> {
        if gateway.changes_since(&self.engine.gateway()).is_empty() {
            return Ok(None);
        }
        if gateway.threads != self.engine.gateway().threads {
            let text = "gateway.threads takes effect at the next start";
            self.engine.observer().report(&Event::Warning { text });
        }
        let sinks = logs::open(&self.logs, &gateway).map_err(Refused::because)?;
        let reloaded = self.engine.reload(gateway, force).await.map_err(|refused| Refused::because(refusal(&refused)))?;
        self.logs.swap(sinks);
        self.report(&reloaded, compiled);
        Ok(Some(reloaded))
    }

    /// A text is in force, whether or not it says anything new.
    async fn settle(&mut self, wanted: Wanted, document: Arc<Document>) {
        let Some(kept) = &mut self.kept else { return };
        let generation = self.engine.generation();
        let now = SystemTime::now();
        match wanted {
            Wanted::Before => {
                let to = kept.texts.before().map(|(generation, _)| generation).unwrap_or_default();
                let path = kept.source.path.clone();
                // Where it cannot be read at all, whatever is read there next is another text.
                if let Ok(file) = blocking(move || Document::open(&path)).await {
                    kept.texts.go_back(file);
                }
                self.standing.facts().rolled_back = Some((to, now));
            }
            Wanted::InForce => {}
            Wanted::Saved if kept.texts.in_force().is_some_and(|held| Arc::ptr_eq(&held, &document)) => {
                self.standing.facts().refused = None;
            }
            Wanted::Saved | Wanted::File => {
                kept.texts.take(generation, document);
                kept.texts.return_to_file();
                let mut facts = self.standing.facts();
                (facts.refused, facts.rolled_back) = (None, None);
            }
        }
    }

    fn report(&self, reloaded: &Reloaded, compiled: Duration) {
        let Reloaded { changes, routes: _, impact, took } = reloaded;
        self.standing.facts().since = SystemTime::now();
        let causes = causes(impact);
        let connections = Concerned { kept: impact.kept, adopted: impact.adopted, closed: impact.closes(), causes: &causes };
        self.engine.observer().report(&Event::Reloaded {
            generation: self.engine.generation(),
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

impl Standing {
    /// How things stand now.
    pub fn now(&self) -> Facts {
        self.facts().clone()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an edit that means this is not to take effect, unless it is forced.
fn refusal(refused: &NotReloaded) -> String {
    match refused {
        NotReloaded::Start(_) => refused.to_string(),
        NotReloaded::Closes { impact, .. } => {
            format!("{refused}: {}; to apply it all the same, `wsgate reload --force`", causes(impact))
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
