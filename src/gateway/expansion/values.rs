//! Values as they are shown: as their type writes them, but for variables of the environment. What those hold may be a secret.

use toml::Value;

use crate::config::secret::MASK;

/// The value, with what has variables in the file as it is written there, and so a text that stands for a table of one key. A list of
/// one may be read as that one.
pub(super) fn as_written(value: Value, written: Option<Value>) -> Value {
    match (value, written) {
        (Value::String(text), _) if text == MASK => Value::String(text),
        (Value::Table(table), Some(Value::Table(mut written))) if written.keys().all(|key| table.contains_key(key)) => {
            table.into_iter().map(|(key, value)| (key.clone(), as_written(value, written.remove(&key)))).collect::<toml::Table>().into()
        }
        (Value::Array(list), Some(Value::Array(written))) if list.len() == written.len() => {
            list.into_iter().zip(written).map(|(value, written)| as_written(value, Some(written))).collect::<Vec<_>>().into()
        }
        (value, Some(Value::Array(mut written))) if written.len() == 1 => as_written(value, written.pop()),
        (Value::Table(table), Some(Value::String(text))) if table.len() == 1 => text.into(),
        (_, Some(written)) if has_variable(&written) => written,
        (value, _) => value,
    }
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(list) => list.iter().any(has_variable),
        Value::Table(table) => table.values().any(has_variable),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_as_its_type_writes_it_but_what_a_variable_holds_is_not() {
        for (value, written, shown) in [
            ("\"plain\"", "\"plain\"", "\"plain\""),
            ("\"ws://chat:80\"", "\"ws://${HOST}\"", "\"ws://${HOST}\""),
            ("\"ws://chat:80\"", "[\"ws://${HOST}\"]", "\"ws://${HOST}\""),
            ("\"ws://chat:80\"", "{ url = \"ws://${HOST}\" }", "{ url = \"ws://${HOST}\" }"),
            ("[\"25s\", \"chat\"]", "[\"25 s\", \"${HOST}\"]", "[\"25s\", \"${HOST}\"]"),
            ("{ a = 1, b = \"chat\" }", "{ b = \"${HOST}\" }", "{ a = 1, b = \"${HOST}\" }"),
            ("[{ cidr = \"::1\" }, { cidr = \"::2\" }]", "[\"::1/128\", { cidr = \"::2\" }]", "[\"::1/128\", { cidr = \"::2\" }]"),
            ("{ rate = \"1/s\", burst = 1 }", "\"1/s\"", "{ rate = \"1/s\", burst = 1 }"),
            ("{ x-user = \"sub\" }", "{ X-User = \"${CLAIM}\" }", "{ X-User = \"${CLAIM}\" }"),
            ("{ x-user = \"sub\" }", "{ X-User = \"sub\" }", "{ x-user = \"sub\" }"),
            ("\"********\"", "\"${HOST}hunter2\"", "\"********\""),
            ("{ default = \"********\" }", "{ default = \"${A}hunter2\" }", "{ default = \"********\" }"),
        ] {
            let read = |text: &str| toml::from_str::<toml::Table>(&format!("v = {text}")).unwrap().remove("v").unwrap();
            assert_eq!(as_written(read(value), Some(read(written))), read(shown), "{written}");
        }
    }
}
