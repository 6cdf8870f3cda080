//! What TOML itself refuses, in an operator's words.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::Error;

use super::dom::{Node, Value};
use super::fault::{Fault, Faults, KeyPath, LOOKED_FOR, Place};
use super::{mask, structure};

/// What the parser says of a key or table that is there twice.
const DUPLICATE: &str = "duplicate key";

/// What was found wrong with a text.
#[derive(Default)]
pub(super) struct Syntax {
    pub(super) faults: Faults,
    /// The values that are spoilt, where nothing else is.
    pub(super) faulty: Vec<KeyPath>,
    /// Whether more is spoilt than those: parts of the text are missing from the tree.
    pub(super) is_broken: bool,
}

/// Tells the parser's errors: one for each value, or else for each line, because what follows the first there is mostly its echo.
pub(super) fn tell(errors: &[Error], text: &str, root: &Node, source: usize) -> Syntax {
    let mut syntax = Syntax { is_broken: errors.len() > LOOKED_FOR, ..Syntax::default() };
    let mut errors: Vec<_> = errors.iter().take(LOOKED_FOR).map(|error| (error.span().unwrap_or(0..0), error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut open: Vec<_> = errors.iter().filter(|(_, error)| is_open(error)).filter_map(|(span, _)| opening(root, span.start)).collect();
    open.dedup();
    for list in &open {
        let bracket = list.start..list.start + 1;
        syntax.is_broken = true;
        syntax.faults.push(Fault::new(Place::Span(source, bracket), "what opens here is never closed"));
    }
    let mut lines = BTreeSet::new();
    for (span, error) in errors {
        if open.iter().any(|list| list.start < span.start && span.start <= list.end) {
            continue;
        }
        if error.message() == DUPLICATE {
            syntax.faults.push(duplicate(text, &span, source));
            continue;
        }
        let fault = fault(error, &span, text, source);
        let is_news = match contained(&span, root, text) {
            Some(path) if syntax.faulty.contains(&path) => false,
            Some(path) => {
                syntax.faulty.push(path);
                true
            }
            None => {
                syntax.is_broken = true;
                lines.insert(around(text, span.start).2)
            }
        };
        if is_news {
            syntax.faults.push(fault);
        }
    }
    syntax
}

fn is_open(error: &Error) -> bool {
    error.message().starts_with("unclosed array,") || error.message().starts_with("unclosed inline table")
}

/// The innermost list or inline table that was still open at this offset.
fn opening(root: &Node, offset: usize) -> Option<Range<usize>> {
    let mut found = None;
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        let is_assigned = match &node.value {
            Value::List(list) => {
                nodes.extend(list);
                true
            }
            Value::Table(table) => {
                nodes.extend(table.values().map(|entry| &entry.node));
                table.values().all(|entry| node.span.contains(&entry.key.start)) && !node.span.is_empty()
            }
            _ => false,
        };
        let is_around = node.span.start < offset && offset <= node.span.end;
        if is_assigned && is_around && found.as_ref().is_none_or(|found: &Range<usize>| found.start < node.span.start) {
            found = Some(node.span.clone());
        }
    }
    found
}

/// The fault for one of the parser's errors.
fn fault(error: &Error, span: &Range<usize>, text: &str, source: usize) -> Fault {
    let place = || Place::Span(source, span.clone());
    if let Some((span, token)) = unquoted(error, text, span) {
        return bare(token, Place::Span(source, span), is_secret(text, error.span().map_or(0, |span| span.start)));
    }
    let (_, line, at) = around(text, span.start);
    if line.trim_start().starts_with("//") {
        let start = at + line.len() - line.trim_start().len();
        return Fault::new(Place::Span(source, start..start + 2), "a comment begins with `#`");
    }
    let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    match (what, expected) {
        ("invalid unquoted key", _) if text.get(span.clone()) == Some(":") => Fault::new(place(), "`:` stands where `=` belongs"),
        ("missing escaped value", _) => {
            let fault = Fault::new(place(), "the backslash begins no escape");
            fault.hint("write the text in single quotes, where a backslash is itself, or write the backslash twice")
        }
        ("invalid basic string" | "invalid literal string", "`\"`" | "`'`") => {
            Fault::new(place(), "the text has no closing quote").hint(format!("expected {expected}"))
        }
        (_, "" | "nothing") => Fault::new(place(), what),
        _ => Fault::new(place(), what).hint(format!("expected {expected}")),
    }
}

/// The fault for a value without its quotes.
fn bare(token: &str, place: Place, is_secret: bool) -> Fault {
    match token {
        "" => Fault::new(place, "the key has no value"),
        "True" | "TRUE" | "False" | "FALSE" => {
            Fault::new(place, format!("{token} is not a value")).hint(format!("write {}", token.to_ascii_lowercase()))
        }
        _ if is_secret => Fault::new(place, "this is not a value").hint("text stands in quotes"),
        _ => {
            let text = token.trim_matches(['“', '”', '`', '\'']);
            let fault = Fault::new(place, format!("{token} is not a value"));
            fault.hint(if text.contains(['"', '\\']) {
                "text stands in quotes".to_owned()
            } else {
                format!("text stands in quotes: \"{text}\"")
            })
        }
    }
}

/// Whether this offset's line sets a secret.
fn is_secret(text: &str, offset: usize) -> bool {
    let (_, line, _) = around(text, offset);
    mask::sets_secret(line)
}

/// The whole of a value that is neither a string in quotes nor a number, a boolean or a date.
fn unquoted<'a>(error: &Error, text: &'a str, span: &Range<usize>) -> Option<(Range<usize>, &'a str)> {
    const SAID: [&str; 5] = ["string values must be quoted", "invalid float", "invalid boolean", "invalid integer", "invalid date-time"];
    if !SAID.iter().any(|said| error.message().starts_with(said)) {
        return None;
    }
    let is_outside = |c: char| matches!(c, ',' | '[' | ']' | '{' | '}' | '=' | '#' | '\n' | '\r');
    let (before, after) = (text.get(..span.start)?, text.get(span.start..)?);
    let start = before.rfind(is_outside).map_or(0, |at| at + 1);
    let end = span.start + after.find(is_outside).unwrap_or(after.len());
    let raw = text.get(start..end)?;
    let token = raw.trim();
    let start = start + (raw.len() - raw.trim_start().len());
    Some(if token.is_empty() { (span.clone(), token) } else { (start..start + token.len(), token) })
}

/// A key or table that is there twice, with the place of the first.
fn duplicate(text: &str, span: &Range<usize>, source: usize) -> Fault {
    let (before, line, at) = around(text, span.start);
    let word = text.get(span.clone()).unwrap_or_default();
    let first = if line.trim_start().starts_with('[') { first_header(before, line) } else { first_key(before, line) };
    let fault = match header_of(line) {
        Some(header) => {
            let start = at + line.len() - line.trim_start().len();
            let place = Place::Span(source, start..start + header.len());
            match header.strip_prefix("[[").and_then(|header| header.strip_suffix("]]")) {
                Some(kind) => return structure::doubled(kind.trim(), place, None),
                None => Fault::new(place, format!("{header} is there twice")).hint("write all its keys under one header"),
            }
        }
        None => Fault::new(Place::Span(source, span.clone()), format!("the key `{word}` is there twice")),
    };
    match first {
        Some(first) => fault.also(Place::Span(source, first), "first here"),
        None => fault,
    }
}

/// The text before the line of an offset, the line, and where the line begins.
fn around(text: &str, offset: usize) -> (&str, &str, usize) {
    let offset = offset.min(text.len());
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let (before, rest) = text.split_at(start);
    (before, rest.lines().next().unwrap_or_default(), start)
}

/// `[a.b]` or `[[a.b]]` of a line that begins with it.
fn header_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let closing = if line.starts_with("[[") { "]]" } else { "]" };
    let end = line.find(closing)? + closing.len();
    line.get(..end).filter(|header| header.starts_with('['))
}

/// Where the same header stood before.
fn first_header(before: &str, line: &str) -> Option<Range<usize>> {
    let header = header_of(line)?;
    let (start, earlier) = lines(before).find(|(_, earlier)| header_of(earlier) == Some(header))?;
    let start = start + earlier.len() - earlier.trim_start().len();
    Some(start..start + header.len())
}

/// Where the same key stood before, under the same header.
fn first_key(before: &str, line: &str) -> Option<Range<usize>> {
    let key = line.split('=').next()?.trim();
    let under: Vec<_> = lines(before).collect();
    let found = under.iter().rev().take_while(|(_, line)| header_of(line).is_none());
    let &(start, earlier) = found.filter(|(_, earlier)| earlier.split_once('=').is_some_and(|(found, _)| found.trim() == key)).last()?;
    let start = start + earlier.len() - earlier.trim_start().len();
    Some(start..start + key.len())
}

/// The lines of a text, each with its offset.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line))
    })
}

/// The value an error spoils, where it spoils nothing else: the rest of the tree is then as the file has it.
fn contained(span: &Range<usize>, root: &Node, text: &str) -> Option<KeyPath> {
    let path = value_around(root, &KeyPath::default(), span.start)?;
    let (node, ..) = root.follow(path.steps());
    // A string that never ends has swallowed what follows it.
    let swallows = matches!(node.value, Value::String(_)) && text.get(node.span.clone()).is_none_or(|text| text.contains('\n'));
    (!swallows).then_some(path)
}

/// The innermost value, not a table of its own, that this offset falls into.
fn value_around(node: &Node, at: &KeyPath, offset: usize) -> Option<KeyPath> {
    let covers = |node: &Node| node.span.start <= offset && offset <= node.span.end;
    match &node.value {
        Value::Table(table) => table.iter().find_map(|(key, entry)| value_around(&entry.node, &at.key(key), offset)),
        Value::List(list) => {
            let inner = list.iter().enumerate().find_map(|(index, node)| value_around(node, &at.index(index), offset));
            inner.or_else(|| (covers(node) && !list.iter().any(|node| node.as_table().is_some())).then(|| at.clone()))
        }
        _ => covers(node).then(|| at.clone()),
    }
}
