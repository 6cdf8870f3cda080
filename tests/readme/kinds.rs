//! The README's tables of keys are what the types that read the file say of themselves. `UPDATE=1` writes them anew.

use std::fmt::Write;
use std::fs;

use serde_json::{Map, Value};
use wsgate::config::{FRAME, FrameKind};
use wsgate::gateway::catalog::ENDPOINTS;
use wsgate::stage::STAGES;

use super::package;

const BEGIN: &str = "<!-- kinds: written from the code by `UPDATE=1 cargo test --test readme` -->\n";
const END: &str = "<!-- end of kinds -->\n";

/// Every kind: its header, its role where it is not of the frame, and its schema.
fn kinds() -> Vec<(String, &'static str, Value)> {
    let header = |kind: &FrameKind| if kind.is_single() { format!("[{}]", kind.kind) } else { format!("[{}.NAME]", kind.kind) };
    let mut kinds: Vec<_> = FRAME.iter().map(|kind| (header(kind), "", (kind.schema)().to_value())).collect();
    kinds.extend(STAGES.iter().map(|stage| (format!("[{}.NAME]", stage.kind), "A stage", (stage.schema)().to_value())));
    kinds.extend(ENDPOINTS.iter().map(|endpoint| (format!("[{}.NAME]", endpoint.kind), "An endpoint", (endpoint.schema)().to_value())));
    kinds
}

/// The tables as the README has them.
fn rendered() -> String {
    let mut text = String::new();
    for (header, role, schema) in kinds() {
        let about = described(&schema);
        let (of, about) = about.split_once(": ").expect("a table's first sentence names it");
        assert_eq!(of, format!("`{header}`"));
        let about = if role.is_empty() { sentence(about) } else { format!("{role}: {about}") };
        write!(text, "#### `{header}`\n\n{about}\n\n| key | default | what it says |\n|---|---|---|\n").unwrap();
        let mut shown = Vec::new();
        rows(&mut text, &schema, &schema, "", &mut shown);
        text.push('\n');
    }
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

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.chars().next().into_iter().flat_map(char::to_uppercase);
    first.chain(text.chars().skip(1)).collect()
}

#[test]
fn the_readme_s_tables_of_keys_say_what_the_code_says() {
    let path = package().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the place of the tables is marked");
    let (tables, after) = rest.split_once(END).expect("and so is its end");
    let right = format!("\n{}", rendered());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, format!("{before}{BEGIN}{right}{END}{after}")).unwrap();
    } else {
        assert_eq!(tables, right, "UPDATE=1 cargo test --test readme writes them anew");
    }
}

#[test]
fn every_key_of_every_kind_is_in_the_tables() {
    let rendered = rendered();
    for (header, _, schema) in kinds() {
        assert!(rendered.contains(&format!("#### `{header}`\n")), "{header}");
        for key in schema["properties"].as_object().unwrap().keys() {
            assert!(rendered.contains(&format!("| `{key}` | ")), "{key} of {header}");
        }
    }
    for row in rendered.lines().filter(|line| line.starts_with("| `")) {
        assert!(row.rsplit(" | ").next().unwrap().len() > " |".len(), "nothing is said of {row}");
    }
}
