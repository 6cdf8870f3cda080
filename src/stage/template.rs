//! Templates: a text with `{id}`, `{reason}` and `{code}` of a refusal to fill in.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a refused client is notified with. Beginning with a `{` or `[` of its own it is JSON, and what is filled in is escaped for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: Box<str>,
    is_json: bool,
}

const NAMES: [&str; 3] = ["id", "reason", "code"];
/// The largest template, in bytes: what it makes is queued for a client that is about to be closed.
const MAX_TEMPLATE: usize = 4096;

/// Splits at the first `{word}`: what stands before it, the word, what stands behind it.
fn split_at_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('{').find_map(|(at, _)| {
        let (before, from) = text.split_at_checked(at)?;
        let (word, after) = from.strip_prefix('{')?.split_once('}')?;
        let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_word.then_some((before, word, after))
    })
}

impl Template {
    /// The text for a refusal of this id, reason and close code.
    pub fn fill(&self, id: &str, reason: &str, code: u16) -> String {
        let mut filled = String::new();
        let mut rest = &*self.text;
        while let Some((before, word, after)) = split_at_placeholder(rest) {
            filled.push_str(before);
            match word {
                "code" => filled.push_str(&code.to_string()),
                "id" => filled.push_str(&self.escaped(id)),
                _ => filled.push_str(&self.escaped(reason)),
            }
            rest = after;
        }
        filled + rest
    }

    /// As it stands between the quotes of a JSON string, or as it is.
    fn escaped(&self, value: &str) -> String {
        if !self.is_json {
            return value.to_owned();
        }
        let quoted = serde_json::Value::from(value).to_string();
        quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE {
            return Err(format!("a template is {MAX_TEMPLATE} bytes at most"));
        }
        let is_filled_first = split_at_placeholder(text).is_some_and(|(before, ..)| before.is_empty());
        let template = Self { text: text.into(), is_json: text.starts_with(['{', '[']) && !is_filled_first };
        let mut rest = text;
        while let Some((_, word, after)) = split_at_placeholder(rest) {
            if !NAMES.contains(&word) {
                return Err(format!("`{{{word}}}` is nothing that can be filled in; there are {{id}}, {{reason}} and {{code}}"));
            }
            rest = after;
        }
        let filled = template.fill("kicked", "a \"reason\"", 1008);
        if template.is_json && serde_json::from_str::<serde_json::Value>(&filled).is_err() {
            return Err(format!("it begins as JSON, but filled in it is none: {filled}"));
        }
        Ok(template)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text.into()
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a text with {id}, {reason} and {code}; beginning with { or [ it is JSON" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_and_escaped_where_the_template_is_json() {
        for (template, filled) in [
            ("plain", "plain"),
            ("{id}: {reason} ({code})", "kicked: you {id} \"said\" (3003)"),
            (r#"{"error":"{id}","why":"{reason}","code":{code}}"#, r#"{"error":"kicked","why":"you {id} \"said\"","code":3003}"#),
            (r#"["{id}"]"#, r#"["kicked"]"#),
            ("a { brace } and {", "a { brace } and {"),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().fill("kicked", "you {id} \"said\"", 3003), filled);
        }
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_is_a_fault() {
        for (template, said) in [
            ("{reson}", "nothing that can be filled in"),
            (r#"{"why": {reason}}"#, "filled in it is none"),
            ("[denied] {reason}", "filled in it is none"),
        ] {
            assert!(template.parse::<Template>().unwrap_err().contains(said), "{template}");
        }
    }
}
