//! Rates: how many things, or bytes, in a second, minute or hour, and how many of them at once.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Count, Size};

/// Things that happen: `"20/s"`, `"600/m"`, `"1000/h"`, or `{ rate = "20/s", burst = 50 }`.
pub type Rate = RateOf<Count>;

/// Bytes that pass: `"64KiB/s"`, `"10MiB/m"`, or `{ rate = "64KiB/s", burst = "1MiB" }`.
pub type ByteRate = RateOf<Size>;

/// So much in a second, minute or hour, of which `burst` may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateOf<A> {
    frequency: Frequency<A>,
    /// One second's worth where it is left out.
    burst: Option<A>,
}

/// How long a burst may take to come back: what is counted in nanoseconds stays far from the end of a `u64`.
const MAX_REFILL: Duration = Duration::from_hours(366 * 24);

const UNITS: &[(&str, Duration)] = &[("s", Duration::from_secs(1)), ("m", Duration::from_mins(1)), ("h", Duration::from_hours(1))];

/// What a rate counts.
pub trait Amount: Copy + fmt::Display + DeserializeOwned + Serialize + JsonSchema {
    /// The name of the rate's schema.
    const NAME: &'static str;
    /// What the rate is, and how it looks.
    const EXPECTING: &'static str;
    /// The pattern of its schema.
    const PATTERN: &'static str;
    /// How it is written, for a hint.
    const HINT: &'static str;
    /// The most there may be in a second.
    const MAX_PER_SECOND: u64;

    /// Reads the amount of a rate, the part before the `/`.
    ///
    /// # Errors
    /// What is wrong with it, where it is at least of the right form.
    fn read(text: &str) -> Option<Result<Self, String>>;

    /// As a plain number.
    fn number(self) -> u64;
}

impl Amount for Count {
    const NAME: &'static str = "Rate";
    const EXPECTING: &'static str = "a rate: \"20/s\", \"600/m\", \"1000/h\", or { rate, burst }";
    const PATTERN: &'static str = r"^\s*[0-9]*[1-9][0-9]*\s*/\s*[smh]\s*$";
    const HINT: &'static str = "write it as \"20/s\", \"600/m\" or \"1000/h\"";
    // Its interval in whole nanoseconds is then right to a tenth of a percent.
    const MAX_PER_SECOND: u64 = 1_000_000;

    fn read(text: &str) -> Option<Result<Self, String>> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = text.parse::<u32>().map_err(|_| format!("{text} is more than {}", u32::MAX));
        Some(number.and_then(|number| match number {
            0 => Err("a rate of 0 lets nothing pass; leave the key out to limit nothing".to_owned()),
            number => Ok(Self::of(number)),
        }))
    }

    fn number(self) -> u64 {
        self.get().into()
    }
}

impl Amount for Size {
    const NAME: &'static str = "ByteRate";
    const EXPECTING: &'static str = "a rate of bytes: \"64KiB/s\", \"10MiB/m\", or { rate, burst }";
    const PATTERN: &'static str = r"^\s*[0-9]*[1-9][0-9]*\s*(B|KiB|MiB|GiB)\s*/\s*[smh]\s*$";
    const HINT: &'static str = "write it as \"64KiB/s\" or \"10MiB/m\"";
    const MAX_PER_SECOND: u64 = 1 << 40;

    fn read(text: &str) -> Option<Result<Self, String>> {
        text.ends_with('B').then(|| text.parse())
    }

    fn number(self) -> u64 {
        self.get()
    }
}

/// So much in a second, minute or hour, as evenly as can be: `"20/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency<A> {
    amount: A,
    unit: &'static str,
    period: Duration,
}

impl<A: Amount> Frequency<A> {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate{}; {}", if A::NAME == "ByteRate" { " of bytes" } else { "" }, A::HINT);
        let (amount, unit) = text.split_once('/').ok_or_else(wrong)?;
        let &(unit, period) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        let amount = A::read(amount.trim()).ok_or_else(wrong)??;
        if amount.number() / period.as_secs() > A::MAX_PER_SECOND {
            return Err(format!("{text:?} is more than a limit can be; leave the key out to limit nothing"));
        }
        Ok(Self { amount, unit, period })
    }

    fn parts(&self) -> (u64, Duration) {
        (self.amount.number().max(1), self.period)
    }

    /// How long it takes until so much more may pass, to the nanosecond above.
    pub fn cost(&self, amount: u64) -> Duration {
        let (per, period) = self.parts();
        let nanos = (u128::from(amount) * period.as_nanos()).div_ceil(u128::from(per));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Frequency<Count> {
    /// So many in a second.
    pub const fn per_second(number: u32) -> Self {
        Self { amount: Count::of(number), unit: "s", period: Duration::from_secs(1) }
    }
}

impl<A: Amount> Serialize for Frequency<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<A: Amount> fmt::Display for Frequency<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.unit)
    }
}

impl<A: Amount> RateOf<A> {
    fn new(frequency: Frequency<A>, burst: Option<A>) -> Result<Self, String> {
        let rate = Self { frequency, burst };
        if rate.cost(rate.burst()) > MAX_REFILL {
            return Err(format!("a burst of {} takes over a year to come back at {frequency}; lower it", rate.burst()));
        }
        Ok(rate)
    }

    /// How much may come at once, 1 or more.
    pub fn burst(&self) -> u64 {
        let second = || self.frequency.amount.number() / self.frequency.period.as_secs();
        self.burst.map_or_else(second, Amount::number).max(1)
    }

    /// How much comes back in which time.
    pub fn frequency(&self) -> (u64, Duration) {
        self.frequency.parts()
    }

    /// How long it takes until so much more may pass, to the nanosecond above.
    pub fn cost(&self, amount: u64) -> Duration {
        self.frequency.cost(amount)
    }
}

impl<A: Amount> fmt::Display for RateOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frequency.fmt(f)
    }
}

/// A rate's table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "A: Amount")]
#[schemars(bound = "A: Amount", rename = "RateTableOf{A}")]
struct Table<A> {
    /// How much passes in a second, minute or hour.
    rate: Frequency<A>,
    /// How much may come at once; one second's worth where it is left out.
    burst: Option<A>,
}

impl<'de, A: Amount> Deserialize<'de> for Frequency<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written<A>(PhantomData<A>);
        impl<A: Amount> Visitor<'_> for Written<A> {
            type Value = Frequency<A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A::EXPECTING.trim_end_matches(", or { rate, burst }"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Frequency<A>, E> {
                Frequency::read(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Written(PhantomData))
    }
}

impl<'de, A: Amount> Deserialize<'de> for RateOf<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written<A>(PhantomData<A>);
        impl<'de, A: Amount> Visitor<'de> for Written<A> {
            type Value = RateOf<A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A::EXPECTING)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RateOf<A>, E> {
                Frequency::read(text).and_then(|frequency| RateOf::new(frequency, None)).map_err(E::custom)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RateOf<A>, M::Error> {
                let Table { rate, burst } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                RateOf::new(rate, burst).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Written(PhantomData))
    }
}

impl<A: Amount> Serialize for RateOf<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let Some(burst) = self.burst else { return serializer.collect_str(&self.frequency) };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("rate", &self.frequency.to_string())?;
        map.serialize_entry("burst", &burst)?;
        map.end()
    }
}

impl<A: Amount> JsonSchema for Frequency<A> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Plain{}", A::NAME).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": A::PATTERN })
    }
}

impl<A: Amount> JsonSchema for RateOf<A> {
    fn schema_name() -> Cow<'static, str> {
        A::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let written = generator.subschema_for::<Frequency<A>>();
        json_schema!({ "description": A::EXPECTING, "anyOf": [written, generator.subschema_for::<Table<A>>()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<A: Amount>(text: &str) -> Result<RateOf<A>, String> {
        #[derive(Deserialize)]
        #[serde(bound = "A: Amount")]
        struct Document<A> {
            rate: RateOf<A>,
        }
        toml::from_str::<Document<A>>(&format!("rate = {text}")).map(|document| document.rate).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_rate_has_a_burst_of_one_second_s_worth_unless_it_says_otherwise() {
        for (written, burst, interval) in [
            ("\"20/s\"", 20, Duration::from_millis(50)),
            ("\"600/m\"", 10, Duration::from_millis(100)),
            ("\"1000/h\"", 1, Duration::from_millis(3600)),
            ("{ rate = \"20/s\", burst = 50 }", 50, Duration::from_millis(50)),
            ("{ rate = \"1 / m\" }", 1, Duration::from_mins(1)),
        ] {
            let rate = read::<Count>(written).unwrap();
            assert_eq!((rate.burst(), rate.cost(1)), (burst, interval), "{written}");
        }
        let rate = read::<Size>("\"64KiB/s\"").unwrap();
        assert_eq!((rate.burst(), rate.cost(1 << 20)), (64 << 10, Duration::from_secs(16)));
        let rate = read::<Size>("{ rate = \"6MiB/m\", burst = \"1MiB\" }").unwrap();
        assert_eq!((rate.burst(), rate.cost(6 << 20)), (1 << 20, Duration::from_mins(1)));
    }

    #[test]
    fn a_rate_prints_as_it_is_read() {
        for written in ["\"20/s\"", "{ rate = \"600/m\", burst = 50 }"] {
            let rate = read::<Count>(written).unwrap();
            assert_eq!(read::<Count>(&toml::Value::try_from(rate).unwrap().to_string()).unwrap(), rate);
        }
        let rate = read::<Size>("{ rate = \"64KiB/s\", burst = \"2MiB\" }").unwrap();
        assert_eq!(read::<Size>(&toml::Value::try_from(rate).unwrap().to_string()).unwrap(), rate);
        assert_eq!(rate.to_string(), "64KiB/s");
    }

    #[test]
    fn what_is_no_rate_says_how_one_is_written() {
        for (written, said) in [
            ("\"20\"", "\"20\" is not a rate; write it as"),
            ("\"20/d\"", "is not a rate; write it as"),
            ("\"-1/s\"", "is not a rate; write it as"),
            ("\"64KiB/s\"", "is not a rate; write it as"),
            ("\"0/s\"", "a rate of 0 lets nothing pass; leave"),
            ("\"4294967296/h\"", "is more than 4294967295"),
            ("\"2000000/s\"", "more than a limit can be"),
            ("{ rate = \"1/h\", burst = 10000 }", "takes over a year"),
            ("{ rate = \"1/h\", burst = 0 }", "0 is none at all"),
            ("{ rate = \"1/h\", bursts = 1 }", "unknown field `bursts`"),
            ("20", "expected a rate: \"20/s\""),
        ] {
            let why = read::<Count>(written).unwrap_err();
            assert!(why.contains(said), "{written}: {why}");
        }
        for (written, said) in [
            ("\"20/s\"", "\"20/s\" is not a rate of bytes; write it as \"64KiB/s\""),
            ("\"20MB/s\"", "\"20MB\" is not a size"),
            ("\"0B/s\"", "no size at all"),
            ("\"2048GiB/s\"", "more than a limit can be"),
        ] {
            let why = read::<Size>(written).unwrap_err();
            assert!(why.contains(said), "{written}: {why}");
        }
    }
}
