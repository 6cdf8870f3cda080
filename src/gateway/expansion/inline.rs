//! Values on their way to another program: as TOML writes them, since JSON has neither its moments nor all of its numbers.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

pub(super) fn serialize<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(Value::to_string).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    let Some(written) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let mut table: Table = format!("value = {written}").parse().map_err(D::Error::custom)?;
    Ok(table.remove("value"))
}

#[cfg(test)]
mod tests {
    use crate::gateway::expansion::{Key, Origin};

    #[test]
    fn a_value_arrives_as_it_was() {
        for written in [
            "1",
            "-inf",
            "2027-01-31T18:00:00Z",
            "07:30:00",
            "\"two\\nlines \\\"and\\\" \\u0001\"",
            "[\"a\", { b = 1.5, c = [] }]",
            "{ \"a b\" = 2027-01-31, c = {} }",
        ] {
            let table: toml::Table = format!("v = {written}").parse().unwrap();
            let key = Key { path: vec!["v".to_owned()], value: table.get("v").cloned(), from: Origin::Default, elements: Vec::new() };
            let sent = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<Key>(&sent).unwrap().value, key.value, "{sent}");
        }
        let unset = Key { path: Vec::new(), value: None, from: Origin::Unset(None), elements: Vec::new() };
        assert_eq!(serde_json::from_value::<Key>(serde_json::to_value(&unset).unwrap()).unwrap().value, None);
    }
}
