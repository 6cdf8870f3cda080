//! A server of an upstream: its URL, or a table that says more of it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::{Count, ServerUrl};

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: ServerUrl,
    /// Its share of the connections beside those of the others.
    pub weight: Count<1000>,
    /// Whether it gets no new connections.
    pub drain: bool,
}

impl Server {
    /// The server at this URL, with every default.
    pub fn of(url: ServerUrl) -> Self {
        Self { url, weight: weight(), drain: false }
    }
}

fn weight() -> Count<1000> {
    Count::of(1)
}

/// A server's table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServerTable")]
struct Table {
    /// Where it is: `"ws://host:port"`.
    url: ServerUrl,
    /// Its share of the connections beside those of the others, 1 to 1000.
    #[serde(default = "weight")]
    weight: Count<1000>,
    /// Whether it is to be left alone: it gets no new connections, not even of clients that stick to it, and keeps those it has.
    #[serde(default)]
    drain: bool,
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Server;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a server: \"ws://127.0.0.1:9001\" or { url = \"ws://127.0.0.1:9001\", weight = 2 }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Server, E> {
                value.parse().map(Server::of).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Server, A::Error> {
                let Table { url, weight, drain } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Server { url, weight, drain })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { url, weight, drain } = self.clone();
        if *self == Self::of(url.clone()) { url.serialize(serializer) } else { Table { url, weight, drain }.serialize(serializer) }
    }
}

impl JsonSchema for Server {
    fn schema_name() -> Cow<'static, str> {
        "Server".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<ServerUrl>(), generator.subschema_for::<Table>()] })
    }
}
