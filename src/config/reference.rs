//! How tables refer to each other: `"public"`, `"firewall.office"`, `"errors"`, `"ws://127.0.0.1:9001"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::structure::{as_name, is_name};
use super::units::{ServerUrl, written_as_string};

/// The bare name of a table, where the key is itself named after the kind: `listener = "public"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            _ if is_name(text) => Ok(Self(text.to_owned())),
            Some((kind, name)) if is_name(kind) && is_name(name) => Err(format!("{text:?} is not a name; write the bare name, \"{name}\"")),
            _ => Err(format!("{text:?} is not a name; names are letters, digits, `-` and `_`, as in \"{}\"", as_name(text))),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stage, a shared pipeline or an endpoint: `"kind.name"`, or a bare `"kind"` with all its defaults.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartRef {
    /// The kind.
    pub kind: String,
    /// The name; none for a bare kind.
    pub name: Option<String>,
}

impl FromStr for PartRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('.').map_or((text, None), |(kind, name)| (kind, Some(name)));
        if is_name(kind) && name.is_none_or(is_name) {
            return Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) });
        }
        let bare = text.trim_matches(['[', ']', ' ']);
        Err(match bare != text && bare.parse::<Self>().is_ok() {
            true => format!("{text:?} is not a reference; write \"{bare}\""),
            false => format!("{:?} is not a reference; write \"kind.name\", after the table it means", super::bare(text)),
        })
    }
}

impl fmt::Display for PartRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}.{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// What answers behind a route: `"upstream.chat"`, `"authenticated"`, or the URL of one backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointRef {
    /// An upstream or another endpoint.
    Part(PartRef),
    /// An upstream of this one server, with every default.
    Url(ServerUrl),
}

impl FromStr for EndpointRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") { text.parse().map(Self::Url) } else { text.parse().map(Self::Part) }
    }
}

impl fmt::Display for EndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => part.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

written_as_string!(Name, "Name", "a name: \"public\"", r"^[A-Za-z0-9_-]+$");
written_as_string!(PartRef, "Reference", "a reference: \"firewall.office\"", r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?$");
written_as_string!(EndpointRef, "Endpoint", "an endpoint: \"upstream.chat\" or \"ws://127.0.0.1:9001\"");

/// An element of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageRef {
    /// A stage, or a pipeline whose stages stand here.
    One(PartRef),
    /// Any of these, each an authentication: a missing credential tries the next, a bad one refuses.
    AnyOf(Vec<PartRef>),
}

impl<'de> Deserialize<'de> for StageRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Element;
        impl<'de> Visitor<'de> for Element {
            type Value = StageRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a stage or a list of authentications: \"firewall.office\", [\"jwt.users\", \"api_key.bots\"]")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<StageRef, E> {
                value.parse().map(StageRef::One).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<StageRef, A::Error> {
                let list: Vec<PartRef> = Vec::deserialize(de::value::SeqAccessDeserializer::new(list))?;
                if list.is_empty() {
                    Err(de::Error::custom("any of nothing lets nobody in; name a stage in the inner list"))
                } else {
                    Ok(StageRef::AnyOf(list))
                }
            }
        }
        deserializer.deserialize_any(Element)
    }
}

impl Serialize for StageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(part) => part.serialize(serializer),
            Self::AnyOf(parts) => parts.serialize(serializer),
        }
    }
}

impl JsonSchema for StageRef {
    fn schema_name() -> Cow<'static, str> {
        "Stage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<PartRef>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_prints_as_it_is_written() {
        for written in ["firewall.office", "errors", "jwt.users-2", "ws://127.0.0.1:9001"] {
            assert_eq!(written.parse::<EndpointRef>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_reference_says_what_to_write() {
        for (written, hint) in [
            ("[firewall.office]", "write \"firewall.office\""),
            ("route.api.v2", "write \"kind.name\", after the table it means"),
            ("", "write \"kind.name\", after the table it means"),
            ("firewall.", "write \"kind.name\", after the table it means"),
        ] {
            assert_eq!(written.parse::<PartRef>().unwrap_err().split("; ").nth(1), Some(hint), "{written}");
        }
    }

    #[test]
    fn a_key_named_after_a_kind_takes_the_bare_name() {
        assert_eq!("public".parse::<Name>().unwrap().as_str(), "public");
        assert!("listener.public".parse::<Name>().unwrap_err().ends_with("write the bare name, \"public\""));
        assert!("my listener".parse::<Name>().unwrap_err().ends_with("as in \"my-listener\""));
    }
}
