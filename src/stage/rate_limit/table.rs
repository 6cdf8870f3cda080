//! `rate_limit` as the file writes it.

use schemars::JsonSchema;
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::units::{ByteRate, Many, Rate};
use crate::stage::rates::KeyPart;
use crate::stage::template::Template;

use super::concurrent::Concurrent;

/// `[rate_limit.NAME]`: how much clients may do, each key for itself and all its connections together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    { "required": ["connect"] }, { "required": ["requests"] }, { "required": ["messages"] }, { "required": ["bytes"] }, { "required": ["frames"] },
    { "required": ["concurrent"] },
]))]
pub struct Table {
    /// Whose connections count together: `"ip"` (an IPv6 client's `/64`), `"ip/24"`, `"user"`, `"claim:NAME"`, `"header:NAME"`,
    /// `"route"`, `"connection"`, or a list of them that forms one key. Clients that lack a part of it count together.
    #[schemars(extend("minItems" = 1))]
    pub key: Many<KeyPart>,
    /// Handshakes, each when its key is known: by `"ip"` alone, before the request is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Rate>,
    /// Ordinary HTTP requests, on routes with `http`; `connect` does not count them, nor `messages`, `bytes` and `frames` what they carry.
    /// A preflight has no user and no claims: where the key has them it counts for its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// Messages from clients, each counted at its first frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Rate>,
    /// Payload bytes of messages from clients, as on the wire. One frame may exceed what is left; what follows it waits until that is
    /// made up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteRate>,
    /// Frames from clients, pings and pongs included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Rate>,
    /// Connections at a time: a number, or `{ max, on_excess }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<Concurrent>,
    /// What becomes of messages, bytes and frames over their rate; a handshake over `connect` is refused.
    #[serde(default, deserialize_with = "of_traffic")]
    pub on_excess: OnExcess,
    /// What the client is told with `on_excess = "notify"`: a text message, a template with `{id}`, `{reason}` and `{code}`. The reason
    /// where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Template>,
}

impl Table {
    /// Whether it counts what happens, and not only who is there.
    pub(super) fn has_rates(&self) -> bool {
        let rates = [&self.connect, &self.requests, &self.messages, &self.frames];
        self.bytes.is_some() || rates.iter().any(|rate| rate.is_some())
    }
}

/// What becomes of traffic over its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExcess {
    /// The client is refused: before the upgrade with 429, after it with a Close.
    #[default]
    Refuse,
    /// The connection is closed: the same, said of a live one.
    Close,
    /// It waits for its turn, for a minute at most, and what the client sends behind it is not read; what would wait longer is refused.
    Delay,
    /// The message is left out and nobody is told; not for `frames`.
    Drop,
    /// The message is left out and the client is told by `notify`, between two messages; not for `frames`.
    Notify,
}

/// Reads what becomes of traffic; of what becomes of connections it is said where that belongs.
fn of_traffic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnExcess, D::Error> {
    let word = String::deserialize(deserializer)?;
    if word == "close_oldest" {
        let hint = "write concurrent = { max = 10, on_excess = \"close_oldest\" }";
        return Err(de::Error::custom(format_args!("\"close_oldest\" is for connections, not for traffic; {hint}")));
    }
    OnExcess::deserialize(word.into_deserializer())
}
