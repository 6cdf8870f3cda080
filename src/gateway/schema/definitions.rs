//! The definitions of all kinds' tables under names that are one's own: what is the same is there once, and no kind takes another's.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::{Map, Value};

use super::tidy::tidy;

/// How a definition is referred to.
const POINTER: &str = "#/$defs/";

/// Definitions by name.
#[derive(Default)]
pub(super) struct Definitions(Map<String, Value>);

impl Definitions {
    /// Adds one, or puts it in the place of the one that has its name.
    pub(super) fn add(&mut self, name: &str, definition: Value) {
        self.0.insert(name.to_owned(), definition);
    }

    /// Takes the schema of a kind's table apart: its definitions come in here, the table itself is given back.
    ///
    /// A definition whose name another kind has taken for something else is called `kind.Name`.
    pub(super) fn take(&mut self, kind: &str, schema: Schema) -> Value {
        let mut table = schema.to_value();
        tidy(&mut table);
        let taken = table.as_object_mut().and_then(|table| {
            table.remove("$schema");
            table.remove("$defs")
        });
        let mut taken = taken.and_then(|taken| taken.as_object().cloned()).unwrap_or_default();
        let clashing = self.clashing(&taken);
        let rename = |name: &str| clashing.contains(name).then(|| format!("{kind}.{name}"));
        refer(&mut table, &rename);
        taken.values_mut().for_each(|definition| refer(definition, &rename));
        self.0.extend(taken.into_iter().map(|(name, definition)| (rename(&name).unwrap_or(name), definition)));
        table
    }

    /// The names that are taken, and mean something else here: another text, or the same one leading to what does.
    fn clashing(&self, taken: &Map<String, Value>) -> BTreeSet<String> {
        let mut same: Vec<(&String, &Value)> = taken.iter().filter(|(name, _)| self.0.contains_key(*name)).collect();
        let mut clashing = BTreeSet::new();
        loop {
            let differs = |(name, definition): &(&String, &Value)| {
                self.0.get(*name) != Some(*definition) || references(definition).iter().any(|inner| clashing.contains(*inner))
            };
            let (differing, still): (Vec<_>, Vec<_>) = same.into_iter().partition(differs);
            if differing.is_empty() {
                return clashing;
            }
            clashing.extend(differing.into_iter().map(|(name, _)| name.clone()));
            same = still;
        }
    }

    /// Writes out what is said beside a `$ref`, and keeps of the definitions what these kinds still lead to.
    pub(super) fn finish(self, kinds: &mut Map<String, Value>) -> Map<String, Value> {
        kinds.values_mut().for_each(|kind| self.write_out(kind, &mut Vec::new()));
        let mut reached = Map::new();
        let mut found: Vec<String> = kinds.values().flat_map(references).map(str::to_owned).collect();
        while let Some(name) = found.pop() {
            let Some(mut definition) = self.0.get(&name).filter(|_| !reached.contains_key(&name)).cloned() else { continue };
            self.write_out(&mut definition, &mut vec![name.clone()]);
            found.extend(references(&definition).into_iter().map(str::to_owned));
            reached.insert(name, definition);
        }
        reached
    }

    /// Puts a definition in the place of a `$ref` that more stands beside: the editor most used for TOML leaves that out, as drafts up to
    /// 7 did, and a key's own description would never be seen. `within` are the definitions that are being put in: one that leads to
    /// itself stays a `$ref`.
    fn write_out(&self, schema: &mut Value, within: &mut Vec<String>) {
        let depth = within.len();
        match schema {
            Value::Object(keys) => {
                if let Some((name, definition)) = self.said_more_of(keys).filter(|(name, _)| !within.contains(name)) {
                    keys.remove("$ref");
                    definition.iter().for_each(|(key, value)| _ = keys.entry(key).or_insert_with(|| value.clone()));
                    within.push(name);
                }
                keys.values_mut().for_each(|inner| self.write_out(inner, within));
            }
            Value::Array(list) => list.iter_mut().for_each(|inner| self.write_out(inner, within)),
            _ => {}
        }
        within.truncate(depth);
    }

    /// The definition that a schema refers to and says more of.
    fn said_more_of(&self, keys: &Map<String, Value>) -> Option<(String, &Map<String, Value>)> {
        let name = keys.get("$ref").filter(|_| keys.len() > 1)?.as_str()?.strip_prefix(POINTER)?;
        Some((name.to_owned(), self.0.get(name)?.as_object()?))
    }
}

/// The definitions that a schema refers to.
fn references(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Object(keys) => {
            let own = keys.get("$ref").and_then(Value::as_str).and_then(|pointer| pointer.strip_prefix(POINTER));
            own.into_iter().chain(keys.values().flat_map(references)).collect()
        }
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Makes a schema refer to definitions by their new names.
fn refer(schema: &mut Value, rename: &dyn Fn(&str) -> Option<String>) {
    match schema {
        Value::Object(keys) => {
            if let Some(Value::String(pointer)) = keys.get_mut("$ref")
                && let Some(name) = pointer.strip_prefix(POINTER).and_then(rename)
            {
                *pointer = format!("{POINTER}{name}");
            }
            keys.values_mut().for_each(|inner| refer(inner, rename));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| refer(inner, rename)),
        _ => {}
    }
}
