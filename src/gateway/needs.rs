//! What stages need of the pipelines they stand in: an order that works, segments to read, pages that are judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Mode;
use crate::config::fault::{Fault, KeyPath};
use crate::config::nearest::nearest;
use crate::config::reference::EndpointRef;
use crate::config::table::{Route as RouteShape, Sticky};
use crate::stage::build::Need;
use crate::stage::pipeline::{Entry, Pipeline, Step};

use super::compile::Compiler;
use super::listener::Listener;

impl Compiler<'_> {
    /// Every way to a route has to give its stages what they cannot do without; `segments` are the names its patterns have.
    pub(super) fn check_needs(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline, segments: &[Arc<str>]) {
        let config = self.parts.config;
        if self.parts.has_unreadable(shape.pipeline) || !config.is_whole("gateway") {
            return;
        }
        for listener in listeners {
            if config.listeners.get(&*listener.name).is_some_and(|table| self.parts.has_unreadable(&table.pipeline)) {
                continue;
            }
            let at = KeyPath::table("listener", &listener.name);
            let first = listener.pipeline.entries().iter().map(|entry| (entry, &at));
            let own = KeyPath::table("route", shape.name);
            let way: Vec<(&Entry, &KeyPath)> = first.chain(pipeline.entries().iter().map(|entry| (entry, &own))).collect();
            self.check_repeats(&way);
            self.check_identities(&way);
            self.check_origins(&way, &own);
            self.check_segments(&way, &own, segments);
            self.check_backend(&way, shape);
            self.check_first_messages(&way, shape);
            self.check_certificates(&way, listener);
            self.check_messages(&way);
        }
    }

    /// What would do harm twice stands once.
    fn check_repeats(&mut self, way: &[(&Entry, &KeyPath)]) {
        let mut seen: BTreeMap<&str, &KeyPath> = BTreeMap::new();
        for (step, table) in way.iter().flat_map(|(entry, table)| steps(entry).iter().map(move |step| (step, *table))) {
            let harm = |need: &Need| if let Need::Once(harm) = need { Some(*harm) } else { None };
            let Some(harm) = self.parts.made(step).and_then(|made| made.needs.iter().find_map(harm)) else { continue };
            let Some(first) = seen.insert(&step.name, table) else { continue };
            let by = if first == table { format!("in {table}") } else { format!("on the way by {first} and {table}") };
            let fault = Fault::new(table.key("pipeline"), format!("{} stands twice {by}: {harm}", step.name)).hint("name it once");
            self.fault(if first == table { fault } else { fault.also(first.key("pipeline"), format!("{first} names it as well")) });
        }
    }

    /// A stage that goes by who the client is stands behind what finds it out.
    fn check_identities(&mut self, way: &[(&Entry, &KeyPath)]) {
        let mut is_known = false;
        for (index, (entry, table)) in way.iter().enumerate() {
            for (step, need) in self.needs(entry) {
                let Need::Identity(at) = need else { continue };
                if is_known {
                    continue;
                }
                let fault =
                    Fault::new(at, format!("{} goes by who the client is, and nothing before it in {table} asks for proof", step.name));
                let later = way.iter().skip(index + 1).find(|(entry, _)| self.parts.proves(entry)).map(|(entry, _)| entry);
                let reports = self.parts.only_reports(&Pipeline::new(way.iter().map(|(entry, _)| (*entry).clone()).collect()));
                let hint = match (later.and_then(|entry| steps(entry).first()), reports, self.parts.authentications().first()) {
                    (Some(later), ..) => format!("name it behind \"{}\"", later.name),
                    (None, Some(stage), _) => format!("{stage} is in report mode, so it proves nothing: take its `mode` out"),
                    (None, _, Some(way)) => format!("name \"{way}\" before it"),
                    (None, _, None) => "write a table [jwt.NAME], and name \"jwt.NAME\" before it".to_owned(),
                };
                self.fault(fault.hint(hint).also(table.key("pipeline"), table.to_string()));
            }
            is_known |= self.parts.proves(entry);
        }
    }

    /// A credential that a browser sends for every page is worth as much as the pages that may use it.
    fn check_origins(&mut self, way: &[(&Entry, &KeyPath)], route: &KeyPath) {
        let judges = |step: &Step| step.mode == Mode::Enforce && self.parts.made(step).is_some_and(|made| made.judges_origins);
        if way.iter().flat_map(|(entry, _)| steps(entry)).any(judges) {
            return;
        }
        for (entry, _) in way {
            for (step, need) in self.needs(entry) {
                let Need::Origins(at) = need else { continue };
                let message =
                    format!("{} takes what browsers send for every page, and nothing on the way to {route} judges pages", step.name);
                let fault = Fault::warning(at, message).hint("write a table [origin.NAME], and name it before");
                self.fault(fault.also(route.clone(), route.to_string()));
            }
        }
    }

    /// A segment that is read is one of the route's.
    fn check_segments(&mut self, way: &[(&Entry, &KeyPath)], route: &KeyPath, segments: &[Arc<str>]) {
        for (entry, _) in way {
            for (step, need) in self.needs(entry) {
                let Need::Segment(at, name) = need else { continue };
                if segments.iter().any(|segment| **segment == *name) {
                    continue;
                }
                let fault = Fault::warning(at, format!("{} reads the segment {{{name}}}, and {route} has none of that name", step.name));
                let fault = fault.also(route.clone(), route.to_string());
                self.fault(match nearest(&name, segments.iter().map(|segment| &**segment)) {
                    Some(near) => fault.hint(format!("did you mean {{{near}}}?")),
                    None => fault,
                });
            }
        }
    }

    /// A stage that hands something on has somebody to hand it to.
    fn check_backend(&mut self, way: &[(&Entry, &KeyPath)], shape: &RouteShape<'_>) {
        let is_own = matches!(shape.endpoint, EndpointRef::Part(part) if part.kind != "upstream");
        for (entry, _) in way.iter().filter(|_| is_own) {
            for (step, need) in self.needs(entry) {
                let Need::Backend(at) = need else { continue };
                let message = format!("{} forwards to a backend, and route.{} has none", step.name, shape.name);
                self.fault(Fault::warning(at, message).also(shape.at("endpoint"), shape.endpoint.to_string()));
            }
        }
    }

    /// Who is answered 101 before a server is chosen cannot be told with it which one it was; who only probes is answered none.
    fn check_first_messages(&mut self, way: &[(&Entry, &KeyPath)], shape: &RouteShape<'_>) {
        let sticky = self.parts.sticky(shape.endpoint).filter(|(_, sticky)| matches!(sticky, Sticky::Cookie(_)));
        let is_health = matches!(shape.endpoint, EndpointRef::Part(part) if part.kind == "health");
        for (step, need) in way.iter().flat_map(|(entry, _)| self.needs(entry)).collect::<Vec<_>>() {
            let Need::FirstMessage(at) = need else { continue };
            if let Some((sticky, _)) = &sticky {
                let message = format!(
                    "clients that {} asks for a first message are answered before a server is chosen, and get no cookie",
                    step.name
                );
                let fault = Fault::warning(at, message).hint("write sticky = \"user\": by then it is known who they are");
                self.fault(fault.also(sticky.clone(), shape.endpoint.to_string()));
            } else if is_health {
                let message = format!("{} reads first messages, and a probe of route.{} sends none", step.name, shape.name);
                self.fault(Fault::warning(at, message).also(shape.at("endpoint"), shape.endpoint.to_string()));
            }
        }
    }

    /// A stage that goes by certificates stands where clients are asked for them; in a list, others may know whoever has none.
    fn check_certificates(&mut self, way: &[(&Entry, &KeyPath)], listener: &Listener) {
        let table = self.parts.config.listeners.get(&*listener.name).and_then(|table| table.tls.as_ref());
        if table.is_some_and(|tls| tls.client_ca.is_some()) {
            return;
        }
        for (entry, _) in way {
            let needs: Vec<_> = self.needs(entry).into_iter().filter(|(_, need)| matches!(need, Need::Certificate(_))).collect();
            if needs.len() < steps(entry).len() {
                continue;
            }
            for (step, need) in needs {
                let Need::Certificate(at) = need else { continue };
                let message =
                    format!("{} lets nobody in that comes by listener.{}, which asks for no certificates", step.name, listener.name);
                let fault = Fault::warning(at, message).hint("give the listener `tls = { client_ca = \"ca.pem\" }`");
                self.fault(fault.also(KeyPath::table("listener", &listener.name), format!("listener.{}", listener.name)));
            }
        }
    }

    /// What one stage takes out need not have the form that another demands of messages, which would see it first.
    fn check_messages(&mut self, way: &[(&Entry, &KeyPath)]) {
        let mut demanded = None;
        let needs = way.iter().flat_map(|(entry, _)| self.needs(entry)).filter(|(step, _)| step.mode == Mode::Enforce);
        for (step, need) in needs.collect::<Vec<_>>() {
            match (need, &demanded) {
                (Need::Form(at), _) => demanded = Some((step, at)),
                (Need::Takes(at), Some((first, form))) => {
                    let message = format!("{} refuses the messages that {} takes, unless its schema knows them", first.name, step.name);
                    let fault = Fault::warning(at, message).hint(format!("name \"{}\" before \"{}\"", step.name, first.name));
                    self.fault(fault.also(form.clone(), "the schema".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// What the stages of an entry need.
    fn needs(&self, entry: &Entry) -> Vec<(Step, Need)> {
        let needs = |step: &Step| self.parts.made(step).map_or_else(Vec::new, |made| made.needs.clone());
        steps(entry).iter().flat_map(|step| needs(step).into_iter().map(|need| (step.clone(), need))).collect()
    }
}

fn steps(entry: &Entry) -> &[Step] {
    match entry {
        Entry::Stage(step) => std::slice::from_ref(step),
        Entry::AnyOf(steps) => steps,
    }
}
