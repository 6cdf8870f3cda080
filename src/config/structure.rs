//! The outer shape of the file, `[kind.name]`, and the traps TOML sets around it.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use super::dom::{Entry, Form, Node, Table, Value};
use super::fault::{Fault, Faults, KeyPath, Place};
use super::nearest::{listed, nearest};

/// The kinds the gateway itself knows; every other is a stage or an endpoint.
pub const FRAME_KINDS: [&str; 8] = ["gateway", "listener", "route", "upstream", "pipeline", "log", "metrics", "test"];

/// The one kind that is a single table, without names.
pub(super) const GATEWAY: &str = "gateway";

/// A table of the file: `[kind.name]`, or `[gateway]` with an empty name.
pub(super) struct Named {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) node: Node,
}

impl Named {
    /// Where it stands.
    pub(super) fn at(&self) -> KeyPath {
        if self.name.is_empty() { KeyPath::default().key(&self.kind) } else { KeyPath::table(&self.kind, &self.name) }
    }
}

/// The tables of a file, and the kinds of which there are more than could be told apart: nothing is missing of those.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) named: Vec<Named>,
    pub(super) doubtful: BTreeSet<String>,
}

/// Takes every file apart into its tables, and puts them together. A table stands in one file only.
pub(super) fn union<'a>(roots: impl Iterator<Item = &'a Node>, part_kinds: &[&str], faults: &mut Faults) -> Tables {
    let mut all = Tables::default();
    let mut first: BTreeMap<(String, String), Place> = BTreeMap::new();
    for root in roots.filter_map(Node::as_table) {
        let tables = tables(root.clone(), part_kinds, faults);
        all.doubtful.extend(tables.doubtful);
        for table in tables.named {
            let place = Place::Span(table.node.source, table.node.span.clone());
            match first.entry((table.kind.clone(), table.name.clone())) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(place);
                    all.named.push(table);
                }
                btree_map::Entry::Occupied(entry) => {
                    let fault = Fault::new(place, format!("[{}] is there twice", table.at()));
                    faults.push(fault.hint("write all its keys in one file").also(entry.get().clone(), "first here"));
                }
            }
        }
    }
    all
}

/// Takes one file apart into its tables.
fn tables(root: Table, part_kinds: &[&str], faults: &mut Faults) -> Tables {
    let mut tables = Tables::default();
    for (kind, entry) in root {
        let at = KeyPath::default().key(&kind);
        let is_table = entry.node.as_table().is_some();
        if let (Value::List(list), Form::Header) = (&entry.node.value, entry.form()) {
            let name = list.iter().filter_map(Node::as_table).find_map(|table| match &table.get("name")?.node.value {
                Value::String(name) => Some(as_name(name)),
                _ => None,
            });
            faults.push(doubled(&kind, Place::Span(entry.node.source, entry.node.span.clone()), name));
            tables.doubtful.insert(kind);
        } else if !is_table {
            faults.push(above_all_tables(&kind, at));
        } else if !FRAME_KINDS.contains(&kind.as_str()) && !part_kinds.contains(&kind.as_str()) {
            let known: Vec<&str> = FRAME_KINDS.iter().chain(part_kinds).copied().collect();
            faults.push(unknown_kind(&kind, at, &known));
            tables.doubtful.extend(nearest(&kind, known).map(str::to_owned));
        } else if kind == GATEWAY {
            tables.named.push(Named { kind, name: String::new(), node: entry.node });
        } else {
            named(&kind, entry, faults, &mut tables);
        }
    }
    tables
}

/// Whether this may be the name of a table, or a kind.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The nearest name to this one that would be allowed.
pub(super) fn as_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "NAME".to_owned() } else { name.to_owned() }
}

fn named(kind: &str, entry: Entry, faults: &mut Faults, tables: &mut Tables) {
    let (form, span, source) = (entry.form(), entry.node.span.clone(), entry.node.source);
    let Value::Table(names) = entry.node.value else { return };
    // Under a header `[kind]` only tables with headers of their own have names; what is assigned there are keys.
    let is_key = |entry: &Entry| match entry.form() {
        Form::Header => false,
        Form::Assigned if form == Form::Header => true,
        _ => entry.node.as_table().is_none(),
    };
    let is_bare = form == Form::Header && names.is_empty();
    if is_bare || names.values().any(is_key) {
        let place = if form == Form::Header { Place::Span(source, span) } else { Place::Key(KeyPath::default().key(kind)) };
        let hint = format!("every table is [kind.name]: write [{kind}.NAME]");
        faults.push(Fault::new(place, format!("[{kind}] has no name")).hint(hint));
        tables.doubtful.insert(kind.to_owned());
    }
    for (name, entry) in names {
        let at = KeyPath::table(kind, &name);
        if is_key(&entry) {
            continue;
        }
        if let Value::List(_) = entry.node.value {
            faults.push(doubled(&format!("{kind}.{name}"), at.into(), None));
            tables.doubtful.insert(kind.to_owned());
        } else if !is_name(&name) {
            let hint = format!("names are letters, digits, `-` and `_`: write [{kind}.{}]", as_name(&name));
            faults.push(Fault::new(Place::Key(at), format!("{name:?} is not a name")).hint(hint));
            tables.doubtful.insert(kind.to_owned());
        } else {
            tables.named.push(Named { kind: kind.to_owned(), name, node: entry.node });
        }
    }
}

/// `[[route]]` or `[[route.chat]]`, here: the lists of tables that other formats have. `name` is what one of its elements calls itself.
pub(super) fn doubled(written: &str, place: Place, name: Option<String>) -> Fault {
    let name = name.unwrap_or_else(|| "NAME".to_owned());
    let hint = match written {
        GATEWAY => "there is one [gateway]".to_owned(),
        _ if written.contains('.') => format!("write [{written}] with one pair of brackets"),
        kind => format!("write [{kind}.{name}], one for each"),
    };
    Fault::new(place, format!("[[{written}]] is a list of tables")).hint(hint)
}

/// A key before the first header: TOML puts it into no table.
fn above_all_tables(key: &str, at: KeyPath) -> Fault {
    let fault = Fault::new(Place::Key(at), format!("`{key}` stands above all tables"));
    fault.hint("a key belongs below the header of its table: [gateway] or [kind.name]")
}

fn unknown_kind(kind: &str, at: KeyPath, known: &[&str]) -> Fault {
    let fault = Fault::new(Place::Key(at), format!("there is no kind `{kind}`"));
    match nearest(kind, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("the kinds are {}", listed(kind, known, '`'))),
    }
}
