//! Every table of a file in the order it is shown, and what there is without one.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::config::document::Document;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::{EndpointRef, PartRef, StageRef};
use crate::config::table::UpstreamTable;
use crate::config::{Config, FRAME, Part, expanded};
use crate::gateway::catalog::{Catalog, ENDPOINTS};
use crate::gateway::schema::schema;
use crate::stage::ExpandTable;

use super::keys::{Keys, Layer};
use super::{Origin, Table};

/// The kinds of the frame that stand before stages and endpoints: who asks stands before who is asked.
const FIRST: [&str; 4] = ["gateway", "listener", "route", "pipeline"];

/// Fills in every table of a config.
pub(super) struct Expander<'a> {
    document: &'a Document,
    config: &'a Config,
    catalog: &'a Catalog,
    schema: Json,
}

impl<'a> Expander<'a> {
    pub(super) fn new(document: &'a Document, config: &'a Config, catalog: &'a Catalog) -> Self {
        Self { document, config, catalog, schema: schema(catalog).to_value() }
    }

    /// All of them, in the order they are shown.
    pub(super) fn tables(&self) -> Result<Vec<Table>, Faults> {
        let mut tables = Vec::new();
        for kind in FIRST {
            tables.extend(self.frame(kind)?);
        }
        for stage in self.catalog.stages() {
            tables.extend(self.parts(stage.kind, stage.expand)?);
        }
        for endpoint in ENDPOINTS {
            tables.extend(self.parts(endpoint.kind, endpoint.expand)?);
        }
        for kind in FRAME.iter().filter(|kind| !FIRST.contains(&kind.kind)) {
            tables.extend(self.frame(kind.kind)?);
        }
        Ok(tables)
    }

    /// The schema of a kind's table.
    fn shape(&self, kind: &str) -> Option<&Json> {
        let kind = self.schema.get("properties")?.get(kind)?;
        kind.get("additionalProperties").filter(|table| table.is_object()).or(Some(kind))
    }

    /// The tables of a kind of the frame.
    fn frame(&self, kind: &str) -> Result<Vec<Table>, Faults> {
        let Some(frame) = FRAME.iter().find(|frame| frame.kind == kind) else { return Ok(Vec::new()) };
        let written = (frame.tables)(self.config).map_err(|why| unwritten(&why))?;
        let mut tables = Vec::new();
        for (name, values) in written {
            tables.extend(match kind {
                "gateway" => self.gateway(values),
                "route" => vec![self.route(name, &values)?],
                _ => vec![self.table(kind, name, &values)],
            });
        }
        if kind == "upstream" {
            tables.extend(self.anonymous()?);
        }
        Ok(tables)
    }

    /// The tables of a kind of stages or endpoints, and the one that a bare name of it stands for.
    fn parts(&self, kind: &str, expand: ExpandTable) -> Result<Vec<Table>, Faults> {
        let values = |part: &Part| -> Result<toml::Table, Faults> {
            let mut values = expand(part)?;
            if self.catalog.stage(kind).is_some() {
                let mode = toml::Value::try_from(part.mode).map_err(|error| unwritten(&error.to_string()))?;
                values.insert("mode".to_owned(), mode);
            }
            Ok(values)
        };
        let mut tables = Vec::new();
        for part in self.config.parts.values().filter(|part| part.kind == kind) {
            tables.push(self.table(kind, &part.name, &values(part)?));
        }
        if self.bare().contains(kind) {
            tables.push(self.untold(kind, Origin::Bare, &values(&Part::bare(kind))?));
        }
        Ok(tables)
    }

    fn table(&self, kind: &str, name: &str, values: &toml::Table) -> Table {
        let at = if name.is_empty() { KeyPath::default().key(kind) } else { KeyPath::table(kind, name) };
        let keys = Keys::of(self.document, false).list(self.shape(kind), &[Layer::own(&at, values)]);
        Table { kind: kind.to_owned(), name: name.to_owned(), from: self.origin(&at), keys }
    }

    /// What there is without a table in the file.
    fn untold(&self, kind: &str, from: Origin, values: &toml::Table) -> Table {
        let keys = Keys::of(self.document, false).list(self.shape(kind), &[Layer::nowhere(values)]);
        Table { kind: kind.to_owned(), name: String::new(), from, keys }
    }

    fn origin(&self, at: &KeyPath) -> Origin {
        self.document.line(at).map_or(Origin::Default, Origin::File)
    }

    /// `[gateway]`, and `[gateway.route]` with what it sets.
    fn gateway(&self, mut values: toml::Table) -> Vec<Table> {
        let defaults = values.remove("route");
        let mut gateway = self.table("gateway", "", &values);
        gateway.keys.retain(|key| key.path.first().is_none_or(|key| key != "route"));
        let Some(toml::Value::Table(defaults)) = defaults else { return vec![gateway] };
        let mut route = self.table("gateway", "route", &defaults);
        route.keys = Keys::of(self.document, false).list(None, &[Layer::own(&KeyPath::table("gateway", "route"), &defaults)]);
        vec![gateway, route]
    }

    /// A route, with what `[gateway.route]` and the built-in defaults give it.
    fn route(&self, name: &str, values: &toml::Table) -> Result<Table, Faults> {
        let (own, shared) = (KeyPath::table("route", name), KeyPath::table("gateway", "route"));
        let defaults = expanded(&self.config.gateway.route).map_err(|why| unwritten(&why))?;
        let layers = [Layer::own(&own, values), Layer::shared(&shared, &defaults)];
        let mut keys = Keys::of(self.document, true).list(self.shape("route"), &layers);
        let mut listeners = self.config.listeners.keys();
        if let (Some(key), Some(listener), None) =
            (keys.iter_mut().find(|key| key.path == ["listener"] && key.value.is_none()), listeners.next(), listeners.next())
        {
            (key.value, key.from) = (Some(listener.as_str().into()), Origin::Only);
        }
        Ok(Table { kind: "route".to_owned(), name: name.to_owned(), from: self.origin(&own), keys })
    }

    /// Upstreams that are the URL of one server.
    fn anonymous(&self) -> Result<Vec<Table>, Faults> {
        let mut tables = Vec::new();
        let mut told = BTreeSet::new();
        for (name, route) in &self.config.routes {
            let EndpointRef::Url(url) = &route.endpoint else { continue };
            let at = KeyPath::table("route", name).key("endpoint");
            // As it is written: what a variable holds is not shown.
            let written = self.document.written(&at);
            let written = written.as_ref().and_then(toml::Value::as_str).map_or_else(|| url.to_string(), str::to_owned);
            if !told.insert(written.clone()) {
                continue;
            }
            let mut values = expanded(&UpstreamTable::of(url.clone())).map_err(|why| unwritten(&why))?;
            values.insert("servers".to_owned(), written.as_str().into());
            let mut table = self.untold("upstream", Origin::Url(written), &values);
            table.keys.iter_mut().filter(|key| key.path == ["servers"]).for_each(|key| key.from = self.origin(&at));
            tables.push(table);
        }
        Ok(tables)
    }

    /// The kinds that stand bare somewhere.
    fn bare(&self) -> BTreeSet<&'a str> {
        let config = self.config;
        let shared = config.pipelines.values().map(|pipeline| &pipeline.stages);
        let listeners = config.listeners.values().map(|listener| &listener.pipeline);
        let routes = config.routes.values().filter_map(|route| route.pipeline.as_ref()).chain(config.gateway.route.pipeline.as_ref());
        let stages = shared.chain(listeners).chain(routes).flatten().flat_map(|stage| match stage {
            StageRef::One(part) => std::slice::from_ref(part),
            StageRef::AnyOf(parts) => parts,
        });
        let endpoints = config.routes.values().filter_map(|route| match &route.endpoint {
            EndpointRef::Part(part) => Some(part),
            EndpointRef::Url(_) => None,
        });
        stages.chain(endpoints).filter(|part| part.name.is_none()).map(|part: &PartRef| part.kind.as_str()).collect()
    }
}

fn unwritten(why: &str) -> Faults {
    Fault::new(KeyPath::default(), format!("the file cannot be written as TOML: {why}")).into()
}
