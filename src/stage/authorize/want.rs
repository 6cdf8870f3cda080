//! What a claim has to be: a text, which may be filled in with segments of the route, a whole number, or `true` or `false`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::config::nearest::nearest;
use crate::stage::Client;

/// What a claim has to be. A value of another type is never it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// This text.
    Text(Text),
    /// This number.
    Number(i64),
    /// This.
    Is(bool),
}

/// A text, with `{path.NAME}` and `{host.NAME}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    written: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(Box<str>),
    /// A named segment of the route's host or path.
    Segment(Box<str>),
}

impl Want {
    /// Whether this value is what is wanted of this client. A list is where one of its elements is.
    pub(super) fn is_met(&self, value: &Value, client: &Client) -> bool {
        match (self, value) {
            (_, Value::Array(list)) => list.iter().any(|one| !one.is_array() && self.is_met(one, client)),
            (Self::Text(text), Value::String(value)) => text.fill(client).is_some_and(|wanted| *wanted == **value),
            // A segment of a path is text, and the id it stands for may be none.
            (Self::Text(text), Value::Number(value)) if text.segments().next().is_some() => {
                value.as_i64().zip(text.fill(client)).is_some_and(|(value, wanted)| *wanted == *value.to_string())
            }
            (Self::Number(wanted), Value::Number(value)) => value.as_i64() == Some(*wanted),
            (Self::Is(wanted), Value::Bool(value)) => wanted == value,
            _ => false,
        }
    }

    /// The segments it reads.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        let text = if let Self::Text(text) = self { Some(text) } else { None };
        text.into_iter().flat_map(Text::segments)
    }
}

impl Text {
    /// The text for this client; none where it has no such segment.
    fn fill(&self, client: &Client) -> Option<Cow<'_, str>> {
        if let [Part::Plain(text)] = &*self.parts {
            return Some(Cow::Borrowed(text));
        }
        let mut filled = String::new();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Plain(text) => text,
                Part::Segment(name) => &client.params.iter().find(|(segment, _)| **segment == **name)?.1,
            });
        }
        Some(Cow::Owned(filled))
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Segment(name) = part { Some(&**name) } else { None })
    }
}

impl FromStr for Text {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let plain = |text: &str| match text.contains('}') {
            true => Err(format!("there is a `}}` without its `{{` in {written:?}; there are {{path.NAME}} and {{host.NAME}}")),
            false => Ok(Part::Plain(text.into())),
        };
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('{') {
            let never = || format!("a `{{` of {written:?} is never closed; there are {{path.NAME}} and {{host.NAME}}");
            let (word, behind) = after.split_once('}').ok_or_else(never)?;
            parts.push(plain(before)?);
            parts.push(segment(word)?);
            rest = behind;
        }
        parts.push(plain(rest)?);
        if parts.len() > 1 {
            parts.retain(|part| !matches!(part, Part::Plain(text) if text.is_empty()));
        }
        Ok(Self { written: written.into(), parts: parts.into() })
    }
}

fn segment(word: &str) -> Result<Part, String> {
    match word.split_once('.') {
        Some(("path" | "host", name)) if !name.is_empty() => Ok(Part::Segment(name.into())),
        Some((head, name)) if !name.is_empty() => match nearest(head, ["path", "host"]) {
            Some(near) => Err(format!("`{{{word}}}` is nothing that can be filled in; did you mean {{{near}.{name}}}?")),
            None => Err(format!("`{{{word}}}` is nothing that can be filled in; there are {{path.NAME}} and {{host.NAME}}")),
        },
        _ => Err(format!(
            "`{{{word}}}` is nothing that can be filled in; did you mean {{path.{}}}?",
            if word.is_empty() { "NAME" } else { word }
        )),
    }
}

/// As it stands in a sentence.
impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", text.written),
            Self::Number(number) => number.fmt(f),
            Self::Is(is) => is.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Want {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Want;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Want, E> {
                text.parse().map(Want::Text).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Want, E> {
                Ok(Want::Number(number))
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Want, E> {
                Ok(Want::Is(is))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Want {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(&text.written),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Is(is) => serializer.serialize_bool(*is),
        }
    }
}

impl JsonSchema for Want {
    fn schema_name() -> Cow<'static, str> {
        "WantedClaim".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "description": "a text with {path.NAME} and {host.NAME}" },
            { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX },
            { "type": "boolean" },
        ] })
    }
}
