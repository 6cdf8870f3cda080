//! Templates: a text with `{id}`, `{reason}` and `{code}` of a refusal to fill in, or with what else there is to tell.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a client is told. Beginning with a `{` or `[` of its own it is JSON, and what is filled in is escaped for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "B: Blanks")]
pub struct Template<B = OfRefusal> {
    text: Box<str>,
    is_json: bool,
    blanks: PhantomData<B>,
}

/// What can be filled in.
pub trait Blanks: Clone {
    /// Each blank, with a value as it may come.
    const NAMES: &'static [(&'static str, &'static str)];
    /// What a template of these is called in the schema.
    const SCHEMA: &'static str;

    /// The blanks, as a sentence names them.
    fn listed() -> String {
        let names: Vec<String> = Self::NAMES.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        match &*names {
            [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
            _ => names.concat(),
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfRefusal;

impl Blanks for OfRefusal {
    const NAMES: &'static [(&'static str, &'static str)] = &[("id", "kicked"), ("reason", "a \"reason\""), ("code", "1008")];
    const SCHEMA: &'static str = "Template";
}

/// A time that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfTime;

impl Blanks for OfTime {
    const NAMES: &'static [(&'static str, &'static str)] = &[("seconds", "30")];
    const SCHEMA: &'static str = "TimeTemplate";
}

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
        self.filled(|blank| match blank {
            "code" => code.to_string().into(),
            "id" => id.into(),
            _ => reason.into(),
        })
    }
}

impl Template<OfTime> {
    /// The text for so many seconds; `null` where there is no end of them.
    pub fn fill_time(&self, seconds: Option<u64>) -> String {
        self.filled(|_| seconds.map_or("null".into(), |seconds| seconds.to_string().into()))
    }
}

impl<B> Template<B> {
    fn filled<'a>(&self, value: impl Fn(&str) -> Cow<'a, str>) -> String {
        let mut filled = String::new();
        let mut rest = &*self.text;
        while let Some((before, word, after)) = split_at_placeholder(rest) {
            filled.push_str(before);
            filled.push_str(&self.escaped(&value(word)));
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

impl<B: Blanks> FromStr for Template<B> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE {
            return Err(format!("a template is {MAX_TEMPLATE} bytes at most"));
        }
        let sample = |word: &str| B::NAMES.iter().find(|(name, _)| *name == word).map(|(_, sample)| *sample);
        let is_filled_first = split_at_placeholder(text).is_some_and(|(before, ..)| before.is_empty());
        let template = Self { text: text.into(), is_json: text.starts_with(['{', '[']) && !is_filled_first, blanks: PhantomData };
        let mut rest = text;
        while let Some((_, word, after)) = split_at_placeholder(rest) {
            if sample(word).is_none() {
                let is = if B::NAMES.len() == 1 { "is" } else { "are" };
                return Err(format!("`{{{word}}}` is nothing that can be filled in; there {is} {}", B::listed()));
            }
            rest = after;
        }
        let filled = template.filled(|word| sample(word).unwrap_or_default().into());
        if template.is_json && serde_json::from_str::<serde_json::Value>(&filled).is_err() {
            return Err(format!("it begins as JSON, but filled in it is none: {filled}"));
        }
        Ok(template)
    }
}

impl<B> fmt::Display for Template<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<B: Blanks> TryFrom<String> for Template<B> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl<B> From<Template<B>> for String {
    fn from(template: Template<B>) -> Self {
        template.text.into()
    }
}

impl<B: Blanks> JsonSchema for Template<B> {
    fn schema_name() -> Cow<'static, str> {
        B::SCHEMA.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description = format!("a text with {}; beginning with {{ or [ it is JSON", B::listed());
        json_schema!({ "type": "string", "description": description })
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
        assert!("{id}".parse::<Template<OfTime>>().unwrap_err().ends_with("there is {seconds}"));
    }

    #[test]
    fn a_time_that_is_left_is_filled_in_as_a_number() {
        let template: Template<OfTime> = r#"{"in":{seconds}}"#.parse().unwrap();
        assert_eq!(template.fill_time(Some(30)), r#"{"in":30}"#);
        assert_eq!(template.fill_time(None), r#"{"in":null}"#);
    }
}
