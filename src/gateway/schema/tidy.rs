//! A type's own schema as one of the file: without what only programs ask, and with what holds for every string of it.

use serde_json::{Map, Value, json};

/// Tidies a schema and all within it. TOML has no null, so a key that may be left out just may; formats that JSON Schema does not name say
/// nothing to an editor, nor do the names of types; and where a string stands, so may variables.
pub(super) fn tidy(schema: &mut Value) {
    let Value::Object(keys) = schema else { return };
    for own in ["title", "format"] {
        if keys.get(own).is_some_and(|value| value != "date-time") {
            keys.remove(own);
        }
    }
    if let Some(Value::String(description)) = keys.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    without_null(keys);
    for (key, within) in keys.iter_mut() {
        match (key.as_str(), within) {
            ("properties" | "patternProperties" | "$defs", Value::Object(by_name)) => by_name.values_mut().for_each(tidy),
            ("anyOf" | "oneOf" | "allOf", Value::Array(list)) => list.iter_mut().for_each(tidy),
            ("items" | "additionalProperties" | "not" | "if" | "then" | "else", within) => tidy(within),
            _ => {}
        }
    }
    with_variables(keys);
}

/// Takes null out of what may stand here.
fn without_null(keys: &mut Map<String, Value>) {
    let is_null = |value: &Value| value.is_null() || value == "null" || *value == json!({ "type": "null" });
    if keys.get("default").is_some_and(Value::is_null) {
        keys.remove("default");
    }
    for several in ["type", "enum", "anyOf"] {
        let Some(Value::Array(list)) = keys.get_mut(several) else { continue };
        list.retain(|value| !is_null(value));
        let [one] = list.as_mut_slice() else { continue };
        match (several, one.take()) {
            ("anyOf", Value::Object(one)) => {
                keys.remove(several);
                one.into_iter().for_each(|(key, value)| _ = keys.entry(key).or_insert(value));
            }
            ("type", one) => _ = keys.insert(several.to_owned(), one),
            (_, one) => _ = keys.insert(several.to_owned(), json!([one])),
        }
    }
}

/// Takes `${NAME}` wherever a certain string is asked for: what it stands for is not known here. A secret is none: any string may be one.
fn with_variables(keys: &mut Map<String, Value>) {
    let variable = || json!({ "$ref": "#/$defs/Variable" });
    if let Some(Value::String(pattern)) = keys.get_mut("pattern")
        && !pattern.contains(r"\$\{")
    {
        pattern.push_str(r"|\$\{");
    }
    for several in ["oneOf", "anyOf"] {
        let Some(Value::Array(list)) = keys.get_mut(several) else { continue };
        let is_word = |value: &Value| value.get("const").is_some_and(Value::is_string);
        if list.iter().any(is_word) && !list.contains(&variable()) {
            list.push(variable());
        }
    }
    if keys.get("enum").and_then(Value::as_array).is_some_and(|words| words.iter().all(Value::is_string)) {
        let mut words = Map::new();
        words.extend(["enum", "type"].iter().filter_map(|key| keys.remove_entry(*key)));
        keys.insert("anyOf".to_owned(), json!([words, variable()]));
    }
}
