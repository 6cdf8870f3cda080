//! Values with units: `"25s"`, `"64KiB"`, `"20/s"`, `"off"`, CIDRs, one or a list.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads and writes a type through its `FromStr` and `Display`, as a string of the file.
macro_rules! written_as_string {
    ($type:ty, $name:literal, $expecting:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl Visitor<'_> for Written {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, value: &str) -> Result<$type, E> {
                        value.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Written)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $expecting })
            }
        }
    };
}

/// A length of time, 1 ms or more: `"250ms"`, `"25s"`, `"10m"`, `"8h"`, `"30d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// A number of bytes, 1 or more: `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const UNITS_OF_TIME: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const UNITS_OF_SIZE: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Splits `"25s"` into 25 and `"s"`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

impl Interval {
    /// An interval of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's type.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time; write it as \"250ms\", \"25s\", \"10m\", \"8h\" or \"30d\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let &(_, scale) = UNITS_OF_TIME.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match number.checked_mul(scale) {
            Some(0) => Err(format!("{text:?} is no time at all; write \"off\" to switch something off")),
            // A century keeps every sum of a moment and an interval within range.
            Some(millis) if millis <= 100 * 365 * 86_400_000 => Ok(Self(Duration::from_millis(millis))),
            _ => Err(format!("{text:?} is longer than a century")),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, scale) = UNITS_OF_TIME.iter().find(|(_, scale)| millis.is_multiple_of(*scale)).unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", millis / scale)
    }
}

impl Size {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; write it as \"512B\", \"64KiB\", \"1MiB\" or \"2GiB\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let &(_, scale) = UNITS_OF_SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match number.checked_mul(scale) {
            Some(0) => Err(format!("{text:?} is no size at all; write \"off\" to switch something off")),
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("{text:?} is too large")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = UNITS_OF_SIZE.iter().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

written_as_string!(Interval, "Interval", "a length of time: \"250ms\", \"25s\", \"10m\", \"8h\", \"30d\"");
written_as_string!(Size, "Size", "a number of bytes: \"512B\", \"64KiB\", \"1MiB\"");

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

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written<T>(PhantomData<T>);
        impl<T: FromStr<Err = String>> Visitor<'_> for Written<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string with a unit, or \"off\"")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Switch<T>, E> {
                if value == "off" { Ok(Switch::Off) } else { value.parse().map(Switch::On).map_err(E::custom) }
            }
        }
        deserializer.deserialize_str(Written(PhantomData))
    }
}

impl<T: fmt::Display> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On(value) => serializer.collect_str(value),
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
                T::deserialize(de::value::StrDeserializer::new(value)).map(|one| Many(vec![one]))
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
