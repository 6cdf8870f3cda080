//! The keys of a table: what sets each, among the layers of a table and the schema of its kind.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::config::document::Document;
use crate::config::fault::KeyPath;

use super::values::as_written;
use super::{Key, Origin};

/// What sets keys, as its type reads it, and where in the file it would stand.
pub(super) struct Layer<'a> {
    /// Nothing for what has no table there.
    at: Option<KeyPath>,
    values: &'a Table,
    /// Whether it is `[gateway.route]`, which sets them for all routes.
    is_shared: bool,
}

impl<'a> Layer<'a> {
    /// The table itself.
    pub(super) fn own(at: &KeyPath, values: &'a Table) -> Self {
        Self { at: Some(at.clone()), values, is_shared: false }
    }

    /// `[gateway.route]`.
    pub(super) fn shared(at: &KeyPath, values: &'a Table) -> Self {
        Self { at: Some(at.clone()), values, is_shared: true }
    }

    /// A table that is not in the file.
    pub(super) fn nowhere(values: &'a Table) -> Self {
        Self { at: None, values, is_shared: false }
    }

    fn at(&self, key: &str) -> Option<KeyPath> {
        self.at.as_ref().map(|at| at.key(key))
    }

    /// What it has in the table under this key.
    fn within(&self, key: &str) -> Option<Self> {
        let values = self.values.get(key)?.as_table()?;
        Some(Layer { at: self.at(key), values, is_shared: self.is_shared })
    }
}

/// Lists the keys of a table.
pub(super) struct Keys<'a> {
    document: &'a Document,
    /// Whether what no layer sets has the default that the schema tells: a route's table leaves out what is not set.
    fills: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn of(document: &'a Document, fills: bool) -> Self {
        Self { document, fills }
    }

    /// Every key that a layer sets or the shape of the table has, in the order of their names. The first layer wins.
    pub(super) fn list(&self, shape: Option<&Json>, layers: &[Layer<'_>]) -> Vec<Key> {
        let mut found = Vec::new();
        self.walk(&[], shape, layers, &mut found);
        found
    }

    fn walk(&self, within: &[String], shape: Option<&Json>, layers: &[Layer<'_>], found: &mut Vec<Key>) {
        let known = shape.and_then(properties);
        let known_names = known.iter().flat_map(|known| known.keys());
        let names: BTreeSet<&String> = layers.iter().flat_map(|layer| layer.values.keys()).chain(known_names).collect();
        for name in names {
            let shape = known.and_then(|known| known.get(name));
            let path: Vec<String> = within.iter().cloned().chain([name.clone()]).collect();
            let set = layers.iter().find_map(|layer| Some((layer, layer.values.get(name)?)));
            let is_table = shape.is_some_and(is_closed) && set.map_or(self.fills, |(_, value)| value.is_table());
            match set {
                _ if is_table => {
                    let inner: Vec<Layer<'_>> = layers.iter().filter_map(|layer| layer.within(name)).collect();
                    self.walk(&path, shape, &inner, found);
                }
                Some((layer, value)) => found.push(self.set(path, layer, name, value)),
                None => found.push(self.left_out(path, shape)),
            }
        }
    }

    fn set(&self, path: Vec<String>, layer: &Layer<'_>, name: &str, value: &Value) -> Key {
        let origin = |at: &KeyPath| {
            let line = self.document.line(at)?;
            Some(if layer.is_shared { Origin::Gateway(line) } else { Origin::File(line) })
        };
        let at = layer.at(name);
        let from = at.as_ref().and_then(origin).unwrap_or(Origin::Default);
        let written = at.as_ref().and_then(|at| self.document.written(at));
        let value = as_written(value.clone(), written);
        let length = value.as_array().map_or(0, Vec::len);
        let elements: Option<Vec<Origin>> = (0..length).map(|index| origin(&at.as_ref()?.index(index))).collect();
        Key { path, value: Some(value), from, elements: elements.unwrap_or_default() }
    }

    /// A key that no layer sets.
    fn left_out(&self, path: Vec<String>, shape: Option<&Json>) -> Key {
        let default = shape.and_then(|shape| shape.get("default")).filter(|_| self.fills);
        if let Some(default) = default.and_then(|default| Value::try_from(default).ok()) {
            return Key { path, value: Some(default), from: Origin::Default, elements: Vec::new() };
        }
        Key { path, value: None, from: Origin::Unset(shape.and_then(meaning)), elements: Vec::new() }
    }
}

fn properties(shape: &Json) -> Option<&serde_json::Map<String, Json>> {
    shape.get("properties")?.as_object()
}

/// Whether this is a table of certain keys, each of which has a place of its own, and no map of names that an operator chooses.
fn is_closed(shape: &Json) -> bool {
    properties(shape).is_some() && shape.get("additionalProperties") == Some(&Json::Bool(false))
}

/// What it means to leave the key out, where its description says so.
fn meaning(shape: &Json) -> Option<String> {
    let (_, meaning) = shape.get("description")?.as_str()?.split_once("Left out, ")?;
    let end = meaning.find(". ").unwrap_or(meaning.len());
    meaning.get(..end).map(|meaning| meaning.trim_end_matches('.').to_owned())
}
