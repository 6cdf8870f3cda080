//! `message` as the file writes it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Many, Rate};
use crate::stage::json::Field;
use crate::stage::pipeline::Mode;
use crate::stage::rates::KeyPart;
use crate::stage::template::Template;

use super::scalar::Scalar;
use super::sides::Sides;

/// `[message.NAME]`: which messages pass, by what they hold: their type, their JSON, a schema, single fields of theirs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("anyOf" = [
    { "required": ["types"] }, { "required": ["json"] }, { "required": ["schema"] }, { "required": ["rules"] },
]))]
pub struct Table {
    /// The types that pass: `"text"`, `"binary"`, or a list of both. Left out, both; only text where `json` or a schema judges that
    /// side, as a backend might read binary messages as JSON too. It is said of clients' messages, or by side: `{ client, upstream }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Sides<Many<Type>>>,
    /// Whether text has to be JSON (RFC 8259), no object of which has a name twice, nested 127 deep at most; a schema implies it. Of
    /// clients' messages, or `{ client, upstream }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Sides<bool>>,
    /// The file of a JSON Schema that text has to fit, its formats among the rest. For clients' messages, or `{ client, upstream }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Sides<PathBuf>>,
    /// What is denied, or limited, by a field of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Many<Rule>>,
    /// What becomes of a message that must not pass.
    pub on_violation: OnViolation,
    /// What the side that sent it is told with `on_violation = "notify"`: a text message, a template with `{id}`, `{reason}` and
    /// `{code}`. The reason where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Template>,
}

/// The type of a message (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MessageType")]
pub enum Type {
    /// Text, which is UTF-8.
    Text,
    /// Bytes of any kind.
    Binary,
}

/// What becomes of a message that must not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// The connection is closed.
    #[default]
    Close,
    /// It is left out, and nobody is told.
    Drop,
    /// It is left out, and who sent it is told by `notify`, between two messages.
    Notify,
}

/// A rule on messages of which a field is so: it denies them, or limits how many there are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MessageRule", extend("allOf" = [
    { "oneOf": [{ "required": ["is"] }, { "required": ["one_of"] }, { "required": ["missing"] }] },
    { "oneOf": [{ "required": ["deny"] }, { "required": ["rate"] }] },
]))]
pub struct Rule {
    /// The field, by its name, or by the dotted path to it: `"payload.kind"`. Lists are not looked into.
    pub field: Field,
    /// It is this text, number, or true or false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Scalar>,
    /// It is one of these. With a `rate`, each of them has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub one_of: Option<Vec<Scalar>>,
    /// `true`: the message has no such field. One that is no JSON has none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<bool>,
    /// `true`: such messages do not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<bool>,
    /// So many of them pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Whose messages count together for the `rate`, as in a `rate_limit`: `"ip"`, `"user"`, `"claim:NAME"`, or a list. Left out,
    /// each connection's for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub key: Option<Many<KeyPart>>,
    /// Whose messages it is about.
    #[serde(default)]
    pub from: Sender,
    /// Whether it holds or is only reported.
    #[serde(default, skip_serializing_if = "is_enforced")]
    pub mode: Mode,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_enforced(mode: &Mode) -> bool {
    *mode == Mode::Enforce
}

/// Who sends messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MessageSender")]
pub enum Sender {
    /// The client.
    #[default]
    Client,
    /// The backend.
    Upstream,
}
