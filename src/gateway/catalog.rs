//! The kinds of stages and endpoints a file may use: the built-in ones, and those a program adds.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Part;
use crate::config::fault::{Faults, KeyPath};
use crate::config::reference::PartRef;
use crate::endpoint::authenticated::{self, Authenticated};
use crate::endpoint::echo::{self, Echo};
use crate::endpoint::health;
use crate::endpoint::upstream::Upstream;
use crate::endpoint::{Answer, Endpoint};
use crate::stage::{Configure, ExpandTable, Outcome, STAGES, StageKind};

/// Every kind a file may use besides those of the frame.
#[derive(Clone)]
pub struct Catalog {
    stages: Vec<StageKind>,
}

/// A kind of endpoint that the gateway answers itself.
pub struct EndpointKind {
    /// The kind, as the file writes it.
    pub kind: &'static str,
    /// Whether its routes need a stage that authenticates.
    pub needs_identity: bool,
    /// Makes the endpoint its table describes.
    pub make: MakeEndpoint,
    /// The JSON Schema of its table.
    pub schema: fn() -> Schema,
    /// Its table with every default filled in and every secret masked.
    pub expand: ExpandTable,
}

/// Finds an upstream by the reference that stands at this path. What is none is told of, and there is no upstream.
pub type Upstreams<'a> = &'a mut dyn FnMut(&KeyPath, &PartRef) -> Option<Arc<Upstream>>;

/// Makes an endpoint from its table.
pub type MakeEndpoint = fn(&Part, Upstreams<'_>) -> Result<Endpoint, Faults>;

impl EndpointKind {
    /// The entry of an endpoint whose table is of this type.
    const fn of<T: DeserializeOwned + Serialize + JsonSchema>(kind: &'static str, needs_identity: bool, make: MakeEndpoint) -> Self {
        Self { kind, needs_identity, make, schema: || schema_for!(T), expand: |part| part.expand::<T>() }
    }
}

/// The endpoints that answer themselves; each may stand bare.
pub const ENDPOINTS: &[EndpointKind] = &[
    EndpointKind::of::<echo::Table>("echo", false, |part, _| made(part, Echo::new)),
    EndpointKind::of::<authenticated::Table>("authenticated", true, |part, _| made(part, Authenticated::new)),
    EndpointKind::of::<health::Table>("health", false, super::health::make),
];

fn made<T: DeserializeOwned + JsonSchema, A: Answer>(part: &Part, make: fn(T) -> A) -> Result<Endpoint, Faults> {
    part.read().map(|table| Endpoint::Own(Arc::new(make(table))))
}

impl Default for Catalog {
    fn default() -> Self {
        Self { stages: STAGES.to_vec() }
    }
}

impl Catalog {
    /// Adds a stage of one's own; one of the same kind is replaced.
    ///
    /// ```
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    /// use wsgate::config::{Document, fault::Faults};
    /// use wsgate::gateway::{Catalog, Gateway};
    /// use wsgate::stage::refusal::{FORBIDDEN, Refusal};
    /// use wsgate::stage::{Build, Client, Configure, Judgement, Stage, cells::Cells};
    ///
    /// /// Turns clients of some hosts away.
    /// struct Closed(Vec<String>);
    ///
    /// #[derive(Serialize, Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Table {
    ///     /// The hosts that are closed.
    ///     hosts: Vec<String>,
    /// }
    ///
    /// impl Stage for Closed {
    ///     fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
    ///         let is_closed = self.0.iter().any(|host| **host == *client.host());
    ///         Judgement::Now(if is_closed { Err(Box::new(Refusal::new(FORBIDDEN))) } else { Ok(()) })
    ///     }
    /// }
    ///
    /// impl Configure for Closed {
    ///     const KIND: &'static str = "closed";
    ///     type Table = Table;
    ///
    ///     fn configure(table: Table, _: &mut Build<'_>) -> Result<Self, Faults> {
    ///         Ok(Self(table.hosts))
    ///     }
    /// }
    ///
    /// let text = r#"
    ///     [listener.public]
    ///     address = "127.0.0.1:8765"
    ///     [closed.old]
    ///     hosts = ["old.example.com"]
    ///     [route.echo]
    ///     pipeline = ["closed.old"]
    ///     endpoint = "echo"
    /// "#;
    /// let document = Document::parse("gateway.toml", text, ".");
    /// let catalog = Catalog::default().with_stage::<Closed>();
    /// let (gateway, faults) = Gateway::compile(&document, &catalog, &Cells::default());
    /// assert!(gateway.is_some() && faults.is_empty());
    /// ```
    #[must_use]
    pub fn with_stage<S: Configure>(mut self) -> Self {
        self.stages.retain(|stage| stage.kind != S::KIND);
        self.stages.push(StageKind::of::<S>());
        self
    }

    /// The kinds of stages.
    pub fn stages(&self) -> &[StageKind] {
        &self.stages
    }

    /// A kind of stage.
    pub fn stage(&self, kind: &str) -> Option<&StageKind> {
        self.stages.iter().find(|stage| stage.kind == kind)
    }

    /// The rows that its stages add to the [table of outcomes](crate::stage::refusal::TABLE).
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.stages.iter().flat_map(|stage| stage.outcomes).copied().collect()
    }

    /// A kind of endpoint.
    pub fn endpoint(&self, kind: &str) -> Option<&'static EndpointKind> {
        ENDPOINTS.iter().find(|endpoint| endpoint.kind == kind)
    }

    /// Every kind that is not the frame's.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.stages.iter().map(|stage| stage.kind).chain(ENDPOINTS.iter().map(|endpoint| endpoint.kind)).collect()
    }
}
