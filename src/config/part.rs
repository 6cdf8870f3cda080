//! A table of a stage or endpoint: the config keeps it, and its own type reads it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dom::{Node, Value};
use super::expanded::expanded;
use super::failure;
use super::fault::{Fault, Faults, KeyPath};
use super::structure::Named;

/// A table of a stage or endpoint, whose own type reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The kind.
    pub kind: String,
    /// The name; empty for a bare kind.
    pub name: String,
    /// Whether what it refuses is refused.
    pub mode: Mode,
    /// Whether its table says so: only a stage's may.
    pub has_mode: bool,
    table: Node,
    /// What the file has told of already.
    faulty: BTreeSet<KeyPath>,
}

/// Whether a stage's or a rule's refusals are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What it refuses is refused.
    #[default]
    Enforce,
    /// What it would refuse is logged, and nothing is refused.
    Report,
}

impl Part {
    /// A bare kind: a table without keys.
    pub fn bare(kind: &str) -> Self {
        Self::new(kind.to_owned(), String::new(), Node::empty_table(), BTreeSet::new())
    }

    fn new(kind: String, name: String, table: Node, faulty: BTreeSet<KeyPath>) -> Self {
        Self { kind, name, mode: Mode::Enforce, has_mode: false, table, faulty }
    }

    /// The part a table is: `mode` is taken off it.
    pub(super) fn of(table: Named, faulty: &BTreeSet<KeyPath>, faults: &mut Faults) -> Self {
        let at = table.at();
        let faulty = faulty.iter().filter(|path| path.starts_with(&at)).cloned().collect();
        let mut part = Self::new(table.kind, table.name, table.node, faulty);
        if let Some(mode) = part.table.as_table_mut().and_then(|table| table.remove("mode")) {
            part.has_mode = true;
            match &mode.node.value {
                Value::String(word) if word == "report" => part.mode = Mode::Report,
                Value::String(word) if word == "enforce" => {}
                _ => {
                    let message = format!("expected one of \"enforce\", \"report\", found {}", mode.node.describe(false));
                    faults.push(Fault::new(at.key("mode"), message));
                }
            }
        }
        part
    }

    /// Where its table stands.
    pub fn at(&self) -> KeyPath {
        if self.name.is_empty() { KeyPath::default().key(&self.kind) } else { KeyPath::table(&self.kind, &self.name) }
    }

    /// Reads its table, without `mode`.
    ///
    /// # Errors
    /// Everything wrong with its shape that has not been told by [`Config::read`](super::Config::read); nothing where that was all.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Faults> {
        failure::read(&self.table, &self.at(), &self.faulty).whole()
    }

    /// Its table as this type writes it: every default filled in, without `mode`, secrets masked.
    ///
    /// # Errors
    /// As [`Part::read`]; and a fault of the whole table where TOML has no way to write it.
    pub fn expand<T: DeserializeOwned + Serialize + JsonSchema>(&self) -> Result<toml::Table, Faults> {
        expanded(&self.read::<T>()?)
            .map_err(|why| Fault::new(self.at(), format!("[{}] cannot be written as TOML: {why}", self.at())).into())
    }

    /// Whether another's table has the same keys and values, `mode` apart, wherever they stand.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.table == other.table
    }

    /// Adds the places of everything in it that is in report mode: itself, and rules of it.
    pub(super) fn reporting(&self, found: &mut Vec<KeyPath>) {
        found.extend(Some(self.at()).filter(|_| self.mode == Mode::Report));
        reports(&self.table, &self.at(), found);
    }
}

/// Finds the tables at or below a node that say they only report.
fn reports(node: &Node, at: &KeyPath, found: &mut Vec<KeyPath>) {
    match &node.value {
        Value::Table(table) => {
            let is_report = table.get("mode").is_some_and(|mode| matches!(&mode.node.value, Value::String(word) if word == "report"));
            found.extend(Some(at.clone()).filter(|_| is_report));
            table.iter().for_each(|(key, entry)| reports(&entry.node, &at.key(key), found));
        }
        Value::List(list) => list.iter().enumerate().for_each(|(index, node)| reports(node, &at.index(index), found)),
        _ => {}
    }
}
