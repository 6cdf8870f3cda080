//! Keeps a running gateway in step with its file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Document;
use crate::gateway::{Catalog, Changes, Gateway, RouteChange};
use crate::observe::Logs;
use crate::observe::event::{Concerned, Event};

use super::control::Door;
use super::reload::{Impact, NotReloaded, Reloaded, too_many};
use super::source::{Made, Text, blocking};
use super::texts::Texts;
use super::watch::Watch;
use super::{Engine, logs};

pub use super::source::{Refused, Source};
pub use super::standing::{Facts, Standing};
pub use super::stopping::Stopping;

/// Why there is nothing to read again.
const NO_TEXT: &str = "the config did not come from a text, so there is nothing to read again";

/// A running gateway, and what its config is read from.
pub struct Keeper {
    /// The gateway.
    pub engine: Engine,
    kept: Option<Kept>,
    logs: Logs,
    standing: Standing,
    /// Where commands come in.
    pub(super) door: Option<Door>,
    stopping: Stopping,
}

struct Kept {
    source: Source,
    watch: Watch,
    texts: Texts,
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
    /// Keeps this gateway, which was compiled from this source, and whose logs are these. The watch is over the source's path, if it has
    /// one, and was made before that was read. Without a source it stays as it is.
    pub async fn new(engine: Engine, source: Option<(Source, Watch)>, logs: Logs) -> Self {
        let kept = source.map(|(source, watch)| Kept { texts: Texts::new(source.document.clone()), source, watch });
        let now = SystemTime::now();
        let text = kept.as_ref().and_then(|kept| kept.texts.in_force());
        let facts = Facts { started: now, since: now, text, refused: None, rolled_back: None };
        let mut keeper = Self { engine, kept, logs, standing: Standing::new(facts), door: None, stopping: Stopping::default() };
        keeper.rearm(BTreeSet::new()).await;
        keeper
    }

    /// Watches what the gateway in force was made from, and these files.
    async fn rearm(&mut self, files: BTreeSet<PathBuf>) {
        if let Some(Kept { source, watch, .. }) = &mut self.kept {
            let used = self.engine.gateway().files.clone();
            watch.rearm(used.into_iter().chain(files).chain(source.path.clone())).await;
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

    /// What tells it that the gateway is to stop.
    pub fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }

    /// The kinds that its config may use, and the text in force; none where it did not come from a text.
    pub fn in_force(&self) -> Option<(Catalog, Arc<Document>)> {
        let kept = self.kept.as_ref()?;
        Some((kept.source.catalog.clone(), kept.texts.in_force()?))
    }

    /// Makes the control socket again where somebody has taken it away.
    pub async fn mend(&mut self) {
        if let Some(door) = &mut self.door {
            door.mend().await;
        }
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
        let stopping = self.stopping.clone();
        let came = match stopping.unless_told(self.read(wanted, &mut files)).await.flatten() {
            Ok(made) => {
                let Made { document, gateway, .. } = made;
                warnings = made.warnings;
                let compiled = begun.elapsed();
                let came = self.apply(gateway, wanted, force).await;
                if let Ok(reloaded) = &came {
                    self.settle(wanted, document).await;
                    reloaded.iter().for_each(|reloaded| self.report(reloaded, compiled));
                }
                came
            }
            Err(refused) => Err(refused),
        };
        if let Err(refused) = &came
            && matches!(wanted, Wanted::Saved | Wanted::File)
        {
            self.standing.facts().refused = Some(refused.clone());
        }
        if let Some(kept) = &mut self.kept {
            kept.source.cells.sweep();
            kept.watch.be_wary(self.standing.facts().refused.is_some());
        }
        // Of an edit that is refused too: what it lacks may come.
        _ = stopping.unless_told(self.rearm(files)).await;
        match came {
            Ok(None) => {
                self.engine.observer().report(&Event::ReloadUnchanged { is_saved: self.standing.is_saved() });
                Reload::Unchanged(warnings)
            }
            Ok(Some(reloaded)) => Reload::Done(Box::new(reloaded), warnings),
            Err(refused) => {
                let is_saved = self.standing.is_saved();
                self.engine.observer().report(&Event::ReloadRefused { faults: &refused.faults, is_saved });
                Reload::Refused(refused)
            }
        }
    }

    /// What a file would come to if it were saved in the place of the config, or the config as it is saved. Changes nothing.
    ///
    /// # Errors
    /// Why it would be refused, whatever is open.
    pub async fn plan(&self, file: Option<PathBuf>) -> Result<Plan, Refused> {
        let kept = self.kept.as_ref().ok_or_else(|| Refused::because(NO_TEXT))?;
        let text = file.map_or_else(|| kept.saved(), |file| Ok(Text::At(file)))?;
        let before = self.engine.gateway();
        let compiled = self.stopping.unless_told(kept.source.compile(before.clone(), text)).await;
        let plan = match compiled.and_then(|(_, made)| made) {
            Ok(Made { gateway, warnings, .. }) => {
                let impact = self.engine.survey(&gateway).await;
                let (changes, routes) = (gateway.changes_since(&before), gateway.routes_since(&before));
                let too_many = too_many(&gateway, &impact).map(|refused| refusal(&refused, RELOAD_FORCE));
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
        let kept = self.kept.as_mut().ok_or_else(|| Refused::because(NO_TEXT))?;
        kept.watch.catch_up().await;
        let text = match (wanted, kept.source.path.clone()) {
            (Wanted::Saved, Some(path)) => {
                let document = blocking(move || Document::open(&path)).await?;
                if kept.texts.has_left(&document) { kept.in_force()? } else { Text::Read(Arc::new(document)) }
            }
            (Wanted::Saved | Wanted::File, _) => kept.saved()?,
            (Wanted::InForce, _) => kept.in_force()?,
            (Wanted::Before, _) => match kept.texts.before() {
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

    async fn apply(&mut self, gateway: Gateway, wanted: Wanted, force: bool) -> Result<Option<Reloaded>, Refused> {
        if gateway.changes_since(&self.engine.gateway()).is_empty() {
            return Ok(None);
        }
        if gateway.threads != self.engine.gateway().threads {
            let text = "gateway.threads takes effect at the next start";
            self.engine.observer().report(&Event::Warning { text });
        }
        let sinks = logs::open(&self.logs, &gateway).map_err(Refused::because)?;
        let prepared = match &self.door {
            Some(door) => door.prepare(&gateway).await.map_err(Refused::because)?,
            None => None,
        };
        let forced = if matches!(wanted, Wanted::Saved | Wanted::File) { RELOAD_FORCE } else { "say it again with `--force`" };
        let reloaded = self.engine.reload(gateway, force).await.map_err(|refused| Refused::because(refusal(&refused, forced)))?;
        self.logs.swap(sinks);
        if let (Some(door), Some(prepared)) = (&mut self.door, prepared) {
            door.put(prepared);
        }
        self.standing.facts().since = SystemTime::now();
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
                // Where it cannot be read at all, whatever is read there next is another text.
                let file = match kept.source.path.clone() {
                    Some(path) => blocking(move || Document::open(&path)).await.ok(),
                    None => None,
                };
                kept.texts.go_back(file);
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
        self.standing.facts().text = kept.texts.in_force();
    }

    fn report(&self, reloaded: &Reloaded, compiled: Duration) {
        let Reloaded { changes, routes: _, impact, took } = reloaded;
        let causes = causes(impact);
        let connections =
            Concerned { kept: impact.kept, adopted: impact.adopted, closed: impact.closes(), leaving: impact.leaving, causes: &causes };
        self.engine.observer().report(&Event::Reloaded {
            generation: self.engine.generation(),
            added: &changes.added,
            changed: &changes.changed,
            removed: &changes.removed,
            kept: changes.kept,
            connections,
            compiled,
            applied: *took,
            is_saved: self.standing.is_saved(),
        });
    }
}

impl Kept {
    /// What is saved.
    fn saved(&self) -> Result<Text, Refused> {
        self.source.path.clone().map_or_else(|| self.in_force(), |path| Ok(Text::At(path)))
    }

    fn in_force(&self) -> Result<Text, Refused> {
        self.texts.in_force().map(Text::Read).ok_or_else(|| Refused::because(NO_TEXT))
    }
}

/// What applies an edit of the file that would close too many.
const RELOAD_FORCE: &str = "`wsgate reload --force`";

/// Why an edit that means this is not to take effect, unless it is forced by doing this.
fn refusal(refused: &NotReloaded, force: &str) -> String {
    match refused {
        NotReloaded::Start(_) => refused.to_string(),
        NotReloaded::Closes { impact, .. } => {
            format!("{refused}: {}; to apply it all the same, {force}", causes(impact))
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

#[cfg(test)]
mod tests;
