//! The keys of `first_message`, with their defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{Interval, Size};
use crate::stage::json::Field;

/// The largest first message, in bytes: it is held for a client nobody knows yet.
const MAX: u64 = 64 << 10;

/// The keys of `first_message`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FirstMessageTable {
    /// How long the client may take to send it, from the 101 on.
    pub timeout: Interval,
    /// Its largest size.
    pub max: Size,
    /// Where the token stands in a message that is a JSON object, by its name or the path to it: `"payload.token"`. Left out, the token is
    /// all of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Field>,
    /// Whether the backend is sent the message too, as its first and byte by byte.
    pub forward: bool,
}

impl Default for FirstMessageTable {
    fn default() -> Self {
        Self { timeout: Interval::seconds(10), max: Size::bytes(16 << 10), field: None, forward: false }
    }
}

impl FirstMessageTable {
    pub(super) fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.max.get() > MAX {
            faults.push(Fault::new(at.key("max"), format!("a first message is {} at most", Size::bytes(MAX))));
        }
    }
}
