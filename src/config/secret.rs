//! Secrets: where they come from, and a value that never prints.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret's value. Its `Debug` and its serialised form are a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What is shown in place of a secret.
pub(crate) const MASK: &str = "********";

impl Secret {
    /// Takes a value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for keys, never for messages.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether somebody has shown this very secret. How long it takes tells its length and nothing more.
    pub fn matches(&self, shown: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differs = own.iter().zip(shown).fold(0, |differs, (own, shown)| std::hint::black_box(differs | (own ^ shown)));
        own.len() == shown.len() && differs == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Where a secret comes from, as the file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the file itself: allowed, with a warning.
    Literal(Secret),
    /// `{ env = "NAME", default = "..." }`.
    Env {
        /// The variable.
        name: String,
        /// For local trials: a fault where any listener of its routes is not loopback.
        default: Option<Secret>,
    },
    /// `{ file = "path" }`; one trailing newline is trimmed.
    File {
        /// The file, relative to the config's folder.
        path: PathBuf,
    },
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Source;
        impl<'de> Visitor<'de> for Source {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: { env = \"NAME\" }, { file = \"PATH\" } or a string")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Literal(Secret::new(value)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    env: Option<String>,
                    file: Option<PathBuf>,
                    default: Option<String>,
                }
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match (table.env, table.file) {
                    (Some(name), None) => Ok(SecretSource::Env { name, default: table.default.map(Secret::new) }),
                    (None, Some(_)) if table.default.is_some() => Err(de::Error::custom("`default` stands beside `env` only")),
                    (None, Some(path)) => Ok(SecretSource::File { path }),
                    (Some(_), Some(_)) => Err(de::Error::custom("a secret comes from `env` or from `file`, not both")),
                    (None, None) => Err(de::Error::custom("a secret needs `env` or `file`")),
                }
            }
        }
        deserializer.deserialize_any(Source)
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Literal(_) => serializer.serialize_str(MASK),
            Self::Env { name, default } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("env", name)?;
                if default.is_some() {
                    map.serialize_entry("default", MASK)?;
                }
                map.end()
            }
            Self::File { path } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("file", path)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a secret: { env = \"NAME\" }, { file = \"PATH\" } or, with a warning, itself",
            "oneOf": [
                { "description": "The secret itself, with a warning.", "type": "string" },
                { "description": "The value of a variable.", "type": "object", "additionalProperties": false, "required": ["env"],
                  "properties": {
                      "env": { "description": "The variable of the environment.", "type": "string" },
                      "default": { "description": "For trials, where the variable is not set: a fault behind a listener that others reach.",
                                   "type": "string" } } },
                { "description": "What a file holds.", "type": "object", "additionalProperties": false, "required": ["file"],
                  "properties": { "file": { "description": "The file, relative to the config's folder; one newline at its end is taken off.",
                                            "type": "string" } } },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Table {
        secret: SecretSource,
    }

    fn read(written: &str) -> Result<SecretSource, String> {
        toml::from_str::<Table>(&format!("secret = {written}")).map(|table| table.secret).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let env = |default: Option<&str>| SecretSource::Env { name: "KEY".to_owned(), default: default.map(Secret::new) };
        for (written, source) in [
            ("\"hunter2\"", SecretSource::Literal(Secret::new("hunter2"))),
            ("{ env = \"KEY\" }", env(None)),
            ("{ env = \"KEY\", default = \"hunter2\" }", env(Some("hunter2"))),
            ("{ file = \"key\" }", SecretSource::File { path: "key".into() }),
        ] {
            assert_eq!(read(written), Ok(source));
        }
        for written in ["{}", "{ env = \"A\", file = \"b\" }", "{ file = \"b\", default = \"c\" }", "{ environment = \"A\" }", "5"] {
            assert!(read(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_secret_is_matched_by_itself_and_by_nothing_else() {
        let secret = Secret::new("hunter2");
        for (shown, is_it) in
            [("hunter2", true), ("hunter", false), ("hunter22", false), ("Hunter2", false), ("hunter3", false), ("", false)]
        {
            assert_eq!(secret.matches(shown.as_bytes()), is_it, "{shown}");
        }
    }

    #[test]
    fn a_secret_never_prints() {
        for written in ["\"hunter2\"", "{ env = \"KEY\", default = \"hunter2\" }"] {
            let secret = read(written).unwrap();
            assert!(!format!("{secret:?}").contains("hunter2"));
            assert!(!toml::to_string(&Table { secret }).unwrap().contains("hunter2"));
        }
    }
}
