//! `http` of a route: ordinary requests beside WebSocket.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::{Interval, Rate, Size, Switch};

/// What it is, and how it looks.
const EXPECTING: &str = "what passes of ordinary HTTP: true, or { requests, max_body }";

/// `http`: whether ordinary requests pass, and within which limits.
#[derive(Clone, Debug, PartialEq)]
pub enum Http {
    /// `false`: they are told to upgrade.
    Off,
    /// They pass, within these limits.
    On(HttpTable),
}

/// `http` as a table: the limits of ordinary requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpTable {
    /// How many requests an individual client, by its address (an IPv6 client's `/64`), may make. Left out, any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// The largest body of a request; a larger one is refused with `body_too_large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1MiB"))]
    pub max_body: Option<Switch<Size>>,
    /// How long the backend may take to begin its answer, once it has the whole request. Longer than a poll that waits for news.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "2m"))]
    pub answer_timeout: Option<Interval>,
    /// Whether what a browser asks before a request of another origin (CORS preflight), and never with a credential, passes stages that authenticate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub preflight: Option<bool>,
}

impl HttpTable {
    /// The largest body; 1 MiB unless set.
    pub fn max_body(&self) -> Switch<Size> {
        self.max_body.unwrap_or(Switch::On(Size::bytes(1 << 20)))
    }

    /// How long the backend may take to begin its answer; 2 minutes unless set.
    pub fn answer_timeout(&self) -> Interval {
        self.answer_timeout.unwrap_or(Interval::seconds(120))
    }

    /// Whether preflights pass stages that authenticate; not unless set.
    pub fn preflight(&self) -> bool {
        self.preflight.unwrap_or_default()
    }
}

impl Http {
    /// The limits, where ordinary requests pass.
    pub fn on(&self) -> Option<&HttpTable> {
        match self {
            Self::Off => None,
            Self::On(table) => Some(table),
        }
    }
}

impl<'de> Deserialize<'de> for Http {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Http;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTING)
            }

            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<Http, E> {
                Ok(if is_on { Http::On(HttpTable::default()) } else { Http::Off })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Http, M::Error> {
                HttpTable::deserialize(de::value::MapAccessDeserializer::new(map)).map(Http::On)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Http {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On(table) if *table == HttpTable::default() => serializer.serialize_bool(true),
            Self::On(table) => table.serialize(serializer),
        }
    }
}

impl JsonSchema for Http {
    fn schema_name() -> Cow<'static, str> {
        "Http".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": EXPECTING, "anyOf": [{ "type": "boolean" }, generator.subschema_for::<HttpTable>()] })
    }
}
