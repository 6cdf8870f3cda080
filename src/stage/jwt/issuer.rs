//! Issuers and key sets as the file writes them.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::{HttpUrl, Many};

/// Where a key set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetPlace {
    /// It is fetched from there.
    Url(HttpUrl),
    /// It is read from there.
    File(PathBuf),
}

/// Who issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens call it.
    pub iss: String,
    /// Its keys, where it has a set of its own.
    pub jwks: Option<KeySetPlace>,
    /// Whom its tokens are for, where others than the table says.
    pub audience: Many<String>,
}

impl Issuer {
    fn of(iss: String) -> Self {
        Self { iss, jwks: None, audience: Many::default() }
    }
}

/// A key set that is in a file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeySetFile")]
struct InFile {
    /// Its file.
    file: PathBuf,
}

/// An issuer's table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IssuerTable")]
struct Written {
    /// What its tokens call it.
    iss: String,
    /// Its keys, where it has a set of its own: a URL, or `{ file }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<KeySetPlace>,
    /// Whom its tokens are for, where others than the table says.
    #[serde(default)]
    audience: Many<String>,
}

impl<'de> Deserialize<'de> for KeySetPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = KeySetPlace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key set: \"https://login.example.com/keys\" or { file = \"keys.json\" }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<KeySetPlace, E> {
                value.parse().map(KeySetPlace::Url).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySetPlace, A::Error> {
                InFile::deserialize(de::value::MapAccessDeserializer::new(map)).map(|InFile { file }| KeySetPlace::File(file))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for KeySetPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Url(url) => url.serialize(serializer),
            Self::File(file) => InFile { file: file.clone() }.serialize(serializer),
        }
    }
}

impl JsonSchema for KeySetPlace {
    fn schema_name() -> Cow<'static, str> {
        "KeySet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<HttpUrl>(), generator.subschema_for::<InFile>()] })
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Issuer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an issuer: \"https://login.example.com\" or { iss = \"https://login.example.com\", audience = \"chat\" }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Issuer, E> {
                Ok(Issuer::of(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Issuer, A::Error> {
                let Written { iss, jwks, audience } = Written::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Issuer { iss, jwks, audience })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Issuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { iss, jwks, audience } = self.clone();
        if *self == Self::of(iss.clone()) { iss.serialize(serializer) } else { Written { iss, jwks, audience }.serialize(serializer) }
    }
}

impl JsonSchema for Issuer {
    fn schema_name() -> Cow<'static, str> {
        "Issuer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<Written>()] })
    }
}
