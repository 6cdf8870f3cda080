//! `[test.NAME]`: a request, and what is to come of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Table;
use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::config::reference::{Name, PartRef};
use crate::config::units::{Many, written_as_string};

/// `[test.NAME]`: a request, and what is to come of it. `wsgate check` tries it, a start or a reload with a test that fails is refused,
/// and no socket is opened for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestTable {
    /// Who connects, and what for.
    #[serde(default)]
    pub connect: Connect,
    /// Text messages that are sent once it is open, or as the first message where a stage reads that: one or a list.
    #[serde(default)]
    pub message: Many<String>,
    /// What comes of it: `"open"`, for a probe `"answered"`, the id of an outcome as `"ip_denied"`, or a table that says more.
    pub expect: Expect,
}

/// Who connects, and what for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connect {
    /// The listener, by name. Left out, the one that has a route for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<Name>,
    /// The host asked for, with a port or without. Left out, the listener's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path, with a query or without.
    pub path: String,
    /// The client's address; where it is one of a trusted proxy, that one's, and the client's stands in its header.
    pub ip: Ip,
    /// The page that asks, as browsers say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Further headers; one of the handshake's own takes that one's place, and with an empty value only takes it out.
    pub headers: BTreeMap<String, Many<String>>,
    /// Claims that are judged as if a token had proven them: all but its signature. `exp` is in an hour where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Map<String, Value>>,
    /// A file in PEM with the certificate that is shown to a listener with TLS that asks for one; as if its key were there too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The stage the token is for, where more than one on the way reads tokens. Left out, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<PartRef>,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            listener: None,
            host: None,
            path: "/".to_owned(),
            ip: Ip(Ipv4Addr::LOCALHOST.into()),
            origin: None,
            headers: BTreeMap::new(),
            claims: None,
            certificate: None,
            stage: None,
        }
    }
}

/// What is to come of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expect {
    /// `"open"`, `"answered"`, or the id of an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The route that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Name>,
    /// What refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// The table of an [`Expect`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpectTable {
    /// `"open"`, `"answered"`, or the id of an outcome.
    outcome: Option<String>,
    /// The route that takes it, by name.
    route: Option<Name>,
    /// What refuses it, as far as it is to be known: `"firewall.office"`, or `"firewall.office.deny[2]"`.
    rule: Option<Rule>,
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Expect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"open\", the id of an outcome, or { outcome, route, rule }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Expect, E> {
                Ok(Expect { outcome: Some(value.to_owned()), ..Expect::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expect, A::Error> {
                let ExpectTable { outcome, route, rule } = ExpectTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Expect { outcome, route, rule })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<ExpectTable>()] })
    }
}

impl Table for TestTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        let connect = at.key("connect");
        if !self.connect.path.starts_with('/') {
            let fault = Fault::new(connect.key("path"), format!("the path {:?} does not begin with a slash", self.connect.path));
            faults.push(fault);
        }
        let one_line = |at: KeyPath, text: &str, faults: &mut Faults| {
            if text.contains(char::is_control) {
                faults.push(Fault::new(at, "a line of a request has no line break in it, and no other control character"));
            }
        };
        one_line(connect.key("path"), &self.connect.path, faults);
        for (key, text) in [("host", &self.connect.host), ("origin", &self.connect.origin)] {
            one_line(connect.key(key), text.as_deref().unwrap_or_default(), faults);
        }
        for (name, values) in &self.connect.headers {
            let at = connect.key("headers").key(name);
            if name.parse::<http::HeaderName>().is_err() {
                faults.push(Fault::new(Place::Key(at.clone()), format!("{name:?} is not the name of a header")));
            }
            values.iter().enumerate().for_each(|(index, value)| one_line(at.index(index), value, faults));
        }
        if self.expect == Expect::default() {
            faults.push(Fault::new(at.key("expect"), "nothing is expected").hint("write \"open\", or the id of an outcome"));
        }
    }
}

/// A client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip(pub IpAddr);

impl FromStr for Ip {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is not an address; write it as \"192.0.2.7\" or \"2001:db8::1\""))
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_string!(Ip, "Ip", "an address: \"192.0.2.7\"");

/// What refuses: a stage, a key of it, or an element of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    written: String,
    path: KeyPath,
}

impl Rule {
    /// Its place in the file.
    pub fn path(&self) -> &KeyPath {
        &self.path
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rule; write it as \"firewall.office\" or \"firewall.office.deny[2]\"");
        let (keys, index) = match text.strip_suffix(']').map(|text| text.rsplit_once('[')) {
            Some(Some((keys, index))) => (keys, Some(index.parse().map_err(|_| wrong())?)),
            Some(None) => return Err(wrong()),
            None => (text, None),
        };
        if keys.split('.').any(str::is_empty) || keys.contains(['[', ']']) {
            return Err(wrong());
        }
        let path = keys.split('.').fold(KeyPath::default(), |path, key| path.key(key));
        Ok(Self { written: text.to_owned(), path: index.map_or_else(|| path.clone(), |index| path.index(index)) })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

written_as_string!(Rule, "Rule", "a rule: \"firewall.office.deny[2]\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_path_into_the_file() {
        let office = KeyPath::table("firewall", "office");
        for (text, path) in [
            ("firewall.office", office.clone()),
            ("firewall.office.deny", office.key("deny")),
            ("firewall.office.deny[2]", office.key("deny").index(2)),
            ("jwt.users.first_message.max", KeyPath::table("jwt", "users").key("first_message").key("max")),
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().path(), &path);
        }
        for text in ["", "firewall.", "firewall.office.deny[", "firewall.office.deny[]", "firewall.office.deny[x]", "a[1].b", "deny]"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_is_somebody_on_this_machine_who_asks_for_the_root() {
        let table: TestTable = toml::from_str("expect = \"open\"").unwrap();
        assert_eq!((table.connect.path.as_str(), table.connect.ip.to_string().as_str()), ("/", "127.0.0.1"));
        assert_eq!(table.expect.outcome.as_deref(), Some("open"));
        let table: TestTable = toml::from_str("expect = { route = \"chat\", rule = \"firewall.office.deny[2]\" }").unwrap();
        assert_eq!((table.expect.outcome, table.expect.rule.unwrap().to_string()), (None, "firewall.office.deny[2]".to_owned()));
    }
}
