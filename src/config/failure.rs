//! Reads a table as a type, all its failures at once, each in an operator's words.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::dom::{Form, Node};
use super::fault::{Fault, Faults, KeyPath, LOOKED_FOR, Place, Step};
use super::mask;
use super::nearest::{listed, nearest};
use super::reader::{Reader, What};
use super::structure::{FRAME_KINDS, GATEWAY, as_name};

/// What came of reading a table.
pub(super) struct Read<T> {
    /// The table, without what is faulty in it; none where it cannot do without.
    pub(super) table: Option<T>,
    /// What is faulty in it, told now or before. The table is to be used only if that is nothing.
    pub(super) faulty: BTreeSet<KeyPath>,
    /// What is wrong with it and had not been told.
    pub(super) faults: Faults,
}

impl<T> Read<T> {
    /// The table, where nothing is wrong with it.
    ///
    /// # Errors
    /// What is wrong with it and had not been told; possibly nothing.
    pub(super) fn whole(self) -> Result<T, Faults> {
        match self.table {
            Some(table) if self.faulty.is_empty() => Ok(table),
            _ => Err(self.faults),
        }
    }
}

/// Reads the table at this path. serde stops at the first failure, so each value that fails is passed over and the table read again.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(node: &Node, at: &KeyPath, faulty: &BTreeSet<KeyPath>) -> Read<T> {
    let faulty = faulty.iter().filter(|path| path.starts_with(at)).cloned().collect();
    let mut read = Read { table: None, faulty, faults: Faults::default() };
    while read.faults.0.len() < LOOKED_FOR {
        let failure = match T::deserialize(Reader { node, at: at.clone(), faulty: &read.faulty }) {
            Ok(table) => {
                read.table = Some(table);
                break;
            }
            Err(failure) => failure,
        };
        let place = failure.place.unwrap_or_else(|| Place::Value(at.clone()));
        let (Place::Value(path) | Place::Key(path)) = &place else { break };
        let path = path.clone();
        // A table may be wrong in its own words only for what was passed over in it.
        let is_doubtful =
            matches!(failure.what, What::Said(_)) && read.faulty.iter().any(|faulty| faulty.starts_with(&path) && *faulty != path);
        if !is_doubtful {
            read.faults.extend(Reading { node, at, faulty: &read.faulty }.fault::<T>(failure.what, place));
        }
        let is_all = path == *at;
        if !read.faulty.insert(path) || is_all {
            break;
        }
    }
    read
}

/// The table that is being read.
struct Reading<'a> {
    node: &'a Node,
    at: &'a KeyPath,
    faulty: &'a BTreeSet<KeyPath>,
}

impl Reading<'_> {
    fn fault<T: JsonSchema>(&self, what: What, place: Place) -> Option<Fault> {
        let (Place::Value(path) | Place::Key(path)) = &place else { return None };
        match what {
            What::UnknownKey { key, known, parent } => Some(self.unknown_key(&key, known, parent, path)),
            What::UnknownValue { value, known } => Some(self.unknown_value(&value, known, path)),
            What::Wrong { expected } => Some(self.wrong(&expected, path, place.clone())),
            What::Missing { key } => self.missing::<T>(key, path),
            What::Said(what) => match what.strip_prefix("invalid type: ").and_then(|what| what.split_once(", expected ")) {
                Some((_, expected)) => Some(self.wrong(expected, path, place.clone())),
                // A key may be told, whatever it is called.
                None if matches!(place, Place::Value(_)) && self.is_secret(path) && self.follow(path).0.as_table().is_none() => {
                    Some(Fault::new(place, "the secret is not of the form this kind takes"))
                }
                None if mask::is_private(&what) => Some(Fault::new(place, "a private key does not belong here")),
                None => Some(Fault::said(place, &what)),
            },
        }
    }

    /// The node at a path of the file, as far as it leads into this table.
    fn follow(&self, path: &KeyPath) -> (&Node, Option<Form>) {
        let (node, entry, _) = self.node.follow(path.steps().get(self.at.steps().len()..).unwrap_or_default());
        (node, entry.map(super::dom::Entry::form))
    }

    fn found(&self, path: &KeyPath) -> String {
        self.follow(path).0.describe(self.is_secret(path))
    }

    /// Whether the path leads to a secret or below one: such values are not told, not even in their own type's words.
    fn is_secret(&self, path: &KeyPath) -> bool {
        let steps = path.steps().get(self.at.steps().len()..).unwrap_or_default();
        let kind = self.at.steps().first().and_then(|step| if let Step::Key(kind) = step { Some(kind.as_str()) } else { None });
        let named = steps.iter().rev().find_map(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None });
        let is_harmless = named == Some("key") && mask::is_counted_by(kind, self.follow(path).0);
        let is_of_api_key =
            kind == Some("api_key") && steps.iter().any(|step| matches!(step, Step::Key(key) if mask::OF_API_KEYS.contains(&key.as_str())));
        !is_harmless && !is_of_api_key && steps.iter().any(|step| matches!(step, Step::Key(key) if mask::is_secret(key)))
    }

    /// Another type or range; an expectation is written as `what: how it looks`.
    fn wrong(&self, expected: &str, path: &KeyPath, place: Place) -> Fault {
        let (expected, looks) = in_words(expected).split_once(": ").map_or((in_words(expected), None), |(what, looks)| (what, Some(looks)));
        let fault = Fault::new(place, format!("expected {expected}, found {}", self.found(path)));
        match looks {
            Some(looks) => fault.hint(format!("it is written as {looks}")),
            None => fault,
        }
    }

    fn unknown_key(&self, key: &str, known: &'static [&'static str], parent: Option<KeyPath>, path: &KeyPath) -> Fault {
        let table = path.parent();
        let (_, form) = self.follow(path);
        let fault = Fault::new(Place::Key(path.clone()), format!("{} has no key `{key}`", titled(&table)));
        let (kind, name) = table.kind_and_name();
        if form == Some(Form::Header) && table.steps().len() == 2 {
            return fault.hint(format!("a name has no dots: write [{kind}.{name}-{}]", as_name(key)));
        }
        if form == Some(Form::Header) && kind == GATEWAY && table.steps().len() == 1 {
            return fault.hint("[gateway] is one table, without names");
        }
        if let Some(parent) = parent {
            return fault.hint(match self.follow(&table).1 {
                Some(Form::Header) => format!("`{key}` is a key of [{parent}]: move it above [{table}]"),
                _ => format!("`{key}` is a key of {}", titled(&parent)),
            });
        }
        if known.is_empty() {
            return fault.hint(format!("{} has no keys at all", titled(&table)));
        }
        // `mode` is every stage's; it was taken off before the table is read.
        let mode = Some("mode").filter(|_| !FRAME_KINDS.contains(&kind));
        match nearest(key, known.iter().copied().chain(mode)) {
            Some(near) if near != key => fault.hint(format!("did you mean `{near}`?")),
            _ => fault.hint(format!("its keys are {}", listed(key, known, '`'))),
        }
    }

    fn unknown_value(&self, value: &str, known: &'static [&'static str], path: &KeyPath) -> Fault {
        let one_of = if known.len() == 1 { "" } else { "one of " };
        let fault = Fault::new(path.clone(), format!("expected {one_of}{}, found {}", listed(value, known, '"'), self.found(path)));
        match nearest(value, known.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => fault,
        }
    }

    /// A missing key, at its table's header. Silent about a key that is there and faulty or misspelt, and about a table that only a
    /// dotted name implies.
    fn missing<T: JsonSchema>(&self, key: &'static str, path: &KeyPath) -> Option<Fault> {
        let mut keys = vec![key.to_owned()];
        if path == self.at {
            let required = required::<T>();
            let there = self.node.as_table();
            let more = required.into_iter().filter(|required| required != key && there.is_some_and(|table| !table.contains_key(required)));
            keys.extend(more);
        }
        let misspelt = |key: &str| {
            let table = self.follow(path).0.as_table().into_iter().flatten();
            table.map(|(found, _)| found).any(|found| self.faulty.contains(&path.key(found)) && nearest(found, [key]).is_some())
        };
        keys.retain(|key| !misspelt(key));
        let is_implied = self.node.as_table().is_some_and(|table| {
            !table.is_empty() && table.iter().all(|(key, entry)| entry.form() == Form::Header && self.faulty.contains(&path.key(key)))
        });
        if keys.is_empty() || (path == self.at && is_implied) {
            return None;
        }
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        Some(Fault::new(path.clone(), format!("{} needs {}", titled(path), keys.join(" and "))))
    }
}

/// The keys that a table of this type cannot do without.
fn required<T: JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(T);
    let required = schema.get("required").and_then(|required| required.as_array());
    required.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}

/// A table as a message names it: `[route.chat]`, or `max_message` of one.
fn titled(path: &KeyPath) -> String {
    match path.steps() {
        [] => "the file".to_owned(),
        [_] | [_, Step::Key(_)] => format!("[{path}]"),
        [kind, name, rest @ ..] => {
            let mut inner = KeyPath::default();
            for step in rest {
                inner = match step {
                    Step::Key(key) => inner.key(key),
                    Step::Index(index) => inner.index(*index),
                };
            }
            let (kind, name) = (KeyPath::default().then(kind.clone()), name.clone());
            format!("`{inner}` of [{}]", kind.then(name))
        }
    }
}

/// What serde says it expected, as an operator says it.
fn in_words(expected: &str) -> &str {
    match expected {
        "a map" => "a table",
        "a sequence" => "a list",
        "a string" | "a borrowed string" | "a string key" => "a string",
        "a boolean" => "true or false",
        "f32" | "f64" => "a number",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" => "a whole number, 0 to 255",
        "u16" => "a whole number, 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "path string" => "the path of a file",
        "a TOML datetime" => "a moment: 2030-01-31T12:00:00Z",
        _ if expected.starts_with("struct ") => "a table",
        _ if expected.starts_with("a tuple") => "a list",
        _ if expected.starts_with("a nonzero") => "a whole number, 1 or more",
        other => other,
    }
}
