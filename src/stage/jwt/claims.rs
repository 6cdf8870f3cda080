//! A token's claims (RFC 7519 §4), read where they stand: of each token a few are looked at, and one text is kept.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::stage::client;

/// The claims of one token: of names that it says more than once the last counts, by their names.
pub(super) struct Claims<'a>(Vec<(Cow<'a, str>, Own<'a>)>);

/// What one claim is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claim<'c> {
    Text(&'c str),
    /// Anything but a text.
    Other(&'c Value),
}

/// The same as it is kept: most are texts, which stay where they stand.
enum Own<'a> {
    Text(Cow<'a, str>),
    Other(Value),
}

impl<'a> Claims<'a> {
    /// The claims that this JSON text holds.
    ///
    /// # Errors
    /// It is no object, or no JSON.
    pub(super) fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The claim of this name.
    pub(super) fn get(&self, name: &str) -> Option<Claim<'_>> {
        let index = self.0.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        self.0.get(index).map(|(_, own)| match own {
            Own::Text(text) => Claim::Text(text),
            Own::Other(value) => Claim::Other(value),
        })
    }

    /// The claim of this name, or at this dotted path: see [`client::claim`].
    pub(super) fn find(&self, path: &str) -> Option<Claim<'_>> {
        self.get(path).or_else(|| {
            let (first, rest) = path.split_once('.')?;
            let Claim::Other(Value::Object(inner)) = self.get(first)? else { return None };
            client::claim(inner, rest).map(Claim::from)
        })
    }

    /// Who it says has issued it, where that is a text.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Claim::text)
    }
}

impl<'c> Claim<'c> {
    pub(super) fn text(self) -> Option<&'c str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

impl<'c> From<&'c Value> for Claim<'c> {
    fn from(value: &'c Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            other => Self::Other(other),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Claims<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Reads<'a> {
            type Value = Claims<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::with_capacity(8);
                while let Some((Name(name), own)) = map.next_entry()? {
                    all.push((name, own));
                }
                // Equal names keep their order then, the last first.
                all.reverse();
                all.sort_by(|(one, _), (other, _)| one.cmp(other));
                all.dedup_by(|(one, _), (other, _)| one == other);
                Ok(Claims(all))
            }
        }

        deserializer.deserialize_map(Reads(PhantomData))
    }
}

/// A name, which stays where it stands unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Own<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Reads<'a> {
            type Value = Own<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claim")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Own::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Own::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Own::Other(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Own::Other(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Own::Other(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Own::Other(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Own::Other(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Value::deserialize(SeqAccessDeserializer::new(seq)).map(Own::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(map)).map(Own::Other)
            }
        }

        deserializer.deserialize_any(Reads(PhantomData))
    }
}

impl Serialize for Claims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, own)| (name, own)))
    }
}

impl Serialize for Own<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    /// What a claim is as the others read it.
    fn value(claim: Claim<'_>) -> Value {
        match claim {
            Claim::Text(text) => text.into(),
            Claim::Other(value) => value.clone(),
        }
    }

    /// Holds them against what `serde_json` makes of this text.
    fn hold(text: &str) {
        let expected = serde_json::from_str::<Map<String, Value>>(text);
        let read = Claims::read(text);
        assert_eq!(read.is_ok(), expected.is_ok(), "{text}");
        let (Ok(read), Ok(expected)) = (read, expected) else { return };
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&expected).unwrap(), "{text}");
        for (name, expected) in &expected {
            assert_eq!(&value(read.get(name).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn claims_are_read_as_serde_json_reads_them() {
        for text in [
            "{}",
            " {\n}\t",
            r#"{"sub":"alice","exp":1764547200,"aud":["chat","lobby"],"admin":false,"level":-1,"score":1.50,"none":null}"#,
            r#"{"a":1,"b":2,"a":"last","b":{"c":[1]},"b":3}"#,
            r#"{"\u0061":"A","a":"\n\ud83d\ude00","\ud83d\ude00":"é"}"#,
            r#"{"realm":{"roles":["a"],"realm":{"x":1}},"realm.roles":true}"#,
            r#"{"n":18446744073709551615,"m":-9223372036854775808,"o":18446744073709551616,"e":1e3}"#,
            r#"{"n":1e999}"#,
            r#"{"lone":"\ud800"}"#,
            r#"{"deep":{"lone":["\ud800"]}}"#,
            r#"{"a":1,}"#,
            r#"{"a":1} x"#,
            r#"{a:1}"#,
            r#"{1:1}"#,
            "{\"a\":\"\n\"}",
            "[]",
            "null",
            "\"text\"",
            "",
        ] {
            hold(text);
        }
    }

    #[test]
    fn an_object_is_an_object_whatever_its_keys_are_called() {
        // With features that any crate of the build may ask for, `serde_json` would read these as something else.
        for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
            let text = json!({ "in": { name: "1" }, name: "1" }).to_string();
            let claims = Claims::read(&text).unwrap();
            assert_eq!((claims.find("in").map(value), claims.find(name).map(value)), (Some(json!({ name: "1" })), Some(json!("1"))));
        }
    }

    #[test]
    fn a_path_leads_into_objects_and_a_name_with_dots_is_found_first() {
        let text = json!({ "realm": { "roles": "inner", "x.y": 1 }, "realm.roles": "whole", "text": "t" }).to_string();
        let claims = Claims::read(&text).unwrap();
        for (path, expected) in [
            ("realm.roles", Some(json!("whole"))),
            ("realm.x.y", Some(json!(1))),
            ("realm.none", None),
            ("text", Some(json!("t"))),
            ("text.more", None),
            ("none", None),
        ] {
            assert_eq!(claims.find(path).map(value), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_object_is_read_as_serde_json_reads_it(names in prop::collection::vec("[ab\"\\\\é.]{0,2}", 0..12), at in any::<usize>()) {
            let members: Vec<_> = names.iter().enumerate().map(|(index, name)| format!("{}:{}", json!(name), ["1", "\"x\"", "[{}]"][index % 3])).collect();
            let mut text = format!("{{{}}}", members.join(","));
            hold(&text);
            // Cut anywhere it is none.
            let cut = text.char_indices().map(|(index, _)| index).nth(at % text.chars().count()).unwrap_or(0);
            text.truncate(cut);
            hold(&text);
        }
    }
}
