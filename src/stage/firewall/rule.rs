//! A firewall's rules as the file writes them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::units::{Cidr, Many};
use crate::stage::pipeline::Mode;

use crate::config::units::Moment;

/// One rule: a network, or a table that says more of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// The network or address.
    pub cidr: Cidr,
    /// Networks within it that the rule leaves out.
    #[serde(skip_serializing_if = "is_empty")]
    pub except: Many<Cidr>,
    /// When the rule is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// Whether it holds or is only reported; `deny` rules alone have a choice.
    #[serde(skip_serializing_if = "is_enforced")]
    pub mode: Mode,
    /// Why it is there, for whoever reads the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn is_empty<T>(list: &Many<T>) -> bool {
    list.0.is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_enforced(mode: &Mode) -> bool {
    *mode == Mode::Enforce
}

/// A rule's table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FirewallRuleTable")]
struct Table {
    /// The network or address.
    cidr: Cidr,
    /// Networks within it that the rule leaves out.
    #[serde(default)]
    except: Many<Cidr>,
    /// When the rule is over: a date and time with an offset, 2027-01-31T18:00:00Z.
    expires: Option<Moment>,
    /// Whether it holds; `deny` rules alone have a choice.
    #[serde(default)]
    mode: Mode,
    /// Why it is there, for whoever reads the log.
    note: Option<String>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Rule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network as \"203.0.113.0/24\", or { cidr, except, expires, mode, note }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Rule, E> {
                let cidr = value.parse().map_err(E::custom)?;
                Ok(Rule { cidr, except: Many::default(), expires: None, mode: Mode::Enforce, note: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let Table { cidr, except, expires, mode, note } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Rule { cidr, except, expires, mode, note })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "FirewallRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Cidr>(), generator.subschema_for::<Table>()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rule, String> {
        #[derive(Deserialize)]
        struct Document {
            rule: Rule,
        }
        toml::from_str::<Document>(&format!("rule = {text}")).map(|document| document.rule).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        for written in [
            r#"{ cidr = "10.0.0.0/8", except = "10.1.0.0/16", expires = 2027-01-31T18:00:00Z, mode = "report", note = "why" }"#,
            r#""10.0.0.7""#,
        ] {
            let rule = read(written).unwrap();
            let again = read(&toml::Value::try_from(&rule).unwrap().to_string()).unwrap();
            assert_eq!(again, rule);
        }
        assert!(read(r#"{ cidr = "10.0.0.0/8", exept = "10.1.0.0/16" }"#).unwrap_err().contains("unknown field `exept`"));
    }
}
