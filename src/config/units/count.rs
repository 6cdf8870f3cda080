//! Numbers of things: connections, headers, tries.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of things, 1 to `MAX`. None of them is never written as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count<const MAX: u32 = { u32::MAX }>(NonZeroU32);

impl<const MAX: u32> Count<MAX> {
    /// So many, or the nearest number allowed.
    pub const fn of(number: u32) -> Self {
        match NonZeroU32::new(if number < MAX { number } else { MAX }) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// As a plain number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl<const MAX: u32> fmt::Display for Count<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, const MAX: u32> Deserialize<'de> for Count<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MAX: u32>;
        impl<const MAX: u32> Visitor<'_> for Number<MAX> {
            type Value = Count<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, 1 or more")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Count<MAX>, E> {
                match u32::try_from(value).map(NonZeroU32::new) {
                    Ok(Some(number)) if number.get() <= MAX => Ok(Count(number)),
                    Ok(None) => Err(E::custom("0 is none at all; the least is 1")),
                    _ => Err(E::custom(format_args!("{value} is more than {MAX}"))),
                }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Count<MAX>, E> {
                u64::try_from(value)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
                    .and_then(|value| self.visit_u64(value))
            }
        }
        deserializer.deserialize_u64(Number::<MAX>)
    }
}

impl<const MAX: u32> Serialize for Count<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.get())
    }
}

impl<const MAX: u32> JsonSchema for Count<MAX> {
    fn schema_name() -> Cow<'static, str> {
        if MAX == u32::MAX { "Count".into() } else { format!("CountTo{MAX}").into() }
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;

    use super::*;

    #[test]
    fn a_count_is_one_or_more() {
        for (written, read) in [(1i64, Some(1)), (4_294_967_295, Some(u32::MAX)), (0, None), (-1, None), (4_294_967_296, None)] {
            let count = Count::<{ u32::MAX }>::deserialize(IntoDeserializer::<Error>::into_deserializer(written));
            assert_eq!(count.ok().map(Count::get), read, "{written}");
        }
    }

    #[test]
    fn a_count_can_have_a_bound_of_its_own() {
        let count = |number: i64| Count::<10>::deserialize(IntoDeserializer::<Error>::into_deserializer(number));
        assert_eq!(count(10).unwrap(), Count::of(10));
        assert_eq!(count(11).unwrap_err().to_string(), "11 is more than 10");
        assert_eq!(Count::<10>::of(11), Count::of(10));
    }
}
