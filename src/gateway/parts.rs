//! Stages and endpoints by the names the file gives them, and the pipelines made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::config::reference::{EndpointRef, PartRef, StageRef};
use crate::config::table::{Sticky, UpstreamTable};
use crate::config::{Config, Mode, Part, World};
use crate::endpoint::Endpoint;
use crate::endpoint::upstream::Upstream;
use crate::stage::Stage;
use crate::stage::build::{Build, Need};
use crate::stage::cells::Cells;
use crate::stage::pipeline::{Entry, Named, Pipeline, Step};

use super::catalog::Catalog;
use super::kept::{Before, Kept};
use super::{tls, upstream};

/// Makes the parts a file refers to, each once, and remembers what was referred to.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) catalog: &'a Catalog,
    cells: &'a Cells,
    world: &'a dyn World,
    pub(super) before: Before<'a>,
    pub(super) kept: Kept,
    /// The files that parts were read from.
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) faults: Faults,
    /// What could not be made is `None`: its faults are told, and whoever refers to it has none of its own.
    stages: BTreeMap<PartRef, Option<Made>>,
    endpoints: BTreeMap<EndpointRef, Option<Endpoint>>,
    shared: BTreeMap<String, Vec<Entry>>,
    pub(super) used: BTreeSet<PartRef>,
}

#[derive(Clone)]
pub(super) struct Made {
    pub(super) step: Step,
    authenticates: bool,
    pub(super) judges_origins: bool,
    /// What it asks of the pipelines it stands in.
    pub(super) needs: Vec<Need>,
    /// Where a secret of it has a default for local trials.
    defaulted: Vec<KeyPath>,
}

/// In the place of a stage whose table is right and rests on something that was not looked up: the pipelines that name it can be judged,
/// and no gateway is made of them.
struct Unknown;

impl Stage for Unknown {}

impl<'a> Parts<'a> {
    pub(super) fn new(config: &'a Config, catalog: &'a Catalog, cells: &'a Cells, world: &'a dyn World, before: Before<'a>) -> Self {
        let mut parts = Self {
            config,
            catalog,
            cells,
            world,
            before,
            kept: Kept::default(),
            files: BTreeSet::new(),
            faults: Faults::default(),
            stages: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            shared: BTreeMap::new(),
            used: BTreeSet::new(),
        };
        // Also those that nothing refers to: their faults are faults.
        for (name, table) in &config.upstreams {
            let reference = EndpointRef::Part(PartRef { kind: "upstream".to_owned(), name: Some(name.clone()) });
            parts.make_upstream(reference, &KeyPath::table("upstream", name), table);
        }
        for part in config.parts.values() {
            let reference = PartRef { kind: part.kind.clone(), name: Some(part.name.clone()) };
            if catalog.stage(&part.kind).is_some() {
                parts.make_stage(&reference, part);
            } else {
                parts.make_own(&EndpointRef::Part(reference), part);
            }
        }
        parts
    }

    /// What outlives a snapshot.
    pub(super) fn cells(&self) -> &'a Cells {
        self.cells
    }

    fn make_stage(&mut self, reference: &PartRef, part: &Part) {
        let Some(kind) = self.catalog.stage(&part.kind) else { return };
        let mut build = Build::new(part.at(), &self.config.folder, self.cells).in_world(self.world);
        build.outcomes = self.catalog.outcomes();
        let stage = (kind.build)(part, &mut build).or_else(|faults| {
            let stand_in = faults.are_unknown().then(|| Arc::new(Unknown) as Arc<dyn Stage>);
            self.faults.extend(faults);
            stand_in.ok_or(())
        });
        let made = stage.ok().map(|stage| {
            let stage = self.before.stage(&mut self.kept, reference, part, build.inputs, stage);
            let step = Named { name: reference.to_string().into(), mode: part.mode, stage }.into();
            let (authenticates, judges_origins) = (kind.authenticates, kind.judges_origins);
            Made { step, authenticates, judges_origins, needs: build.needs, defaulted: build.defaulted }
        });
        self.faults.extend(build.warnings);
        self.files.extend(build.files);
        self.stages.insert(reference.clone(), made);
    }

    /// Tells a fault, once: what stands in `[gateway.route]` is met again with every route.
    pub(super) fn fault(&mut self, fault: Fault) {
        if !self.faults.0.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn make_own(&mut self, reference: &EndpointRef, part: &Part) {
        let Some(kind) = self.catalog.endpoint(&part.kind) else { return };
        if part.has_mode {
            let fault = Fault::new(Place::Key(part.at().key("mode")), format!("[{reference}] has no key `mode`"));
            self.fault(fault.hint("only a stage can report instead of refusing; an endpoint answers"));
        }
        let mut uses = Vec::new();
        let made = (kind.make)(part, &mut |at, part| {
            let upstream = self.upstream(at, part)?;
            uses.push(upstream.clone());
            Some(upstream)
        });
        let made = made.map_err(|faults| self.faults.extend(faults)).ok();
        let made = made.map(|made| self.before.own(&mut self.kept, reference, part, uses, made));
        self.endpoints.insert(reference.clone(), made);
    }

    fn make_upstream(&mut self, reference: EndpointRef, at: &KeyPath, table: &UpstreamTable) {
        let states = self.cells.cell("upstream", &reference.to_string(), Default::default);
        let mut build = Build::new(at.clone(), &self.config.folder, self.cells).in_world(self.world);
        let tls = tls::connector(table, at, &mut build);
        self.files.extend(build.files);
        self.faults.extend(build.warnings);
        let settings = tls.and_then(|tls| Ok(upstream::settings(table, at, tls)?)).map_err(|faults| self.faults.extend(faults)).ok();
        let made = settings.map(|settings| self.before.upstream(&mut self.kept, &reference, Upstream::new(settings, states)));
        self.endpoints.insert(reference, made);
    }

    /// An upstream of the file that was made, or could not be; none where there is no table of this name.
    pub(super) fn made_upstream(&self, part: &PartRef) -> Option<Option<Arc<Upstream>>> {
        let made = self.endpoints.get(&EndpointRef::Part(part.clone()))?;
        Some(made.as_ref().and_then(|made| if let Endpoint::Upstream(upstream) = made { Some(upstream.clone()) } else { None }))
    }

    /// What the clients of this endpoint stick to their servers by, and where the file says so.
    pub(super) fn sticky(&self, endpoint: &EndpointRef) -> Option<(KeyPath, &'a Sticky)> {
        let EndpointRef::Part(PartRef { kind, name: Some(name) }) = endpoint else { return None };
        let sticky = self.config.upstreams.get(name).filter(|_| kind == "upstream")?.sticky.as_ref()?;
        Some((KeyPath::table(kind, name).key("sticky"), sticky))
    }

    /// The stages a list names, in its order, those of shared pipelines in their place.
    pub(super) fn entries(&mut self, at: &KeyPath, list: &[StageRef], within: &[String]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (index, element) in list.iter().enumerate() {
            let at = at.index(index);
            match element {
                StageRef::One(part) if part.kind == "pipeline" => entries.extend(self.shared(&at, part, within)),
                StageRef::One(part) => entries.extend(self.stage(&at, part).map(|made| Entry::Stage(made.step))),
                StageRef::AnyOf(parts) => {
                    let steps: Vec<Step> =
                        parts.iter().enumerate().filter_map(|(index, part)| self.authentication(&at.index(index), part)).collect();
                    if !steps.is_empty() {
                        entries.push(Entry::AnyOf(steps));
                    }
                }
            }
        }
        entries
    }

    /// The stages of `[pipeline.NAME]`; its own faults are told once, however often it is named.
    fn shared(&mut self, at: &KeyPath, part: &PartRef, within: &[String]) -> Vec<Entry> {
        let Some(name) = &part.name else {
            self.fault(Fault::new(at.clone(), "a bare \"pipeline\" names no stages").hint(self.named_hint("pipeline")));
            return Vec::new();
        };
        self.used.insert(part.clone());
        if within.contains(name) {
            let way = within.iter().chain([name]).map(String::as_str).collect::<Vec<_>>().join(" → ");
            self.fault(Fault::new(at.clone(), format!("pipeline.{name} is part of itself")).hint(format!("it goes {way}")));
            return Vec::new();
        }
        if let Some(entries) = self.shared.get(name) {
            return entries.clone();
        }
        let config = self.config;
        let Some(table) = config.pipelines.get(name) else {
            self.unknown(at, part);
            return Vec::new();
        };
        let within: Vec<String> = within.iter().cloned().chain([name.clone()]).collect();
        let entries = self.entries(&KeyPath::table("pipeline", name).key("stages"), &table.stages, &within);
        self.shared.insert(name.clone(), entries.clone());
        entries
    }

    fn authentication(&mut self, at: &KeyPath, part: &PartRef) -> Option<Step> {
        if part.kind == "pipeline" {
            self.used.insert(part.clone());
            let fault = Fault::new(at.clone(), "a list of authentications names stages, not pipelines");
            self.fault(fault.hint("write its stages out"));
            return None;
        }
        let made = self.stage(at, part)?;
        if !made.authenticates {
            let kinds: Vec<&str> = self.catalog.stages().iter().filter(|kind| kind.authenticates).map(|kind| kind.kind).collect();
            let fault = Fault::new(at.clone(), format!("{part} does not authenticate, so it cannot be one of several ways to"));
            self.fault(fault.hint(format!("stages that do: {}", kinds.join(", "))));
            return None;
        }
        Some(made.step)
    }

    fn stage(&mut self, at: &KeyPath, part: &PartRef) -> Option<Made> {
        self.used.insert(part.clone());
        if let Some(made) = self.stages.get(part) {
            return made.clone();
        }
        let Some(kind) = self.catalog.stage(&part.kind) else {
            self.no_stage(at, part);
            return None;
        };
        if part.name.is_some() {
            self.unknown(at, part);
            return None;
        }
        if !kind.bare {
            let fault = Fault::new(at.clone(), format!("a bare \"{part}\" says nothing about what it should do"));
            self.fault(fault.hint(self.named_hint(&part.kind)));
            return None;
        }
        self.make_stage(part, &Part::bare(&part.kind));
        self.stages.get(part).cloned().flatten()
    }

    /// What answers behind a route.
    pub(super) fn endpoint(&mut self, at: &KeyPath, reference: &EndpointRef) -> Option<Endpoint> {
        if let EndpointRef::Part(part) = reference {
            self.used.insert(part.clone());
        }
        if let Some(made) = self.endpoints.get(reference) {
            return made.clone();
        }
        match reference {
            EndpointRef::Url(url) => self.make_upstream(reference.clone(), at, &UpstreamTable::of(url.clone())),
            EndpointRef::Part(part) if part.kind == "upstream" && part.name.is_none() => {
                let fault = Fault::new(at.clone(), "a bare \"upstream\" has no servers");
                self.fault(fault.hint(self.named_hint("upstream")));
            }
            EndpointRef::Part(part) if part.kind == "upstream" => self.unknown(at, part),
            EndpointRef::Part(part) => match self.catalog.endpoint(&part.kind) {
                Some(_) if part.name.is_none() => self.make_own(reference, &Part::bare(&part.kind)),
                Some(_) => self.unknown(at, part),
                None => self.no_endpoint(at, part),
            },
        }
        self.endpoints.get(reference).cloned().flatten()
    }

    /// Every upstream, by name; one that is only a URL by that.
    pub(super) fn upstreams(&self) -> BTreeMap<Arc<str>, Arc<Upstream>> {
        let named = self.endpoints.iter().filter_map(|(reference, made)| match (reference, made) {
            (EndpointRef::Part(part), Some(Endpoint::Upstream(upstream))) => Some((part.name.as_deref()?.into(), upstream.clone())),
            (EndpointRef::Url(url), Some(Endpoint::Upstream(upstream))) => Some((url.to_string().into(), upstream.clone())),
            _ => None,
        });
        named.collect()
    }

    /// Whether every client that passes this pipeline has an identity.
    pub(super) fn authenticates(&self, pipeline: &Pipeline) -> bool {
        pipeline.entries().iter().any(|entry| self.proves(entry))
    }

    /// Whether every client that passes here has an identity: a stage in report mode lets everybody through, and so does a list of
    /// authentications with one in it.
    pub(super) fn proves(&self, entry: &Entry) -> bool {
        let is_enforced = |step: &Step| step.mode == Mode::Enforce && self.made(step).is_some_and(|made| made.authenticates);
        match entry {
            Entry::Stage(step) => is_enforced(step),
            Entry::AnyOf(steps) => steps.iter().all(is_enforced),
        }
    }

    /// A stage of this pipeline that would authenticate if it were not in report mode.
    pub(super) fn only_reports(&self, pipeline: &Pipeline) -> Option<Arc<str>> {
        let found = pipeline.steps().find(|step| step.mode == Mode::Report && self.made(step).is_some_and(|made| made.authenticates));
        found.map(|step| step.name.clone())
    }

    /// Whether this endpoint answers only clients with an identity.
    pub(super) fn needs_identity(&self, endpoint: &EndpointRef) -> bool {
        match endpoint {
            EndpointRef::Part(part) => self.catalog.endpoint(&part.kind).is_some_and(|kind| kind.needs_identity),
            EndpointRef::Url(_) => false,
        }
    }

    /// Whether a list names a stage that has faults of its own, so that what it would do is not known.
    pub(super) fn has_unreadable(&self, list: &[StageRef]) -> bool {
        self.unreadable_within(list, &mut BTreeSet::new())
    }

    /// The same, of a list met on the way through these pipelines: one that is part of itself cannot be read either.
    fn unreadable_within<'l>(&'l self, list: &'l [StageRef], within: &mut BTreeSet<&'l str>) -> bool {
        let is_made = |part| matches!(self.stages.get(part), Some(Some(_)));
        list.iter().any(|element| match element {
            StageRef::One(part) if part.kind == "pipeline" => {
                let named = part.name.as_ref().and_then(|name| self.config.pipelines.get_key_value(name));
                let Some((name, table)) = named else { return true };
                if !within.insert(name) {
                    return true;
                }
                let is_unreadable = self.unreadable_within(&table.stages, within);
                within.remove(name.as_str());
                is_unreadable
            }
            StageRef::One(part) => !is_made(part),
            StageRef::AnyOf(parts) => !parts.iter().all(is_made),
        })
    }

    /// The stages of the file that authenticate, and do not only report.
    pub(super) fn authentications(&self) -> Vec<String> {
        self.stages
            .iter()
            .filter(|(_, made)| made.as_ref().is_some_and(|made| made.authenticates && made.step.mode == Mode::Enforce))
            .map(|(name, _)| name.to_string())
            .collect()
    }

    /// Where secrets of this pipeline's stages have a default for local trials.
    pub(super) fn defaulted(&self, pipeline: &Pipeline) -> Vec<KeyPath> {
        pipeline.steps().filter_map(|step| self.made(step)).flat_map(|made| made.defaulted.iter().cloned()).collect()
    }

    pub(super) fn made(&self, step: &Step) -> Option<&Made> {
        self.stages.get(&step.name.parse::<PartRef>().ok()?)?.as_ref()
    }

    /// Makes the pipelines that nothing refers to: their faults are faults.
    pub(super) fn unused_pipelines(&mut self) {
        for (name, table) in &self.config.pipelines {
            if !self.shared.contains_key(name) {
                let at = KeyPath::table("pipeline", name).key("stages");
                self.entries(&at, &table.stages, std::slice::from_ref(name));
            }
        }
    }
}
