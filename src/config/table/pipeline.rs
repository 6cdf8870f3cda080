//! `[pipeline.NAME]`: stages to share between listeners and routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Table;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::StageRef;

/// `[pipeline.NAME]`: stages to share between listeners and routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineTable {
    /// The stages, in the order they run: `"kind.name"`, a bare `"kind"`, another pipeline, or a list of authentications of which any will do.
    pub stages: Vec<StageRef>,
}

impl Table for PipelineTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.stages.is_empty() {
            faults.push(Fault::warning(at.key("stages"), "a pipeline without stages judges nobody"));
        }
    }
}
