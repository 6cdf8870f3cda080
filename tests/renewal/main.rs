//! Renewal: a live connection shows a newer token and goes on, is warned before the old one ends, and ends with the newest.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod in_band;
mod tickets;
mod waiting;
mod warnings;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Gateway, SECRET, Socket, token, with_token};

/// How tokens come in messages, in the tests that have them come so.
const MESSAGE: &str =
    r#"renew.message = { match = { type = "auth" }, field = "token", reply = '{"renewed":{seconds}}', refused = '{"refused":"{id}"}' }"#;

/// A listener with a route `/0`, `/1`, … to each of these endpoints, all by this pipeline.
fn config(endpoints: impl IntoIterator<Item = String>, pipeline: &str) -> String {
    let mut config = "[listener.public]\naddress = \"127.0.0.1:0\"\n".to_owned();
    for (index, endpoint) in endpoints.into_iter().enumerate() {
        config += &format!("[route.r{index}]\npath = \"/{index}\"\nendpoint = \"{endpoint}\"\npipeline = {pipeline}\n");
    }
    config
}

/// The stage that tokens are for, with these further keys.
fn users(keys: &str) -> String {
    format!("[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n{keys}\n")
}

/// A moment so many seconds ahead, as `exp` says it.
fn ahead(seconds: f64) -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + seconds
}

/// A token of this user's for so many seconds.
fn of(user: &str, seconds: f64) -> String {
    token(&json!({ "sub": user, "exp": ahead(seconds) }))
}

/// The message that shows a token.
fn auth(token: &str) -> String {
    json!({ "type": "auth", "token": token }).to_string()
}

/// A connection of Alice's whose token ends in so many seconds.
async fn alice(gateway: &Gateway, path: &str, seconds: f64) -> Socket {
    support::connect(with_token(&gateway.url("public", path), &of("alice", seconds))).await.unwrap()
}

/// Asserts that this is what a client is told of `so many` seconds, of which some may have passed.
#[track_caller]
fn tells(told: &str, key: &str, most: u64) {
    let told: Value = serde_json::from_str(told).unwrap();
    let seconds = told[key].as_u64().unwrap_or_else(|| panic!("{told}"));
    assert!(seconds <= most && seconds + 60 > most, "{told}");
}

/// These fields of an event.
fn said<const N: usize>(event: &Value, fields: [&str; N]) -> [Value; N] {
    fields.map(|field| event[field].clone())
}
