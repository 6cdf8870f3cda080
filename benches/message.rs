//! What a `message` stage adds to each message that is read: by what is asked of it, at 128 bytes and at 1 KiB of a chat's JSON.
//! `cargo bench --bench message`; Linux only.
//!
//! Times are the processor's, of the thread that did the work (`schedstat`), so that what else the machine does is not counted. What
//! reading costs, which is unmasking a copy and looking at its UTF-8, is not in them.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::hint::black_box;
use std::path::Path;

use serde_json::{Value, json};
use wsgate::config::document::Document;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;
use wsgate::stage::{Client, Fate, Inspector, Message, Pipeline, Side, sample};

const ROUNDS: usize = 7;

/// What is judged without being parsed takes nanoseconds, and is measured over more of them.
const QUICK: u32 = 20_000_000;
const MESSAGES: u32 = 300_000;

/// The messages of a chat: what each has to be.
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["type", "id", "room", "text"],
  "properties": {
    "type": { "enum": ["message", "edit", "typing"] },
    "id": { "type": "string", "format": "uuid" },
    "room": { "type": "string", "minLength": 1, "maxLength": 64 },
    "sent": { "type": "string", "format": "date-time" },
    "text": { "type": "string", "maxLength": 4000 },
    "seq": { "type": "integer", "minimum": 0 },
    "from": {
      "type": "object",
      "required": ["name"],
      "properties": { "name": { "type": "string" }, "email": { "type": "string", "format": "email" } },
      "additionalProperties": false
    },
    "mentions": {
      "type": "array",
      "maxItems": 50,
      "items": {
        "type": "object",
        "required": ["user"],
        "properties": { "user": { "type": "string" }, "at": { "type": "integer", "minimum": 0 }, "length": { "type": "integer" } }
      }
    }
  },
  "additionalProperties": false
}"#;

const RULES: &str = r#"rules = [
  { field = "type", is = "admin", deny = true },
  { field = "type", one_of = ["message", "typing"], rate = { rate = "1000000/s", burst = 4000000000 }, key = "ip" },
  { field = "room", missing = true, deny = true },
]"#;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat.json"), SCHEMA).unwrap();
    for size in [128, 1024] {
        let (good, bad) = (chat(size, &"lobby".into()), chat(size, &7.into()));
        println!("{} bytes", good.len());
        for (name, table, text, passes, count) in [
            ("types", "types = \"text\"".to_owned(), &good, true, QUICK),
            ("json", "json = true".to_owned(), &good, true, MESSAGES),
            ("rules", RULES.to_owned(), &good, true, MESSAGES),
            ("json and rules", format!("json = true\n{RULES}"), &good, true, MESSAGES),
            ("schema", "schema = \"chat.json\"".to_owned(), &good, true, MESSAGES),
            ("schema and rules", format!("schema = \"chat.json\"\n{RULES}"), &good, true, MESSAGES),
            ("schema, does not fit, left out", "schema = \"chat.json\"\non_violation = \"drop\"".to_owned(), &bad, false, MESSAGES),
        ] {
            let pipeline = pipeline(folder.path(), &table);
            let mut inspectors = pipeline.inspect(&client(), &mut Vec::new());
            let cost = median((0..ROUNDS).map(|_| judge(&mut inspectors, &text.as_str().into(), passes, count)));
            println!("  {name}: {cost:.0} ns a message (median of {ROUNDS})");
        }
        let pipeline = pipeline(folder.path(), "schema = \"chat.json\"");
        let cost = median((0..ROUNDS).map(|_| close(&pipeline, &bad.as_str().into())));
        println!("  schema, does not fit, closes: {cost:.0} ns for the connection (median of {ROUNDS})");
    }
}

/// A message of a chat of about this size; it fits the schema if its room is a text.
fn chat(size: usize, room: &Value) -> String {
    let mut message = json!({ "type": "message", "id": "7f0c1a52-9f3e-4b8e-9a51-0d6f6b7c1e11", "room": room, "text": "" });
    if size > 500 {
        message["seq"] = 48_213.into();
        message["sent"] = "2026-11-30T12:00:00.125Z".into();
        message["from"] = json!({ "name": "Alice Example", "email": "alice@example.com" });
        message["mentions"] = (0..6).map(|user| json!({ "user": format!("user-{user}"), "at": 10 * user, "length": 7 })).collect();
    }
    let words = "The quick brown fox said \"good evening\" to the lazy dog, and nobody knew why. ".repeat(20);
    let room = size.saturating_sub(message.to_string().len());
    message["text"] = words.get(..room).unwrap().into();
    message.to_string()
}

/// A pipeline of one stage with this table.
fn pipeline(folder: &Path, table: &str) -> Pipeline {
    let listener = "[listener.l]\naddress = \"127.0.0.1:0\"\npipeline = [\"message.x\"]\n";
    let text = format!("[message.x]\n{table}\n{listener}[route.r]\nendpoint = \"echo\"\n");
    let (gateway, faults) = Gateway::compile(&Document::parse("bench.toml", text, folder), &Catalog::default(), &Cells::default());
    gateway.unwrap_or_else(|| panic!("{faults:?}")).listeners.values().next().unwrap().pipeline.clone()
}

/// Nanoseconds for a message.
fn judge(inspectors: &mut [Inspector], message: &Message<'_>, passes: bool, count: u32) -> f64 {
    let began = spent();
    for _ in 0..count {
        for inspector in &mut *inspectors {
            let fate = black_box(inspector.message(Side::Client, black_box(message)));
            assert_eq!(matches!(fate, Ok(Fate::Pass)), passes);
        }
    }
    nanos(began, count)
}

/// Nanoseconds to find out that a connection's first message ends it, and why.
fn close(pipeline: &Pipeline, message: &Message<'_>) -> f64 {
    let client = client();
    let began = spent();
    for _ in 0..MESSAGES {
        for inspector in &mut pipeline.inspect(&client, &mut Vec::new()) {
            assert!(black_box(inspector.message(Side::Client, black_box(message))).is_err());
        }
    }
    nanos(began, MESSAGES)
}

fn client() -> Client {
    Client { request: None, ..sample::client(&[]) }
}

/// Nanoseconds this thread has had of a processor.
fn spent() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

/// Nanoseconds for each of so many, since then.
fn nanos(began: u64, number: u32) -> f64 {
    (spent() - began) as f64 / f64::from(number)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
