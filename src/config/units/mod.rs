//! Values as the file writes them: quantities with units, `"off"`, networks, addresses, moments, one or a list.
//!
//! A value that is wrong says so in two clauses, `what is wrong; what would mend it`, and the second becomes the fault's hint.

mod address;
mod cidr;
mod count;
mod moment;
mod percent;
mod quantity;
mod rate;
mod url;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use address::{Address, ServerUrl};
pub use cidr::Cidr;
pub use count::Count;
pub use moment::Moment;
pub(crate) use moment::missing_part;
pub use percent::Percent;
pub use quantity::{Interval, Size};
pub use rate::{Amount, ByteRate, Frequency, Rate, RateOf};
pub use url::HttpUrl;

/// Reads and writes a type through its `FromStr` and `Display`, as a string of the file.
///
/// Behind what is expected stands a pattern of its schema, where there is one: it may take what `FromStr` refuses, never the reverse.
macro_rules! written_as_string {
    ($type:ty, $name:literal, $expecting:literal $(, $pattern:literal)?) => {
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl ::serde::de::Visitor<'_> for Written {
                    type Value = $type;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: ::serde::de::Error>(self, value: &str) -> Result<$type, E> {
                        value.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Written)
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl ::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                let pattern: Option<&str> = None$(.or(Some($pattern)))?;
                $crate::config::units::text_schema($expecting, pattern)
            }
        }
    };
}
pub(crate) use written_as_string;

/// The schema of a string that is described so; what is quoted in the description are its examples.
pub(crate) fn text_schema(description: &str, pattern: Option<&str>) -> Schema {
    let examples: Vec<&str> = description.split('"').skip(1).step_by(2).collect();
    let mut schema = json_schema!({ "type": "string", "description": description });
    if !examples.is_empty() {
        schema.insert("examples".to_owned(), examples.into());
    }
    if let Some(pattern) = pattern {
        schema.insert("pattern".to_owned(), pattern.into());
    }
    schema
}

/// A setting that can be switched off with `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    /// As set.
    On(T),
    /// `"off"`.
    Off,
}

impl<T> Switch<T> {
    /// The setting, where it is on.
    pub fn on(self) -> Option<T> {
        match self {
            Self::On(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Written<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or \"off\"")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Switch<T>, E> {
                if value == "off" { Ok(Switch::Off) } else { T::deserialize(value.into_deserializer()).map(Switch::On) }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Switch<T>, E> {
                T::deserialize(value.into_deserializer()).map(Switch::On)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Switch<T>, E> {
                T::deserialize(value.into_deserializer()).map(Switch::On)
            }

            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Switch<T>, M::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Switch::On)
            }
        }
        deserializer.deserialize_any(Written(PhantomData))
    }
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On(value) => value.serialize(serializer),
            Self::Off => serializer.serialize_str("off"),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrOff", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "const": "off" }] })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for Many<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrList<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Many<T>, E> {
                T::deserialize(value.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Many<T>, E> {
                T::deserialize(value.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Many<T>, E> {
                T::deserialize(value.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Many<T>, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Many)
            }
        }
        deserializer.deserialize_any(OneOrList(PhantomData))
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            list => list.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
