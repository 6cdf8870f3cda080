//! `warn`: a time, or `{ before, message }`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::Interval;
use crate::stage::template::{OfTime, Template};

/// What it is, and how it looks.
const EXPECTING: &str = "a time: \"30s\", or { before, message }";

/// When the end of a live connection's token is told of, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warn {
    /// So long before the connection ends with its token.
    pub before: Interval,
    /// What the client is told then.
    pub message: Option<Template<OfTime>>,
}

/// `warn` as a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WarnTable")]
struct Form {
    /// So long before the connection ends with its token; the same as the time alone.
    before: Interval,
    /// What the client is told then: a template with `{seconds}`. Left out, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Template<OfTime>>,
}

impl<'de> Deserialize<'de> for Warn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Warn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTING)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Warn, E> {
                Ok(Warn { before: Interval::deserialize(value.into_deserializer())?, message: None })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Warn, M::Error> {
                let Form { before, message } = Form::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Warn { before, message })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Warn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self { before, message: None } => before.serialize(serializer),
            Self { before, message } => Form { before: *before, message: message.clone() }.serialize(serializer),
        }
    }
}

impl JsonSchema for Warn {
    fn schema_name() -> Cow<'static, str> {
        "Warn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": EXPECTING, "anyOf": [generator.subschema_for::<Interval>(), generator.subschema_for::<Form>()] })
    }
}
