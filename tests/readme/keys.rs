//! A table of keys for the page of a kind, out of what the type that reads the kind's table says of itself.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The table of a kind's keys.
pub(crate) fn keys(schema: &Value) -> String {
    let mut text = "| key | default | what it says |\n|---|---|---|\n".to_owned();
    rows(&mut text, schema, schema, "", &mut Vec::new());
    text
}

/// A row for each key of a table, and for the keys of the tables within it, each of which is shown once.
fn rows(text: &mut String, whole: &Value, table: &Value, within: &str, shown: &mut Vec<String>) {
    let required: Vec<&str> = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, property) in table["properties"].as_object().unwrap_or(&Map::new()) {
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "needed".to_owned(),
            None | Some(Value::Null | Value::Object(_)) => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::Array(list)) if list.is_empty() => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let words = words(whole, property);
        writeln!(text, "| `{within}{key}` | {default} | {}{words} |", sentence(&described(property)).replace('|', "\\|")).unwrap();
        // What `[gateway.route]` may hold stands under `[route.NAME]`.
        let inner = reached(whole, property).into_iter().filter(|(name, _)| name != "RouteDefaults");
        for (name, inner) in inner {
            let is_table = inner["properties"].as_object().is_some_and(|keys| keys.len() > 1);
            if is_table && !shown.contains(&name) {
                shown.push(name);
                rows(text, whole, inner, &format!("{within}{key}."), shown);
            }
        }
    }
}

/// The definitions a property leads to: itself, one of several, or the elements of a list.
fn reached<'s>(whole: &'s Value, schema: &'s Value) -> Vec<(String, &'s Value)> {
    let mut found = Vec::new();
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        let definition = &whole["$defs"][name];
        found.push((name.to_owned(), definition));
        found.extend(reached(whole, definition));
    }
    let several = schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items"));
    found.extend(several.flat_map(|inner| reached(whole, inner)));
    found
}

/// The words that are all a property may be, each with what it means.
fn words(whole: &Value, property: &Value) -> String {
    let named = reached(whole, property).into_iter().find_map(|(_, definition)| definition["oneOf"].as_array());
    let words = named.into_iter().flatten().filter_map(|word| {
        let meaning = described(word).trim_end_matches('.').to_owned();
        let meaning = meaning.chars().next()?.to_lowercase().chain(meaning.chars().skip(1)).collect::<String>();
        Some(format!("`{}`: {meaning}", word.get("const")?))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { String::new() } else { format!(" {}.", words.join("; ")) }
}

/// What a schema says of itself, on one line.
pub(crate) fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same text, its first letter a capital.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.chars().next().into_iter().flat_map(char::to_uppercase);
    first.chain(text.chars().skip(1)).collect()
}
