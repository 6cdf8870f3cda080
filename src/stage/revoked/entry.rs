//! What is revoked, as the file writes it, and as lists of lines do.

use std::borrow::Cow;
use std::fmt;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::nearest::{listed, nearest};
use crate::config::units::{Cidr, Moment};

/// One thing revoked: its value, or a table that says more of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The id, name, key id, network or address.
    pub value: String,
    /// When it is over, as when the token would have expired by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Why it is there, for whoever reads the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An entry's table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RevocationTable")]
struct Table {
    /// The id, name, key id, network or address.
    value: String,
    /// When it is over, as when the token would have expired by itself: a date and time with an offset, 2027-01-31T18:00:00Z.
    until: Option<Moment>,
    /// Why it is there, for whoever reads the log.
    note: Option<String>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or { value, until, note }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Entry, E> {
                Ok(Entry { value: value.to_owned(), until: None, note: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let Table { value, until, note } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Entry { value, until, note })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Entry {
    fn schema_name() -> Cow<'static, str> {
        "Revocation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<Table>()] })
    }
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The token's id (RFC 7519 §4.1.7).
    Jti,
    /// The token's subject (RFC 7519 §4.1.2).
    Sub,
    /// The id of the key that signed it (RFC 7515 §4.1.4).
    Kid,
    /// The client's address.
    Ip,
}

/// What an entry revokes.
pub(super) enum What {
    Jti(Box<str>),
    Sub(Box<str>),
    Kid(Box<str>),
    Ip(IpNet),
}

impl What {
    /// # Errors
    /// Says why such a value revokes nothing.
    pub(super) fn read(kind: Kind, value: String) -> Result<Self, String> {
        if value.is_empty() {
            return Err("an empty value revokes nothing".to_owned());
        }
        Ok(match kind {
            Kind::Jti => Self::Jti(value.into()),
            Kind::Sub => Self::Sub(value.into()),
            Kind::Kid => Self::Kid(value.into()),
            Kind::Ip => Self::Ip(value.parse::<Cidr>()?.0),
        })
    }
}

pub(super) const KINDS: [(&str, Kind); 4] = [("jti", Kind::Jti), ("sub", Kind::Sub), ("kid", Kind::Kid), ("ip", Kind::Ip)];

/// Reads a line of a list: `KIND:VALUE`, `KIND:VALUE until MOMENT`, each with or without ` # NOTE` behind it. Lines of nothing but
/// blanks or a comment have no entry.
///
/// # Errors
/// Says what is wrong with it, and what would mend it.
pub(super) fn line(text: &str) -> Result<Option<(Kind, Entry)>, String> {
    let text = text.trim();
    // A `#` within a value belongs to it.
    let (written, note) = match text.strip_prefix('#') {
        Some(_) => return Ok(None),
        None => text.split_once(" #").map_or((text, None), |(written, note)| (written.trim_end(), Some(note.trim()))),
    };
    if written.is_empty() {
        return Ok(None);
    }
    let form = "write \"jti:VALUE\" or \"jti:VALUE until 2027-01-31T18:00:00Z\"";
    let mut words = written.split_ascii_whitespace();
    let (kind, value) = words.next().and_then(|word| word.split_once(':')).ok_or_else(|| format!("{written:?} has no kind; {form}"))?;
    let names = KINDS.map(|(name, _)| name);
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let hint = match nearest(kind, names) {
            Some(near) => format!("did you mean \"{near}:{value}\"?"),
            None => format!("there are {}", listed(kind, &names, '"')),
        };
        return Err(format!("{kind:?} is nothing that can be revoked; {hint}"));
    };
    let until = match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some("until"), Some(moment), None) => Some(moment.parse()?),
        _ => return Err(format!("behind the value of {written:?} stands what is no `until`; {form}")),
    };
    let note = note.filter(|note| !note.is_empty()).map(str::to_owned);
    Ok(Some((*kind, Entry { value: value.to_owned(), until, note })))
}

/// A line of a list: what it revokes, as `wsgate revoke` writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `jti`, `sub`, `kid` or `ip`.
    pub kind: &'static str,
    /// What it revokes, until when, and why.
    pub entry: Entry,
}

impl Line {
    /// Reads a line. One of nothing but blanks or a comment has no entry.
    ///
    /// # Errors
    /// Says what is wrong with it, and what would mend it.
    pub fn read(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, entry)) = line(text)? else { return Ok(None) };
        What::read(kind, entry.value.clone())?;
        let named = KINDS.iter().find(|(_, known)| *known == kind);
        Ok(named.map(|(kind, _)| Self { kind, entry }))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { value, until, note } = &self.entry;
        write!(f, "{}:{value}", self.kind)?;
        until.iter().try_for_each(|until| write!(f, " until {until}"))?;
        note.iter().try_for_each(|note| write!(f, " # {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_as_it_is_read() {
        for text in ["jti:abc", "ip:2001:db8::/32 # lab", "sub:a#b until 2027-01-31T18:00:00Z # left # us"] {
            assert_eq!(Line::read(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!((Line::read("# jti:abc"), Line::read("ip:10.0.0.1/8").is_err()), (Ok(None), true));
    }

    #[test]
    fn a_line_is_an_entry_with_its_end_and_its_note_or_nothing() {
        for (text, read) in [
            ("jti:abc", Some("Jti abc - -")),
            ("  sub:auth0|7#x  ", Some("Sub auth0|7#x - -")),
            ("ip:2001:db8::/32", Some("Ip 2001:db8::/32 - -")),
            ("kid:2026-a until 1970-01-02T00:00:00Z", Some("Kid 2026-a 86400 -")),
            ("jti:abc\tuntil  1970-01-02T01:00:00+01:00 # stolen laptop", Some("Jti abc 86400 stolen laptop")),
            ("jti:abc #", Some("Jti abc - -")),
            ("# jti:abc", None),
            ("", None),
        ] {
            let said = line(text).unwrap().map(|(kind, entry)| {
                let seconds = |until: Moment| until.get().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
                let until = entry.until.map_or("-".to_owned(), seconds);
                format!("{kind:?} {} {until} {}", entry.value, entry.note.as_deref().unwrap_or("-"))
            });
            assert_eq!(said.as_deref(), read, "{text}");
        }
    }

    #[test]
    fn a_line_that_would_revoke_something_else_than_was_meant_is_a_fault() {
        for (text, said) in [
            ("abc", "has no kind; write"),
            ("jit:abc", "did you mean \"jti:abc\"?"),
            ("token:abc", "there are \"jti\""),
            ("jti:abc def", "no `until`"),
            ("sub:Alice Smith", "no `until`"),
            ("jti:abc until", "no `until`"),
            ("jti:abc until tomorrow", "\"tomorrow\" is not a moment"),
            ("jti:abc until 2027-01-31", "has no time and no offset"),
            ("jti:abc until 2027-01-31T18:00:00Z or so", "no `until`"),
        ] {
            let fault = line(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }

    #[test]
    fn an_entry_reads_as_it_is_written() {
        #[derive(Deserialize)]
        struct Document {
            entry: Entry,
        }
        let read = |text: &str| toml::from_str::<Document>(&format!("entry = {text}")).map(|document| document.entry);
        for written in [r#"{ value = "abc", until = 2027-01-31T18:00:00Z, note = "why" }"#, r#""abc""#] {
            let entry = read(written).unwrap();
            assert_eq!(read(&toml::Value::try_from(&entry).unwrap().to_string()).unwrap(), entry);
        }
        assert!(read(r#"{ value = "abc", untill = 2027-01-31T18:00:00Z }"#).is_err());
    }
}
