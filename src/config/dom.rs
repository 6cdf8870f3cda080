//! The file as a tree of values that know where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::fault::{Fault, Faults, KeyPath, Place, Step};
use super::mask;

/// A value and where it stands. Two nodes are equal when their values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Which source it stands in.
    pub source: usize,
    /// Its bytes there: of a table with a header of its own the header, of one that only its children name the key.
    pub span: Range<usize>,
}

/// A TOML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string, without its quotes and escapes.
    String(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A date, a time, or both.
    Datetime(Datetime),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// The entries of a table, by key.
pub type Table = BTreeMap<String, Entry>;

/// A key of a table and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The bytes of the key; of a table with a header, its last key there.
    pub key: Range<usize>,
    /// The value.
    pub node: Node,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Under a header of its own: `[kind.name]`.
    Header,
    /// After an equals sign.
    Assigned,
    /// Only as a part of longer headers or dotted keys.
    Implied,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Entry {
    /// How it is written: a header begins before its key, a value after it.
    pub fn form(&self) -> Form {
        match self.node.span.start.cmp(&self.key.start) {
            std::cmp::Ordering::Less => Form::Header,
            std::cmp::Ordering::Equal => Form::Implied,
            std::cmp::Ordering::Greater => Form::Assigned,
        }
    }
}

impl Node {
    /// An empty table that stands nowhere.
    pub fn empty_table() -> Self {
        Self { value: Value::Table(Table::new()), source: 0, span: 0..0 }
    }

    /// The table this is.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The table this is, to be changed.
    pub fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Follows the steps for as long as they lead somewhere: the last node reached, its key, and how many steps it took.
    pub fn follow(&self, steps: &[Step]) -> (&Self, Option<&Entry>, usize) {
        let (mut node, mut entry, mut taken) = (self, None, 0);
        for step in steps {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Table(table)) => table.get(key).map(|entry| (&entry.node, Some(entry))),
                (Step::Index(index), Value::List(list)) => list.get(*index).map(|node| (node, None)),
                _ => None,
            };
            let Some(next) = next else { break };
            (node, entry) = next;
            taken += 1;
        }
        (node, entry, taken)
    }

    /// What stands here, as a fault says it; a secret is named by its kind only.
    pub(super) fn describe(&self, is_secret: bool) -> String {
        match &self.value {
            Value::String(_) | Value::Integer(_) | Value::Float(_) if is_secret => "a plain value".to_owned(),
            Value::String(text) if mask::is_private(text) => "a private key".to_owned(),
            Value::String(text) => format!("{text:?}"),
            Value::Integer(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Boolean(value) => value.to_string(),
            Value::Datetime(_) => "a date or time".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// Builds the tree of one source.
pub(super) struct Builder<'a> {
    /// Which source it is.
    pub(super) source: usize,
    /// Values that TOML allows and this gateway cannot hold.
    pub(super) faults: &'a mut Faults,
    /// Where they stand.
    pub(super) faulty: &'a mut BTreeSet<KeyPath>,
}

impl Builder<'_> {
    /// The table that stands at this path. The recursion is bounded by the parser's own limit of 80 levels.
    pub(super) fn table(&mut self, table: DeTable<'_>, at: &KeyPath) -> Table {
        let entry = |(key, value): (Spanned<_>, _)| {
            let (span, key) = (key.span(), String::from(key.into_inner()));
            let node = self.node(value, &at.key(&key));
            (key, Entry { key: span, node })
        };
        table.into_iter().map(entry).collect()
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, at: &KeyPath) -> Node {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => self.too_large(at, &span),
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(value) => Value::Datetime(value),
            DeValue::Array(list) => {
                Value::List(list.into_iter().enumerate().map(|(index, value)| self.node(value, &at.index(index))).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, at)),
        };
        Node { value, source: self.source, span }
    }

    /// Only a number that the parser took can be too large; one it has complained of already is empty.
    fn too_large(&mut self, at: &KeyPath, span: &Range<usize>) -> Value {
        if self.faulty.insert(at.clone()) {
            self.faults.push(Fault::new(Place::Span(self.source, span.clone()), "the number is too large"));
        }
        Value::Integer(i64::MAX)
    }
}
