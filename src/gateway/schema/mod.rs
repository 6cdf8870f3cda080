//! The JSON Schema of a whole `gateway.toml`, made of what every kind says of its own table.
//!
//! It is for editors: it completes, explains and marks while a file is typed. It may take what [`Gateway::compile`](super::Gateway)
//! refuses, as a reference that leads nowhere, and never refuses what that takes. Editors read it by older drafts, too, so it keeps to
//! what drafts 7 and 2020-12 have in common, but for descriptions beside a `$ref`.

mod definitions;
mod outcomes;
mod tidy;

use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};

use crate::config::{FRAME, Mode};
use crate::stage::Configure;
use crate::stage::errors::Errors;

use super::catalog::{Catalog, ENDPOINTS};
use definitions::Definitions;

/// The name of a table (`structure::is_name`), as a part of a pattern.
const NAME: &str = "[A-Za-z0-9_-]+";

/// The JSON Schema (draft 2020-12) of a `gateway.toml` whose stages and endpoints are those of this catalog: what `wsgate schema` prints,
/// with a program's own kinds among the built-in ones.
///
/// Nothing is required of the file itself, since it may be one of several in a folder.
///
/// ```
/// use wsgate::gateway::{Catalog, schema};
///
/// let schema = schema(&Catalog::default());
/// let keys = schema.pointer("/properties/firewall/additionalProperties/properties").unwrap();
/// assert!(keys.get("allow").is_some() && keys.get("mode").is_some());
/// ```
pub fn schema(catalog: &Catalog) -> Schema {
    let mut definitions = Definitions::default();
    definitions.add("Variable", json!({ "description": "A text with variables.", "type": "string", "pattern": r"\$\{" }));
    let mode = definitions.take("Mode", schema_for!(Mode));
    definitions.add("Mode", mode);
    let mut kinds = Map::new();
    for kind in FRAME {
        let table = definitions.take(kind.kind, (kind.schema)());
        let whole = if kind.is_single() { table } else { named(kind.kind, "", &table) };
        kinds.insert(kind.kind.to_owned(), whole);
    }
    for stage in catalog.stages() {
        let mut table = definitions.take(stage.kind, (stage.schema)());
        if stage.kind == Errors::KIND {
            outcomes::name(&mut table, catalog);
        }
        if let Some(keys) = table.get_mut("properties").and_then(Value::as_object_mut) {
            keys.insert("mode".to_owned(), mode_key());
        }
        kinds.insert(stage.kind.to_owned(), named(stage.kind, "A stage: ", &table));
    }
    for endpoint in ENDPOINTS {
        let table = definitions.take(endpoint.kind, (endpoint.schema)());
        kinds.insert(endpoint.kind.to_owned(), named(endpoint.kind, "An endpoint: ", &table));
    }
    definitions.add("Stage", stage_reference(catalog));
    definitions.add("Endpoint", endpoint_reference());
    let definitions = definitions.finish(&mut kinds);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.toml",
        "description": "The file of wsgate, a WebSocket gateway. Every table is [kind.name], and things refer to each other as \"kind.name\".",
        "type": "object",
        "additionalProperties": false,
        "properties": kinds,
        "$defs": definitions,
    })
    .try_into()
    .unwrap_or_default()
}

/// The tables of a kind, by name. `role` stands before what the table says of itself.
fn named(kind: &str, role: &str, table: &Value) -> Value {
    let about = table.get("description").and_then(Value::as_str).unwrap_or_default();
    let about = about.strip_prefix(&format!("`[{kind}.NAME]`: ")).unwrap_or(about);
    let described = match (role, about.chars().next()) {
        ("", Some(first)) => first.to_uppercase().chain(about.chars().skip(1)).collect(),
        _ => format!("{role}{about}"),
    };
    json!({
        "description": described,
        "type": "object",
        "propertyNames": { "pattern": format!("^{NAME}$") },
        "additionalProperties": table,
    })
}

/// `mode`, which is every stage's: the pipeline keeps it.
fn mode_key() -> Value {
    json!({ "description": "Whether what the stage refuses is refused.", "default": Mode::default(), "$ref": "#/$defs/Mode" })
}

/// An element of a pipeline: a stage of this catalog, a pipeline, or a list of stages that authenticate.
fn stage_reference(catalog: &Catalog) -> Value {
    let written = |kind: &str, is_bare: bool| if is_bare { format!(r"{kind}(\.{NAME})?") } else { format!(r"{kind}\.{NAME}") };
    let pipeline = std::iter::once(written("pipeline", false));
    let stages: Vec<String> = pipeline.chain(catalog.stages().iter().map(|stage| written(stage.kind, stage.bare))).collect();
    let ways = catalog.stages().iter().filter(|stage| stage.authenticates);
    let ways: Vec<String> = ways.map(|stage| written(stage.kind, stage.bare)).collect();
    let mut reference = json!({
        "anyOf": [
            { "description": "A stage, or a pipeline whose stages stand here.", "type": "string",
              "pattern": format!("^({})$", stages.join("|")), "examples": ["pipeline.door", "errors"] },
            { "description": "Any of these authentications: a credential that is missing tries the next, one that is bad refuses.",
              "type": "array", "minItems": 1, "items": { "type": "string", "pattern": format!("^({})$", ways.join("|")) } },
        ]
    });
    tidy::tidy(&mut reference);
    reference
}

/// What answers behind a route; each endpoint may stand bare.
fn endpoint_reference() -> Value {
    let own: Vec<String> = ENDPOINTS.iter().map(|endpoint| format!(r"{}(\.{NAME})?", endpoint.kind)).collect();
    let mut reference = json!({
        "description": "An upstream, another endpoint, or the URL of one backend.", "type": "string",
        "pattern": format!(r"^(upstream\.{NAME}|{}|[Ww][Ss]://[^\s?#@]+)$", own.join("|")),
        "examples": ["upstream.chat", "authenticated", "ws://127.0.0.1:9001"],
    });
    tidy::tidy(&mut reference);
    reference
}

#[cfg(test)]
mod tests;
