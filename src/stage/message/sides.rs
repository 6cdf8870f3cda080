//! What is said of one side's messages or of both: `true`, or `{ client = true, upstream = false }`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stage::Side;

/// A value for each side of which something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides<T> {
    /// For clients' messages.
    pub client: Option<T>,
    /// For the backend's.
    pub upstream: Option<T>,
    /// Whether it is written by side; else it is a value alone, and the clients'.
    pub is_table: bool,
}

impl<T> Sides<T> {
    /// What is said of the messages from this side.
    pub fn from(&self, side: Side) -> Option<&T> {
        match side {
            Side::Client => self.client.as_ref(),
            Side::Upstream => self.upstream.as_ref(),
        }
    }
}

/// Both sides, by name.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
#[schemars(rename = "BySideOf{T}", extend("minProperties" = 1))]
struct BySide<T> {
    /// For what clients send.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<T>,
    /// For what the backend sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<T>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sides<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTable<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrTable<T> {
            type Value = Sides<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value for clients' messages, or { client, upstream }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Sides<T>, E> {
                T::deserialize(value.into_deserializer()).map(alone)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Sides<T>, E> {
                T::deserialize(value.into_deserializer()).map(alone)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sides<T>, A::Error> {
                T::deserialize(de::value::SeqAccessDeserializer::new(list)).map(alone)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sides<T>, A::Error> {
                let BySide { client, upstream } = BySide::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Sides { client, upstream, is_table: true })
            }
        }
        deserializer.deserialize_any(OneOrTable(PhantomData))
    }
}

fn alone<T>(value: T) -> Sides<T> {
    Sides { client: Some(value), upstream: None, is_table: false }
}

impl<T: Serialize> Serialize for Sides<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.client, self.is_table) {
            (Some(client), false) => client.serialize(serializer),
            (client, _) => BySide { client: client.as_ref(), upstream: self.upstream.as_ref() }.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Sides<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrBySide", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), generator.subschema_for::<BySide<T>>()] })
    }
}
