//! Tables as JSON: for each its keys, with `value` and `from`.

use crate::gateway::expansion::{Key, Table};
use serde_json::{Map, Value, json};

/// All tables. A key within a table has the names of both, with a dot between.
pub(super) fn tables(tables: &[Table]) -> Value {
    tables.iter().map(table).collect()
}

fn table(table: &Table) -> Value {
    let keys: Map<String, Value> = table.keys.iter().map(|key| (key.path.join("."), entry(key))).collect();
    let name = Some(&table.name).filter(|name| !name.is_empty());
    json!({ "kind": table.kind, "name": name, "from": table.from.to_string(), "keys": keys })
}

/// A value, and where it came from; `elements` says it of each element of a list that does not stand on its key's own line.
fn entry(key: &Key) -> Value {
    let mut entry = Map::from_iter([
        ("value".to_owned(), key.value.clone().map_or(Value::Null, value)),
        ("from".to_owned(), key.from.to_string().into()),
    ]);
    if key.elements.iter().any(|element| *element != key.from) {
        entry.insert("elements".to_owned(), key.elements.iter().map(ToString::to_string).collect());
    }
    Value::Object(entry)
}

/// A value of TOML as one of JSON: a moment is a string there.
fn value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(self::value).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, inner)| (key, self::value(inner))).collect()),
    }
}
