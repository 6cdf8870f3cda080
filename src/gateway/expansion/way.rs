//! One route as it is in force: the listeners it hangs on, itself, its stages in the order they run, and what answers.

use crate::config::Config;
use crate::config::document::Document;
use crate::config::fault::{Faults, KeyPath};
use crate::config::reference::{EndpointRef, PartRef, StageRef};

use super::{Catalog, Expander, Key, Origin, Table, read};

/// The tables that a connection of this route meets, of a document whose faults do not refuse it; nothing where it has no such route.
/// Shared pipelines are written out where they are named.
///
/// # Errors
/// The faults of a file that cannot be read.
pub fn expand_route(document: &Document, catalog: &Catalog, route: &str) -> Result<Option<Vec<Table>>, Faults> {
    let config = read(document, catalog)?;
    let Some(shape) = config.routes().find(|shape| shape.name == route) else { return Ok(None) };
    let tables = Expander::new(document, &config, catalog).tables()?;
    let find = |kind: &str, name: &str| tables.iter().find(|table| table.kind == kind && table.name == name).cloned();
    let is_on = |name: &str| shape.listener.is_empty() || shape.listener.iter().any(|listener| listener.as_str() == name);

    let mut found = Vec::new();
    let mut stages = Vec::new();
    for (name, listener) in config.listeners.iter().filter(|(name, _)| is_on(name)) {
        let mut way = Way { document, config: &config, stages: &mut stages, elements: Vec::new() };
        let at = KeyPath::table("listener", name).key("pipeline");
        way.follow(&at, &listener.pipeline, &Origin::File, &mut Vec::new());
        found.extend(find("listener", name).map(|table| way.put_into(table)));
    }
    let mut way = Way { document, config: &config, stages: &mut stages, elements: Vec::new() };
    let at = shape.at("pipeline");
    let from: &dyn Fn(String) -> Origin = if at.kind_and_name().0 == "gateway" { &Origin::Gateway } else { &Origin::File };
    way.follow(&at, shape.pipeline, from, &mut Vec::new());
    found.extend(find("route", route).map(|table| way.put_into(table)));

    found.extend(stages.iter().filter_map(|part| find(&part.kind, part.name.as_deref().unwrap_or_default())));
    let written = document.written(&KeyPath::table("route", route).key("endpoint"));
    let url = written.as_ref().and_then(toml::Value::as_str).unwrap_or_default();
    let endpoint = match shape.endpoint {
        EndpointRef::Part(part) => find(&part.kind, part.name.as_deref().unwrap_or_default()),
        EndpointRef::Url(_) => tables.iter().find(|table| table.from == Origin::Url(url.to_owned())).cloned(),
    };
    let upstreams = endpoint.iter().flat_map(upstreams).filter_map(|name| find("upstream", &name)).collect::<Vec<_>>();
    found.extend(endpoint);
    found.extend(upstreams);
    Ok(Some(found))
}

/// The names of the upstreams that an endpoint's table refers to.
fn upstreams(endpoint: &Table) -> Vec<String> {
    let values = endpoint.keys.iter().filter_map(|key| key.value.as_ref());
    let each = values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    each.filter_map(|value| Some(value.as_str()?.strip_prefix("upstream.")?.to_owned())).collect()
}

/// A pipeline while it is written out.
struct Way<'a> {
    document: &'a Document,
    config: &'a Config,
    /// Every stage met, each once.
    stages: &'a mut Vec<PartRef>,
    elements: Vec<(toml::Value, Origin)>,
}

impl Way<'_> {
    /// Adds the elements of a list at this path, those of shared pipelines in their place. `within` are the pipelines it is met in.
    fn follow(&mut self, at: &KeyPath, list: &[StageRef], from: &dyn Fn(String) -> Origin, within: &mut Vec<String>) {
        for (index, element) in list.iter().enumerate() {
            let from_here = || from(self.document.line(&at.index(index)).unwrap_or_default());
            match element {
                StageRef::One(part) if part.kind == "pipeline" => {
                    let name = part.name.clone().unwrap_or_default();
                    let Some(table) = self.config.pipelines.get(&name).filter(|_| !within.contains(&name)) else { continue };
                    within.push(name.clone());
                    let at = KeyPath::table("pipeline", &name).key("stages");
                    self.follow(&at, &table.stages, &|line| Origin::Pipeline(name.clone(), line), within);
                    within.pop();
                }
                StageRef::One(part) => {
                    self.elements.push((part.to_string().into(), from_here()));
                    self.meet(part);
                }
                StageRef::AnyOf(parts) => {
                    let names: Vec<toml::Value> = parts.iter().map(|part| part.to_string().into()).collect();
                    self.elements.push((names.into(), from_here()));
                    parts.iter().for_each(|part| self.meet(part));
                }
            }
        }
    }

    fn meet(&mut self, part: &PartRef) {
        if !self.stages.contains(part) {
            self.stages.push(part.clone());
        }
    }

    /// The table with its pipeline written out.
    fn put_into(self, mut table: Table) -> Table {
        let is_pipeline = |key: &&mut Key| key.path == ["pipeline"] && key.value.is_some();
        if let Some(key) = table.keys.iter_mut().find(is_pipeline) {
            let (values, elements): (Vec<toml::Value>, Vec<Origin>) = self.elements.into_iter().unzip();
            (key.value, key.elements) = (Some(values.into()), elements);
        }
        table
    }
}
