//! Messages judged over real sockets, between real peers: what passes, what does not, and that nothing of that reaches anybody.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod explained;
mod first;
mod keys;
mod reported;
mod violations;

use serde_json::{Value, json};
use support::Gateway;

const PUBLIC: &str = "[listener.public]\naddress = \"127.0.0.1:0\"\n[gateway.route]\nclose_timeout = \"200ms\"\n";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

/// A schema that wants a text in `text`.
const SCHEMA: &str = r#"{ "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] }"#;

/// A gateway whose one route has a message stage of this table, with [`SCHEMA`] as `chat.json` beside its file.
fn judging(table: &str, endpoint: &str) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat.json"), SCHEMA).unwrap();
    let route = format!("[route.one]\npipeline = [\"message.x\"]\nendpoint = \"{endpoint}\"\n");
    Gateway::run_in(folder, &format!("{PUBLIC}[message.x]\n{table}\n{route}"))
}

/// Who decided, by which row and rule.
fn decided(event: &Value) -> Value {
    json!(["outcome", "stage", "rule"].map(|field| &event[field]))
}
