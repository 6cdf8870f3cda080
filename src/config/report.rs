//! Faults for programs: each with its place in numbers, in a shape that stays.

use serde::Serialize;

use super::document::Document;
use super::fault::{Fault, Faults, KeyPath, MAX_FAULTS, Place, Severity};
use super::render;

/// A fault or warning. Every key is always there, `null` where there is nothing to say.
#[derive(Clone, Debug, Serialize)]
pub struct Told<'a> {
    /// `fault` or `warning`.
    pub severity: &'static str,
    /// What is wrong: a lower-case clause, no full stop. Secrets are never in it.
    pub message: &'a str,
    /// What would mend it.
    pub hint: Option<&'a str>,
    /// Where it stands.
    #[serde(flatten)]
    pub spot: Spot,
    /// Other places it concerns.
    pub also: Vec<Also<'a>>,
}

/// Another place, with a word on it.
#[derive(Clone, Debug, Serialize)]
pub struct Also<'a> {
    /// Where it stands.
    #[serde(flatten)]
    pub spot: Spot,
    /// What it has to do with the fault.
    pub message: &'a str,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The file as it was named; the folder, where all files of one are meant.
    pub file: String,
    /// Where it begins; nothing where the file as a whole is meant.
    #[serde(flatten)]
    pub start: Point,
    /// Where it ends: the first character that no longer belongs to it.
    pub end: Point,
    /// The key, as `route.chat.pipeline[1]`, where it is of one.
    pub key: Option<String>,
}

/// A character of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Its line, counted from 1.
    pub line: Option<usize>,
    /// Its place in the line in characters, counted from 1.
    pub column: Option<usize>,
}

/// Faults and warnings by their places, the first [`MAX_FAULTS`].
pub fn report<'a>(document: &Document, faults: &'a Faults) -> Vec<Told<'a>> {
    let told = |fault: &'a Fault| Told {
        severity: match fault.severity {
            Severity::Warning => "warning",
            Severity::Fault | Severity::Unknown => "fault",
        },
        message: &fault.message,
        hint: fault.hint.as_deref(),
        spot: document.spot(&fault.place),
        also: fault.also.iter().map(|(place, word)| Also { spot: document.spot(place), message: word }).collect(),
    };
    let sorted = render::sorted(document, faults, |severity| severity != Severity::Unknown);
    sorted.into_iter().take(MAX_FAULTS).map(|(_, fault)| told(fault)).collect()
}

/// What was not looked up, by its places in the file.
pub fn unknown<'a>(document: &Document, faults: &'a Faults) -> Vec<&'a Fault> {
    let sorted = render::sorted(document, faults, |severity| severity == Severity::Unknown);
    sorted.into_iter().map(|(_, fault)| fault).collect()
}

impl Document {
    /// A place, in numbers.
    pub fn spot(&self, place: &Place) -> Spot {
        let found = self.seek(place);
        let key = match place {
            Place::Value(path) | Place::Key(path) => Some(path).filter(|path| **path != KeyPath::default()).map(KeyPath::to_string),
            Place::Within(within) => Some(within.named.to_string()),
            Place::Span(..) => None,
        };
        match found.filter(|(source, _)| !place.is_whole_file() && !source.text.is_empty()) {
            Some((source, span)) => {
                let point = |offset: usize| {
                    let (line, column) = source.position(offset);
                    Point { line: Some(line), column: Some(column) }
                };
                Spot { file: source.name.clone(), start: point(span.start), end: point(span.end), key }
            }
            None => {
                let file = self.seek(place).filter(|_| !place.is_whole_file()).map_or(self.name(), |(source, _)| &source.name);
                Spot { file: file.to_owned(), start: Point::default(), end: Point::default(), key }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{json, to_value};

    use super::super::source::Source;

    use super::*;

    #[test]
    fn every_key_is_there_and_places_are_lines_and_characters() {
        let document = Document::parse("f.toml", "[route.a]\n'東' = [1,\n  2]\n", ".");
        let list = KeyPath::table("route", "a").key("東");
        let (named, other) = (list.index(0), Arc::new(Source::plain("g.json".to_owned(), "{\n  1}\n".to_owned())));
        let faults = Faults(vec![
            Fault::warning(list.index(1), "odd").also(Place::Key(list.clone()), "here"),
            Fault::new(list, "wrong").hint("mend it"),
            Fault::new(KeyPath::default(), "nothing in it"),
            Fault::unknown(KeyPath::default(), "the variable HOST"),
            Fault::new(Place::within(named.clone(), other, 5..6), "wrong elsewhere"),
        ]);
        let nowhere = json!({ "line": null, "column": null });
        let told = json!([
            {
                "severity": "fault", "message": "nothing in it", "hint": null,
                "file": "f.toml", "line": null, "column": null, "end": nowhere, "key": null, "also": [],
            },
            {
                "severity": "fault", "message": "wrong", "hint": "mend it",
                "file": "f.toml", "line": 2, "column": 7, "end": { "line": 3, "column": 5 }, "key": "route.a.東", "also": [],
            },
            {
                "severity": "fault", "message": "wrong elsewhere", "hint": null,
                "file": "g.json", "line": 2, "column": 4, "end": { "line": 2, "column": 5 }, "key": "route.a.東[0]", "also": [],
            },
            {
                "severity": "warning", "message": "odd", "hint": null,
                "file": "f.toml", "line": 3, "column": 3, "end": { "line": 3, "column": 4 }, "key": "route.a.東[1]",
                "also": [{
                    "file": "f.toml", "line": 2, "column": 1, "end": { "line": 2, "column": 4 }, "key": "route.a.東", "message": "here",
                }],
            },
        ]);
        assert_eq!(to_value(report(&document, &faults)).unwrap(), told);
    }
}
