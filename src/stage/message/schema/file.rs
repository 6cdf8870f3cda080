//! A file of a schema: its text, what it says, and where in it something stands.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::config::document::Source;
use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::stage::Build;
use crate::stage::json;

use super::locate::locate;

/// The largest file of a schema, in bytes.
const MAX_FILE: usize = 1 << 20;

/// A file of a schema that is JSON, and a schema by the draft that it names.
pub(super) struct File {
    source: Arc<Source>,
    pub(super) value: Value,
}

impl File {
    /// Reads a file that is named at `at`.
    ///
    /// # Errors
    /// That it cannot be read, at the value that names it; else what is wrong within it, each at its place.
    pub(super) fn read(path: &Path, at: &KeyPath, build: &mut Build<'_>) -> Result<Self, Faults> {
        let bytes = build.read(at.clone(), path)?;
        let whole = build.path(path);
        let name = whole.strip_prefix(".").unwrap_or(&whole).display().to_string();
        if bytes.len() > MAX_FILE {
            return Err(Fault::new(at.clone(), format!("{name} is larger than {} MiB", MAX_FILE >> 20)).into());
        }
        let text = String::from_utf8(bytes).map_err(|_| Fault::new(at.clone(), format!("{name} is not UTF-8 text")))?;
        let source = Arc::new(Source::plain(name, text));
        let read = json::read::<()>(&source.text).and_then(|()| serde_json::from_str(&source.text));
        let value = read.map_err(|error| syntax(&source, at, &error))?;
        let file = Self { source, value };
        let faults = file.flaws(at);
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// What its draft forbids. Of a draft that nobody knows nothing is said here.
    fn flaws(&self, at: &KeyPath) -> Faults {
        let mut faults = Faults::default();
        if let Ok(draft) = jsonschema::meta::validator_for(&self.value) {
            let mut flaws: Vec<_> =
                draft.iter_errors(&self.value).map(|error| (locate(&self.source.text, error.instance_path().as_str()), error)).collect();
            flaws.sort_by_key(|(span, _)| span.start);
            faults.extend(flaws.into_iter().map(|(span, error)| flaw(self.place(at, span), &error)));
        }
        faults
    }

    /// A fault of what stands at this pointer.
    pub(super) fn fault(&self, at: &KeyPath, error: &ValidationError<'_>) -> Fault {
        flaw(self.at(at, error.instance_path().as_str()), error)
    }

    /// The place of what a JSON pointer (RFC 6901) leads to.
    pub(super) fn at(&self, at: &KeyPath, pointer: &str) -> Place {
        self.place(at, locate(&self.source.text, pointer))
    }

    fn place(&self, at: &KeyPath, span: Range<usize>) -> Place {
        Place::within(at.clone(), self.source.clone(), span)
    }

    /// Every text that stands as the value of one of these keywords, with the pointer to it. What is data in a schema has none.
    pub(super) fn texts<'f>(&'f self, keywords: &[&str]) -> Vec<(String, &'f str)> {
        let mut found = Vec::new();
        texts(&self.value, "", keywords, &mut found);
        found
    }
}

fn texts<'f>(value: &'f Value, at: &str, keywords: &[&str], found: &mut Vec<(String, &'f str)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !matches!(name.as_str(), "enum" | "const" | "default" | "examples")) {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                match value {
                    Value::String(text) if keywords.contains(&name.as_str()) => found.push((at, text)),
                    value => texts(value, &at, keywords, found),
                }
            }
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| texts(value, &format!("{at}/{index}"), keywords, found)),
        _ => {}
    }
}

/// What is wrong with a schema. It is shown, so that it need not be told again.
fn flaw(place: Place, error: &ValidationError<'_>) -> Fault {
    match error.kind() {
        ValidationErrorKind::AnyOf { .. } if error.instance_path().as_str().ends_with("/type") => {
            let hint = "types are \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\" and \"string\"";
            Fault::new(place, "the schema is wrong: this is no type, and no list of them").hint(hint)
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            let hint = "a pattern is matched in linear time: it looks neither ahead nor behind, and refers to no group";
            Fault::new(place, "the schema is wrong: this is no pattern").hint(hint)
        }
        _ => Fault::new(place, format!("the schema is wrong: {}", error.masked_with("this"))),
    }
}

/// What keeps a text from being JSON.
fn syntax(source: &Arc<Source>, at: &KeyPath, error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let before: usize = source.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let start = source.text.floor_char_boundary(before + column.saturating_sub(1));
    let place = Place::within(at.clone(), source.clone(), start..source.text.ceil_char_boundary(start + 1));
    Fault::new(place, format!("this is not JSON: {said}"))
}
