//! `concurrent`: how many connections a key may have at a time.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::Count;
use crate::stage::Client;
use crate::stage::rates::Bucket;
use crate::stage::refusal::{Refusal, SESSION_REPLACED, TOO_MANY_CONNECTIONS, Verdict};

/// What it is, and how it looks.
const EXPECTING: &str = "a number of connections: 10, or { max, on_excess }";

/// How many connections there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrent {
    /// So many.
    pub max: Count,
    /// What becomes of one more.
    pub on_excess: OnFull,
}

impl Concurrent {
    /// Holds a slot for the client. Where keys share a bucket nobody is replaced: the oldest could be anybody's.
    pub(super) fn admit(&self, client: &mut Client, bucket: &Bucket) -> Verdict {
        let (holders, max) = (bucket.holders(), self.max.get() as usize);
        if client.holdings.has_slot_of(&holders) {
            return Ok(());
        }
        let refusal = |outcome| Refusal::new(outcome).rule(format!("concurrent {max}")).at("concurrent");
        let slot = if self.on_excess == OnFull::CloseOldest && !bucket.is_shared {
            holders.succeed(max, refusal(SESSION_REPLACED))
        } else {
            holders.enter(max).ok_or_else(|| Box::new(refusal(TOO_MANY_CONNECTIONS)))?
        };
        client.holdings.hold(slot);
        Ok(())
    }
}

/// What becomes of a connection too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// It is refused, with 429; handshakes count.
    #[default]
    Refuse,
    /// It is let in, and once it is, the oldest is closed with `session_replaced`, 1008. Who is refused by anything else closes nobody.
    CloseOldest,
}

/// `concurrent` as a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConcurrentTable")]
struct Form {
    /// So many; the same as the number alone.
    max: Count,
    /// What becomes of one more.
    #[serde(default, deserialize_with = "of_connections")]
    on_excess: OnFull,
}

/// Reads what becomes of connections; of what becomes of traffic it is said where that belongs.
fn of_connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnFull, D::Error> {
    let word = String::deserialize(deserializer)?;
    if matches!(&*word, "close" | "delay" | "drop" | "notify") {
        let hint = "\"refuse\" keeps the newcomer out, \"close_oldest\" lets it in; what becomes of traffic stands beside `concurrent`";
        return Err(de::Error::custom(format_args!("\"{word}\" is for traffic, not for connections; {hint}")));
    }
    OnFull::deserialize(word.into_deserializer())
}

impl<'de> Deserialize<'de> for Concurrent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Concurrent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTING)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Concurrent, E> {
                let max = Count::deserialize(value.into_deserializer())?;
                Ok(Concurrent { max, on_excess: OnFull::default() })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Concurrent, M::Error> {
                let Form { max, on_excess } = Form::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Concurrent { max, on_excess })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Concurrent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { max, on_excess } = *self;
        if on_excess == OnFull::default() { max.serialize(serializer) } else { Form { max, on_excess }.serialize(serializer) }
    }
}

impl JsonSchema for Concurrent {
    fn schema_name() -> Cow<'static, str> {
        "Concurrent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": EXPECTING, "anyOf": [generator.subschema_for::<Count>(), generator.subschema_for::<Form>()] })
    }
}
