//! Values that a field is held against: a text, a number, true or false.

use std::borrow::Cow;
use std::fmt;

use jsonschema::json::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::stage::json::Json;

/// What it is, and how it looks.
const EXPECTING: &str = "a text, a number, true or false";

/// A value that has nothing within it. Numbers are equal that say the same: `1` and `1.0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(Value);

impl Scalar {
    /// Whether a message has this there.
    pub(super) fn is(&self, found: &Json<'_>) -> bool {
        found.equals_value(&self.0)
    }
}

/// As JSON writes it.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTING)
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.into()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.into()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                let number = serde_json::Number::from_f64(number).ok_or_else(|| E::custom(format_args!("JSON has no {number}")))?;
                Ok(Scalar(number.into()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "MessageValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "description": EXPECTING })
    }
}
