//! References that lead nowhere, and tables that nothing refers to: what their operator is told.

use crate::config::FRAME_KINDS;
use crate::config::fault::{Fault, KeyPath, Place};
use crate::config::nearest::nearest;
use crate::config::reference::PartRef;

use super::parts::Parts;

impl Parts<'_> {
    /// A reference in a pipeline that is none to a stage.
    pub(super) fn no_stage(&mut self, at: &KeyPath, part: &PartRef) {
        let is_endpoint = part.kind == "upstream" || self.catalog.endpoint(&part.kind).is_some();
        if is_endpoint {
            let fault = Fault::new(at.clone(), format!("{part} answers; it is not a stage"));
            self.fault(fault.hint(format!("write endpoint = \"{part}\"")));
        } else if FRAME_KINDS.contains(&part.kind.as_str()) {
            self.fault(Fault::new(at.clone(), format!("{part} is not a stage")));
        } else {
            let kinds: Vec<&str> = self.catalog.stages().iter().map(|kind| kind.kind).collect();
            self.no_kind(at, part, "stage", &kinds);
        }
    }

    /// A reference at an `endpoint` that is none to one.
    pub(super) fn no_endpoint(&mut self, at: &KeyPath, part: &PartRef) {
        if self.catalog.stage(&part.kind).is_some() || part.kind == "pipeline" {
            let fault = Fault::new(at.clone(), format!("{part} judges; it answers nothing"));
            self.fault(fault.hint(format!("write pipeline = [\"{part}\"], and an endpoint")));
            return;
        }
        if FRAME_KINDS.contains(&part.kind.as_str()) {
            self.fault(Fault::new(at.clone(), format!("{part} is not an endpoint")));
            return;
        }
        let own = self.catalog.kinds().into_iter().filter(|kind| self.catalog.endpoint(kind).is_some());
        let kinds: Vec<&str> = own.chain(["upstream"]).collect();
        self.no_kind(at, part, "endpoint", &kinds);
    }

    /// A kind that is none of these; a bare one may be the name of a table of one of them.
    fn no_kind(&mut self, at: &KeyPath, part: &PartRef, what: &str, kinds: &[&str]) {
        let by_name = kinds.iter().find(|kind| part.name.is_none() && self.config.names(kind).any(|name| name == part.kind));
        let meant = match (by_name, nearest(&part.kind, kinds.iter().copied())) {
            (Some(kind), _) => Some(PartRef { kind: (*kind).to_owned(), name: Some(part.kind.clone()) }),
            (None, Some(near)) => Some(PartRef { kind: near.to_owned(), name: part.name.clone() }),
            (None, None) => None,
        };
        let fault = Fault::new(at.clone(), format!("there is no {what} of the kind \"{}\"", part.kind));
        self.fault(match &meant {
            Some(meant) => fault.hint(format!("did you mean \"{meant}\"?")),
            None => fault.hint(format!("kinds of {what}s: {}", kinds.join(", "))),
        });
        self.used.extend(meant);
    }

    /// A name of a known kind that no table has; silent where its table is there and could not be read.
    pub(super) fn unknown(&mut self, at: &KeyPath, part: &PartRef) {
        let name = part.name.as_deref().unwrap_or_default();
        if self.config.declares(&part.kind, name) {
            return;
        }
        let fault = Fault::new(at.clone(), format!("there is no [{part}]"));
        let near = self.config.nearest_name(&part.kind, name);
        let near = near.map(|near| PartRef { kind: part.kind.clone(), name: Some(near.to_owned()) });
        self.fault(match &near {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => fault.hint(format!("write a table [{part}]")),
        });
        self.used.extend(near);
    }

    /// What to write in place of a bare kind.
    pub(super) fn named_hint(&self, kind: &str) -> String {
        match self.config.names(kind).next() {
            Some(name) => format!("did you mean \"{kind}.{name}\"?"),
            None => format!("write a table [{kind}.NAME], and refer to it as \"{kind}.NAME\""),
        }
    }

    /// Warns of what nothing refers to, where everything that may refer to it is known.
    pub(super) fn warn_of_unused(&mut self) {
        if !["gateway", "listener", "route", "pipeline"].iter().all(|kind| self.config.is_whole(kind)) {
            return;
        }
        let stages = self.config.parts.keys().map(|(kind, name)| (kind.as_str(), name.as_str()));
        let upstreams = self.config.upstreams.keys().map(|name| ("upstream", name.as_str()));
        let pipelines = self.config.pipelines.keys().map(|name| ("pipeline", name.as_str()));
        for (kind, name) in stages.chain(upstreams).chain(pipelines) {
            let part = PartRef { kind: kind.to_owned(), name: Some(name.to_owned()) };
            if self.used.contains(&part) {
                continue;
            }
            let does = if self.catalog.stage(kind).is_some() || kind == "pipeline" { "judges nobody" } else { "answers nobody" };
            let names = if kind == "pipeline" || does == "answers nobody" { "no route names it" } else { "no pipeline names it" };
            self.faults.push(Fault::warning(Place::Key(KeyPath::table(kind, name)), format!("{part} {does}: {names}")));
        }
    }
}
