//! The keys of `[errors.*]` that are ids of outcomes: which there are, when each happens, and what holds unless the table says otherwise.

use serde_json::{Map, Value, json};

use crate::gateway::catalog::Catalog;
use crate::stage::Outcome;
use crate::stage::refusal::{CLOSED, TABLE};

/// What the schema of an id says of its outcome; nothing where the key cannot name it.
type Say = fn(&Outcome) -> Option<Value>;

/// The keys, each with what it says of an outcome besides when it happens.
const KEYS: [(&str, Say); 3] = [
    ("messages", |outcome| outcome.status.or(outcome.code).map(|_| json!({ "default": outcome.reason }))),
    ("codes", |outcome| outcome.code.map(|code| json!({ "default": code, "minimum": 1000, "maximum": 4999 }))),
    ("levels", |outcome| (outcome.id != CLOSED.id).then(|| json!({}))),
];

/// Names the outcomes of the gateway and of this catalog in the schema of the table.
pub(super) fn name(table: &mut Value, catalog: &Catalog) {
    let outcomes: Vec<Outcome> = TABLE.iter().copied().chain(catalog.outcomes()).collect();
    for (key, say) in KEYS {
        let Some(Value::Object(by_id)) = table.pointer_mut(&format!("/properties/{key}")) else { continue };
        let Some(any) = by_id.get("additionalProperties").cloned() else { continue };
        // A definition is referred to by each, not written out in each.
        let any = if any.get("$ref").is_some() { json!({ "anyOf": [any] }) } else { any };
        let one = |outcome: &Outcome| {
            let mut one = any.as_object().cloned()?;
            one.insert("description".to_owned(), outcome.summary.into());
            one.extend(say(outcome)?.as_object().cloned()?);
            Some((outcome.id.to_owned(), Value::Object(one)))
        };
        let properties: Map<String, Value> = outcomes.iter().filter_map(one).collect();
        let ids: Vec<&String> = properties.keys().collect();
        by_id.insert("propertyNames".to_owned(), json!({ "enum": ids }));
        by_id.insert("properties".to_owned(), Value::Object(properties));
    }
}
