//! Who is believed about where clients are: a listener's `trusted_proxies` and `proxy_protocol`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::{HeaderName, header};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::{Cidr, Many, written_as_string};

/// Proxies that say for whom they speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrustedProxies {
    /// Their networks and addresses.
    #[serde(skip_serializing_if = "is_empty")]
    pub cidrs: Many<Cidr>,
    /// Files of networks.
    #[serde(skip_serializing_if = "is_empty")]
    pub files: Many<PathBuf>,
    /// The one header they are believed by.
    pub header: ClientHeader,
}

impl TrustedProxies {
    fn of(cidrs: Vec<Cidr>) -> Self {
        Self { cidrs: Many(cidrs), files: Many::default(), header: ClientHeader::default() }
    }

    /// Tells what is wrong with one at this path.
    pub(super) fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.cidrs.is_empty() && self.files.is_empty() {
            faults.push(
                Fault::new(at.clone(), "`trusted_proxies` names nobody").hint("write the addresses of your proxies, or leave it out"),
            );
        }
    }
}

fn is_empty<T>(list: &Many<T>) -> bool {
    list.0.is_empty()
}

/// The table of trusted proxies.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrustedProxiesTable")]
struct Table {
    /// Their networks and addresses.
    #[serde(default)]
    cidrs: Many<Cidr>,
    /// Files of networks, as a CDN publishes them: one a line, `#` begins a comment.
    #[serde(default)]
    files: Many<PathBuf>,
    /// The one header they are believed by: `"x-forwarded-for"`, `"forwarded"`, or one that holds the client's address and nothing else,
    /// as `"cf-connecting-ip"`. Name one that every proxy sets itself, whatever the client has sent.
    #[serde(default)]
    header: ClientHeader,
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = TrustedProxies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("networks as [\"10.0.0.0/8\"], or { cidrs, files, header }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<TrustedProxies, E> {
                value.parse().map(|cidr| TrustedProxies::of(vec![cidr])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TrustedProxies, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(TrustedProxies::of)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TrustedProxies, A::Error> {
                let Table { cidrs, files, header } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(TrustedProxies { cidrs, files, header })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for TrustedProxies {
    fn schema_name() -> Cow<'static, str> {
        "TrustedProxies".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Many<Cidr>>(), generator.subschema_for::<Table>()] })
    }
}

/// The header in which proxies say for whom they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHeader(HeaderName);

impl ClientHeader {
    /// Its name.
    pub fn name(&self) -> &HeaderName {
        &self.0
    }
}

impl Default for ClientHeader {
    fn default() -> Self {
        Self(HeaderName::from_static("x-forwarded-for"))
    }
}

/// Headers that say something else of every handshake.
const OTHERS: [HeaderName; 6] = [header::HOST, header::ORIGIN, header::COOKIE, header::AUTHORIZATION, header::CONNECTION, header::UPGRADE];

impl FromStr for ClientHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write \"x-forwarded-for\", \"forwarded\" or another, as \"cf-connecting-ip\"";
        let name: HeaderName = text.parse().map_err(|_| format!("{text:?} is no name of a header; {example}"))?;
        match OTHERS.contains(&name) || name.as_str().starts_with("sec-") {
            true => Err(format!("{text:?} is not where proxies say who the client is; {example}")),
            false => Ok(Self(name)),
        }
    }
}

impl fmt::Display for ClientHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

written_as_string!(ClientHeader, "ClientHeader", "a header: \"x-forwarded-for\", \"forwarded\", \"cf-connecting-ip\"");

/// Balancers that begin with a PROXY header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Networks and addresses of the balancers: who connects from there has to begin with a header, and nobody else may.
    pub from: Many<Cidr>,
}

impl ProxyProtocol {
    /// Tells what is wrong with one at this path.
    pub(super) fn check(&self, at: &KeyPath, faults: &mut Faults) {
        if self.from.is_empty() {
            let fault = Fault::new(at.key("from"), "`from` names nobody");
            faults.push(fault.hint("write the addresses of your balancers, or leave `proxy_protocol` out"));
        }
    }
}

/// Whether servers are told the client's address before the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// They are not.
    #[default]
    Off,
    /// In a line of text.
    V1,
    /// In bytes.
    V2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_one_network_a_list_or_a_table() {
        #[derive(Deserialize)]
        struct Document {
            it: TrustedProxies,
        }
        let read = |text: &str| toml::from_str::<Document>(&format!("it = {text}")).map(|document| document.it);
        let list = read("[\"10.0.0.0/8\"]").unwrap();
        assert_eq!(list, read("\"10.0.0.0/8\"").unwrap());
        assert_eq!(list, read("{ cidrs = \"10.0.0.0/8\", header = \"X-Forwarded-For\" }").unwrap());
        for written in ["{ files = [\"a\", \"b\"], header = \"forwarded\" }", "[\"10.0.0.0/8\", \"::1\"]"] {
            let proxies = read(written).unwrap();
            assert_eq!(read(&toml::Value::try_from(&proxies).unwrap().to_string()).unwrap(), proxies);
        }
        assert!(read("{ cidr = \"10.0.0.0/8\" }").unwrap_err().message().contains("unknown field `cidr`"));
    }
}
