//! What the pages say of kinds, their keys and outcomes is what the code says of itself. `UPDATE=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use wsgate::config::{FRAME, FrameKind};
use wsgate::gateway::catalog::ENDPOINTS;
use wsgate::stage::STAGES;
use wsgate::stage::refusal::TABLE;

use super::keys::{described, keys, sentence};
use super::{edit, is_update, package, pages, reload};

/// What the page of every kind tells, in this order.
const SECTIONS: [&str; 6] = ["What a client sees", "Keys", "When the file changes", "Limits and traps", "Outcomes", "Events and metrics"];

/// Outcomes that nothing makes yet: their stages come later.
const LATER: [&str; 1] = ["kicked"];

/// Every kind: its header, its role where it is not of the frame, and its schema.
fn kinds() -> Vec<(String, &'static str, Value)> {
    let header = |kind: &FrameKind| if kind.is_single() { format!("[{}]", kind.kind) } else { format!("[{}.NAME]", kind.kind) };
    let mut kinds: Vec<_> = FRAME.iter().map(|kind| (header(kind), "", (kind.schema)().to_value())).collect();
    kinds.extend(STAGES.iter().map(|stage| (format!("[{}.NAME]", stage.kind), "A stage", (stage.schema)().to_value())));
    kinds.extend(ENDPOINTS.iter().map(|endpoint| (format!("[{}.NAME]", endpoint.kind), "An endpoint", (endpoint.schema)().to_value())));
    kinds
}

/// The name of a kind, out of its header.
fn name(header: &str) -> &str {
    header.trim_matches(['[', ']']).trim_end_matches(".NAME")
}

/// What a kind is for, in its own words.
fn about(header: &str, schema: &Value) -> String {
    let about = described(schema);
    let (of, about) = about.split_once(": ").expect("a table's first sentence names it");
    assert_eq!(of, format!("`{header}`"));
    about.to_owned()
}

/// The table of all kinds, each with its page.
fn index() -> String {
    let mut text = "| kind | what it is |\n|---|---|\n".to_owned();
    for (header, role, schema) in kinds() {
        let (name, about) = (name(&header), about(&header, &schema));
        let first = about.split(". ").next().unwrap().trim_end_matches('.');
        let first = first.split(": ").next().unwrap();
        let about = if role.is_empty() { sentence(first) } else { format!("{role}: {first}") };
        writeln!(text, "| [`{header}`](docs/kinds/{name}.md) | {about} |").unwrap();
    }
    text
}

/// The rows of these outcomes.
fn outcomes(ids: &str) -> String {
    let mut text = "| outcome | HTTP | close | log | when |\n|---|---|---|---|---|\n".to_owned();
    for id in ids.split(", ") {
        let row = TABLE.iter().find(|row| row.id == id).unwrap_or_else(|| panic!("there is no outcome {id}"));
        let number = |number: Option<u16>| number.map_or("-".to_owned(), |number| number.to_string());
        let level = format!("{:?}", row.level).to_lowercase();
        writeln!(text, "| `{id}` | {} | {} | {level} | {} |", number(row.status), number(row.code), row.summary).unwrap();
    }
    text
}

/// A file of the package as a block; the line that names the schema to editors is for the file.
fn included(file: &str) -> String {
    let text = fs::read_to_string(package().join(file)).unwrap();
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("#:schema ")).collect();
    format!("```toml\n{text}```\n")
}

/// What stands between `<!-- NAME: SAYS -->` and `<!-- end of NAME -->` in a page: everything before it, SAYS, it, and the rest.
fn marked<'p>(text: &'p str, name: &str) -> Option<(&'p str, &'p str, &'p str, &'p str)> {
    let begin = text.find(&format!("<!-- {name}: "))?;
    let (says, rest) = text[begin..].split_once(": ")?.1.split_once(" -->\n")?;
    let inner = text.len() - rest.len();
    let end = inner + rest.find(&format!("<!-- end of {name} -->\n"))?;
    Some((&text[..inner], says, &text[inner..end], &text[end..]))
}

/// A page as it should be: what is marked in it is what the code says.
fn right(mut text: String, schema: Option<&Value>) -> String {
    for part in ["kinds", "example", "keys", "outcomes", "edits"] {
        let Some((before, says, _, after)) = marked(&text, part) else { continue };
        let inner = match (part, schema) {
            ("kinds", _) => index(),
            ("edits", _) => reload::edits(),
            ("example", _) => included(says),
            ("outcomes", _) => outcomes(says),
            ("keys", schema) => keys(schema.expect("keys stand on the page of a kind")),
            _ => continue,
        };
        text = format!("{before}\n{inner}\n{after}");
    }
    text
}

#[test]
fn what_is_marked_in_a_page_is_what_the_code_says() {
    let kinds: Vec<_> = kinds().into_iter().map(|(header, _, schema)| (page(&header), schema)).collect();
    for (path, text) in pages() {
        let schema = kinds.iter().find(|(page, _)| *page == path).map(|(_, schema)| schema);
        if is_update() {
            edit(&path, |text| right(text, schema));
        } else {
            assert_eq!(text, right(text.clone(), schema), "{}: UPDATE=1 cargo test --test readme writes it anew", path.display());
        }
    }
}

/// The page of a kind.
fn page(header: &str) -> PathBuf {
    format!("docs/kinds/{}.md", name(header)).into()
}

#[test]
fn every_kind_has_a_page_that_tells_all_there_is_to_tell_and_no_other_has() {
    let mut written: BTreeSet<PathBuf> = fs::read_dir(package().join("docs/kinds"))
        .unwrap()
        .map(|entry| PathBuf::from("docs/kinds").join(entry.unwrap().file_name()))
        .collect();
    for (header, ..) in kinds() {
        let (page, name) = (page(&header), name(&header));
        let text = fs::read_to_string(package().join(&page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.starts_with(&format!("# `{name}`\n")), "{}", page.display());
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, SECTIONS, "{}", page.display());
        let example = marked(&text, "example").map(|(_, says, ..)| says.to_owned());
        assert_eq!(example, Some(format!("examples/configs/{name}.toml")));
        assert!(marked(&text, "keys").is_some(), "{}", page.display());
        assert!(written.remove(&page));
    }
    assert_eq!(written, BTreeSet::new(), "pages of no kind");
}

#[test]
fn every_key_of_every_kind_is_in_its_table() {
    for (header, _, schema) in kinds() {
        let keys = keys(&schema);
        for key in schema["properties"].as_object().unwrap().keys() {
            assert!(keys.contains(&format!("| `{key}` | ")), "{key} of {header}");
        }
        for row in keys.lines().filter(|line| line.starts_with("| `")) {
            assert!(row.rsplit(" | ").next().unwrap().len() > " |".len(), "nothing is said of {row}");
        }
    }
}

#[test]
fn every_outcome_stands_on_the_page_of_a_kind_that_makes_it() {
    let pages = kinds().into_iter().map(|(header, ..)| fs::read_to_string(package().join(page(&header))).unwrap());
    let told: BTreeSet<String> = pages.flat_map(|text| marked(&text, "outcomes").map(|(_, says, ..)| says.to_owned())).collect();
    let told: BTreeSet<&str> = told.iter().flat_map(|says| says.split(", ")).collect();
    assert_eq!(told, TABLE.iter().map(|row| row.id).filter(|id| !LATER.contains(id)).collect());
}
