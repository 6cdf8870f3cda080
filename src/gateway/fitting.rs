//! Stages beside what they cannot stand beside: who leaves out or reads messages, and context takeover.

use std::sync::Arc;

use crate::config::fault::Fault;
use crate::config::table::{Compression, Route as RouteShape};
use crate::stage::Pipeline;

use super::compile::Compiler;
use super::listener::Listener;

impl Compiler<'_> {
    /// Under context takeover a message says nothing without all those before it (RFC 7692 §7.1.1): none can be left out, and none read
    /// by whoever has not read them all. In report mode too: it may not stay in it.
    pub(super) fn check_takeover(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline) {
        if shape.compression != Compression::Takeover {
            return;
        }
        let pipelines = listeners.iter().map(|listener| &listener.pipeline).chain([pipeline]);
        let found = pipelines.flat_map(|pipeline| pipeline.steps()).find(|step| step.stage.bars_takeover());
        if let Some(step) = found {
            let message = format!("{} leaves out or reads messages, and with takeover none can be read without those before it", step.name);
            self.fault(Fault::new(shape.at("compression"), message).hint("write compression = \"pass\""));
        }
    }
}
