//! `deny`, `undeny` and `revoke`: they write to lists that the config names, never to the config.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::yield_now;

use crate::config::table::OnReload;
use crate::config::units::{Interval, Many, Moment};
use crate::config::world::Machine;
use crate::config::{Config, Mode};
use crate::observe::event::Event;
use crate::stage::{Configure, firewall, revoked};

use super::super::keeper::{Keeper, Reload, Wanted};
use super::super::roster::Roster;
use super::super::source::blocking;
use super::command::refusal;
use super::facts::Listed;
use super::list_file::ListFile;
use super::protocol::{Deny, List, Reply, Revoke, Undeny};
use super::reply;

/// Adds a network to a list that a firewall denies by.
///
/// # Errors
/// Why nobody is denied; the list is as it was.
pub(super) async fn deny(keeper: &mut Keeper, deny: &Deny, by: &str) -> Result<Listed, Reply> {
    let target = Target::find(keeper, firewall::Firewall::KIND, &deny.list)?;
    let expires = end(deny.r#for, deny.until.as_deref())?;
    let is_same = |line: &firewall::Line| line.cidr == deny.cidr;
    let there: Vec<_> = target.read().await?.lines().filter_map(|text| firewall::Line::read(text).ok()?).filter(is_same).collect();
    let note = deny.note.clone().or_else(|| there.iter().find_map(|line| line.note.clone()));
    let line = firewall::Line { cidr: deny.cidr, expires, note };
    let written = line.to_string();
    if is_broken(&written) || firewall::Line::read(&written) != Ok(Some(line)) {
        return Err(cannot_be_written(&written));
    }
    keeper.engine.observer().report(&Event::Command { verb: "deny", by, what: &written });
    if let Some(longer) = there.iter().find(|line| outlasts(line.expires, expires)) {
        return Ok(target.left(keeper, &longer.to_string(), &format!("`wsgate undeny {}` first", deny.cidr)).await);
    }
    let is_it = |text: &str| firewall::Line::read(text).is_ok_and(|line| line.as_ref().is_some_and(is_same));
    target.write(keeper, deny.force, |list| (list.replace(is_it, &written), Some(written.clone()))).await
}

/// Takes a network out of such a list, exactly as it stands there.
///
/// # Errors
/// It does not stand there, or could not be taken out.
pub(super) async fn undeny(keeper: &mut Keeper, undeny: &Undeny, by: &str) -> Result<Listed, Reply> {
    let target = Target::find(keeper, firewall::Firewall::KIND, &undeny.list)?;
    let cidr = undeny.cidr;
    let networks = |text: &str| firewall::Line::read(text).ok().flatten().map(|line| line.cidr);
    let list = target.read().await?;
    if !list.lines().any(|text| networks(text) == Some(cidr)) {
        let wider = list.lines().filter_map(networks).find(|other| other.0.contains(&cidr.0));
        let hint = wider.map(|wider| format!("; {wider}, which does, covers it")).unwrap_or_default();
        return Err(Reply::Failed(format!("{cidr} does not stand in {}{hint}", target.file.display())));
    }
    keeper.engine.observer().report(&Event::Command { verb: "undeny", by, what: &cidr.to_string() });
    target.write(keeper, true, |list| (list.take_out(|text| networks(text) == Some(cidr)), None)).await
}

/// Adds to a list of what is revoked.
///
/// # Errors
/// Why nothing is revoked; the list is as it was.
pub(super) async fn revoke(keeper: &mut Keeper, revoke: &Revoke, by: &str) -> Result<Listed, Reply> {
    let target = Target::find(keeper, revoked::Revoked::KIND, &revoke.list)?;
    let kind = ["jti", "sub", "kid", "ip"].into_iter().find(|kind| *kind == revoke.kind);
    let kind =
        kind.ok_or_else(|| Reply::Failed(format!("{:?} is nothing that can be revoked; there are jti, sub, kid and ip", revoke.kind)))?;
    let until = end(revoke.r#for, revoke.until.as_deref())?;
    let is_same = |line: &revoked::Line| (line.kind, &line.entry.value) == (kind, &revoke.value);
    let there: Vec<_> = target.read().await?.lines().filter_map(|text| revoked::Line::read(text).ok()?).filter(is_same).collect();
    let note = revoke.note.clone().or_else(|| there.iter().find_map(|line| line.entry.note.clone()));
    let entry = revoked::Entry { value: revoke.value.clone(), until, note };
    let line = revoked::Line { kind, entry };
    let written = line.to_string();
    match revoked::Line::read(&written) {
        Ok(Some(read)) if read == line && !is_broken(&written) => {}
        Err(why) if kind == "ip" => return Err(Reply::Failed(why)),
        _ => return Err(cannot_be_written(&written)),
    }
    keeper.engine.observer().report(&Event::Command { verb: "revoke", by, what: &written });
    if let Some(longer) = there.iter().find(|line| outlasts(line.entry.until, until)) {
        return Ok(target.left(keeper, &longer.to_string(), "take that line out").await);
    }
    let is_it = |text: &str| revoked::Line::read(text).is_ok_and(|line| line.as_ref().is_some_and(is_same));
    target.write(keeper, revoke.force, |list| (list.replace(is_it, &written), Some(written.clone()))).await
}

pub(super) fn answer(done: Result<Listed, Reply>) -> Reply {
    done.map_or_else(|refused| refused, |listed| reply(&listed))
}

/// Whether it would not stay one line, or do more to a terminal than be printed there.
fn is_broken(line: &str) -> bool {
    line.contains(char::is_control)
}

fn cannot_be_written(line: &str) -> Reply {
    Reply::Failed(format!("{line:?} cannot be one line of a list: no value holds a blank, and no note a new line"))
}

/// Whether an entry that ends then is in force after another.
fn outlasts(end: Option<Moment>, other: Option<Moment>) -> bool {
    other.is_some_and(|other| end.is_none_or(|end| end > other))
}

/// When an entry is over.
fn end(length: Option<Interval>, until: Option<&str>) -> Result<Option<Moment>, Reply> {
    let end = match (length, until) {
        (Some(length), None) => Some(Moment::at(SystemTime::now() + length.get())),
        (None, Some(until)) => Some(until.parse::<Moment>().map_err(Reply::Failed)?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Reply::Failed("it ends after some time or at some moment, not both".to_owned())),
    };
    match end {
        Some(end) if end.get() <= SystemTime::now() => Err(Reply::Failed(format!("{end} is over already"))),
        end => Ok(end),
    }
}

/// A list that stages of the config in force go by.
struct Target {
    file: PathBuf,
    /// The stages that name it.
    stages: BTreeSet<String>,
    /// Those among them that refuse nobody.
    reporting: BTreeSet<String>,
}

impl Target {
    /// The one list that is meant, of those that stages of this kind in some pipeline name.
    fn find(keeper: &Keeper, kind: &str, list: &List) -> Result<Self, Reply> {
        let mut all = Self::all(keeper, kind)?;
        let there_are = listed(&all);
        if all.is_empty() {
            let key = if kind == firewall::Firewall::KIND { "deny_files" } else { "files" };
            let why = format!("no {kind} stage in force reads a list; make an empty file, and name it in one: {key} = \"{kind}.list\"");
            return Err(Reply::Failed(why));
        }
        all.retain(|target| {
            let is_named = |stage: &str| target.stages.contains(stage) || target.stages.contains(&format!("{kind}.{stage}"));
            list.stage.as_deref().is_none_or(is_named) && list.file.as_deref().is_none_or(|file| target.file.ends_with(file))
        });
        match (all.pop(), all.is_empty()) {
            (Some(target), true) => Ok(target),
            (Some(_), false) => {
                Err(Reply::Failed(format!("there are several lists: {there_are}; name one with --{kind} NAME or --file FILE")))
            }
            (None, _) => Err(Reply::Failed(format!("there is no such list; there are {there_are}"))),
        }
    }

    fn all(keeper: &Keeper, kind: &str) -> Result<Vec<Self>, Reply> {
        let no_text = || Reply::Failed("the config did not come from a text, so it names no lists".to_owned());
        let (catalog, document) = keeper.in_force().ok_or_else(no_text)?;
        let (config, _) = Config::read_in(&document, &catalog.kinds(), &Machine);
        let config = config.ok_or_else(no_text)?;
        let gateway = keeper.engine.gateway();
        let pipelines =
            gateway.listeners.values().map(|listener| &listener.pipeline).chain(gateway.routes.iter().map(|route| &route.pipeline));
        let used: BTreeSet<String> = pipelines.flat_map(|pipeline| pipeline.steps()).map(|step| step.name.to_string()).collect();
        let mut all: Vec<Self> = Vec::new();
        for part in config.parts.values().filter(|part| part.kind == kind && used.contains(&part.at().to_string())) {
            let files: Option<Many<PathBuf>> = match kind {
                firewall::Firewall::KIND => part.read::<firewall::Table>().ok().and_then(|table| table.deny_files),
                _ => part.read::<revoked::Table>().ok().and_then(|table| table.files),
            };
            for file in files.iter().flat_map(|files| files.iter()) {
                let file = config.path(file);
                let at = all.iter().position(|target| target.file == file).unwrap_or_else(|| {
                    all.push(Self { file: file.clone(), stages: BTreeSet::new(), reporting: BTreeSet::new() });
                    all.len() - 1
                });
                if let Some(target) = all.get_mut(at) {
                    target.stages.insert(part.at().to_string());
                    target.reporting.extend(Some(part.at().to_string()).filter(|_| part.mode == Mode::Report));
                }
            }
        }
        Ok(all)
    }

    /// Connections that a stage with this list was to judge, and that keep what they were let in by; by their routes.
    async fn unreached(&self, roster: &Roster) -> BTreeMap<Arc<str>, usize> {
        let mut unreached = BTreeMap::new();
        for some in roster.walk() {
            for record in some.iter().filter(|record| !record.is_ending()) {
                let policy = record.policy();
                let mut steps = [&policy.listener.pipeline, &policy.route.pipeline].into_iter().flat_map(|pipeline| pipeline.steps());
                if policy.route.on_reload == OnReload::Keep && steps.any(|step| self.stages.contains(&*step.name)) {
                    *unreached.entry(policy.route.name.clone()).or_default() += 1;
                }
            }
            yield_now().await;
        }
        unreached
    }

    async fn read(&self) -> Result<ListFile, Reply> {
        let file = self.file.clone();
        let read = blocking(move || ListFile::read(&file)).await.map_err(refusal)?;
        read.map_err(|error| Reply::Failed(format!("cannot read {}: {error}", self.file.display())))
    }

    async fn save(&self, list: ListFile) -> Result<(), Reply> {
        let saved = blocking(move || list.save()).await.map_err(refusal)?;
        saved.map_err(|error| Reply::Failed(format!("cannot write {}: {error}", self.file.display())))
    }

    /// Edits the list and puts it in force; where it cannot be, the list is as it was. What the edit takes out, and adds, is told.
    async fn write(
        &self,
        keeper: &mut Keeper,
        force: bool,
        edit: impl FnOnce(&mut ListFile) -> (Vec<String>, Option<String>),
    ) -> Result<Listed, Reply> {
        let before = self.read().await?;
        let mut list = before.clone();
        let (removed, added) = edit(&mut list);
        self.save(list).await?;
        let closed = match keeper.bring(Wanted::InForce, force).await {
            Reload::Unchanged(_) => 0,
            Reload::Done(reloaded, _) => reloaded.impact.closes(),
            Reload::Refused(refused) => {
                self.save(before).await?;
                // What is on the disk is what is in force, and the watch has seen neither.
                keeper.bring(Wanted::InForce, true).await;
                return Err(refusal(refused));
            }
        };
        Ok(Listed { file: self.file.display().to_string(), added, removed, closed, warnings: self.warnings(keeper).await })
    }

    /// No command that shuts somebody out lets him in sooner: the list is left with a line that is in force for longer.
    async fn left(&self, keeper: &Keeper, line: &str, sooner: &str) -> Listed {
        let stays = format!("{line:?} stands there already, and stays, as it is in force for longer; to end it sooner, {sooner}");
        let warnings = [stays].into_iter().chain(self.warnings(keeper).await).collect();
        Listed { file: self.file.display().to_string(), added: None, removed: Vec::new(), closed: 0, warnings }
    }

    /// Whom the list does not reach.
    async fn warnings(&self, keeper: &Keeper) -> Vec<String> {
        let warn = |stage: &String| format!("{stage} is in report mode: it refuses nobody");
        let kept = |(route, count): (Arc<str>, usize)| {
            format!(
                "{count} on route.{route} stay as they were let in (`on_reload = \"keep\"`), whoever they are: \
                 `wsgate kick --route {route} …` ends them"
            )
        };
        let unreached = self.unreached(&keeper.engine.roster()).await;
        self.reporting.iter().map(warn).chain(unreached.into_iter().map(kept)).collect()
    }
}

/// Lists with the stages that name them.
fn listed(all: &[Target]) -> String {
    let one = |target: &Target| {
        let stages: Vec<&str> = target.stages.iter().map(String::as_str).collect();
        format!("{} ({})", target.file.display(), stages.join(", "))
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}
