//! The tables that a table names: read of one that is not whole too, so that those that are not there are told with its other faults.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::dom::Node;
use super::failure;
use super::fault::KeyPath;
use super::reference::{EndpointRef, Name, StageRef};
use super::units::Many;

/// What a listener, a route or a shared pipeline names. Where a key, or anything in its list, is faulty, it is as if it were left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Mentions {
    /// The listeners of a route.
    pub listener: Option<Many<Name>>,
    /// The stages of a route or a listener.
    pub pipeline: Option<Vec<StageRef>>,
    /// The stages of a shared pipeline.
    pub stages: Option<Vec<StageRef>>,
    /// What answers behind a route.
    pub endpoint: Option<EndpointRef>,
}

impl Mentions {
    /// Reads a table at this path, of which these values are faulty and told.
    pub(super) fn read(node: &Node, at: &KeyPath, faulty: &BTreeSet<KeyPath>) -> Self {
        let read = failure::read::<Self>(node, at, faulty);
        let is_sound = |key: &str| !read.faulty.iter().any(|path| path.starts_with(&at.key(key)));
        let Self { listener, pipeline, stages, endpoint } = read.table.unwrap_or_default();
        Self {
            listener: listener.filter(|_| is_sound("listener")),
            pipeline: pipeline.filter(|_| is_sound("pipeline")),
            stages: stages.filter(|_| is_sound("stages")),
            endpoint: endpoint.filter(|_| is_sound("endpoint")),
        }
    }
}
