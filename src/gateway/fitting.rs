//! Stages and what stands around them: who goes by a client's identity, who leaves out messages.

use std::sync::Arc;

use crate::config::fault::{Fault, KeyPath};
use crate::config::reference::StageRef;
use crate::config::table::{Compression, Route as RouteShape};
use crate::stage::pipeline::{Entry, Mode, Pipeline};

use super::compile::Compiler;
use super::listener::Listener;

impl Compiler<'_> {
    /// A stage that goes by the client's identity needs one before it that gives one, on every way to the route.
    pub(super) fn check_order(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline) {
        let config = self.parts.config;
        if !config.is_whole("gateway") {
            return;
        }
        for listener in listeners {
            let list = config.listeners.get(&*listener.name).map_or(&[][..], |table| &table.pipeline);
            if self.parts.has_unreadable(list) {
                continue;
            }
            let at = KeyPath::table("listener", &listener.name).key("pipeline");
            self.check_pipeline(&at, list, &listener.pipeline, listener);
            if !self.parts.authenticates(&listener.pipeline) && !self.parts.has_unreadable(shape.pipeline) {
                self.check_pipeline(&shape.at("pipeline"), shape.pipeline, pipeline, listener);
            }
        }
    }

    /// Under context takeover a message that is left out takes the meaning of those behind it along (RFC 7692 §7.1.1).
    pub(super) fn check_takeover(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline) {
        if shape.compression != Compression::Takeover {
            return;
        }
        let pipelines = listeners.iter().map(|listener| &listener.pipeline).chain([pipeline]);
        let found = pipelines.flat_map(|pipeline| pipeline.steps()).find(|step| step.mode == Mode::Enforce && step.stage.leaves_out());
        if let Some(step) = found {
            let message = format!("{} leaves out messages, and with takeover those behind one cannot be read without it", step.name);
            self.fault(Fault::new(shape.at("compression"), message).hint("write compression = \"pass\""));
        }
    }

    fn check_pipeline(&mut self, at: &KeyPath, list: &[StageRef], pipeline: &Pipeline, listener: &Listener) {
        let mut before: Vec<Entry> = Vec::new();
        for entry in pipeline.entries() {
            if let Entry::Stage(step) = entry
                && step.stage.needs_identity()
                && !self.parts.authenticates(&Pipeline::new(before.clone()))
            {
                let index = list.iter().position(|element| matches!(element, StageRef::One(part) if part.to_string() == *step.name));
                let at = index.map_or_else(|| at.clone(), |index| at.index(index));
                let message = format!(
                    "{} goes by who a client is, and nothing before it on the way from listener.{} asks for proof",
                    step.name, listener.name
                );
                let hint = match (self.parts.only_reports(pipeline), self.parts.authentications().first()) {
                    (Some(stage), _) => format!("{stage} is in report mode, so it lets everybody pass: take its `mode` out"),
                    (None, Some(way)) => format!("put \"{way}\" before it"),
                    (None, None) => "write a table [jwt.NAME], and put \"jwt.NAME\" before it".to_owned(),
                };
                self.fault(Fault::new(at, message).hint(hint));
            }
            before.push(entry.clone());
        }
    }
}
