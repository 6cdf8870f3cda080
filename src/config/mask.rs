//! Masks literal secrets in the text that faults show: a secret never prints, not even where it is wrong.

use std::ops::Range;

use super::dom::{Form, Node, Value};

/// The key whose value, and all below it, is secret.
pub(super) const SECRET: &str = "secret";

/// The text with every literal secret masked, each character by one as long, so that places stay true.
///
/// A file that does not parse is masked by its lines, too, because its tree may lack what it holds.
pub(super) fn printable(text: &str, root: &Node, is_doubtful: bool) -> String {
    let mut spans = Vec::new();
    keys(root, 0, &mut spans);
    let mut spans: Vec<_> = spans.into_iter().map(|span| (span, "\"'\r\n")).collect();
    if is_doubtful {
        spans.extend(doubtful_lines(text).into_iter().map(|span| (span, "\"'\r\n\t {}[],=")));
    }
    let mut shown = String::with_capacity(text.len());
    spans.sort_by_key(|(span, _)| span.start);
    let mut spans = spans.into_iter().peekable();
    for (at, c) in text.char_indices() {
        while spans.next_if(|(span, _)| span.end <= at).is_some() {}
        let is_masked = spans.peek().is_some_and(|(span, stays)| span.contains(&at) && !stays.contains(c));
        shown.push(if is_masked { masked(c) } else { c });
    }
    shown
}

/// The spans of the secrets below this node. A kind or a name, the keys of depth 0 and 1, may be called `secret` itself.
fn keys(node: &Node, depth: usize, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(table) => {
            for (key, entry) in table {
                if key == SECRET && (depth > 1 || entry.form() == Form::Assigned) {
                    values(&entry.node, spans);
                } else {
                    keys(&entry.node, depth + 1, spans);
                }
            }
        }
        Value::List(list) => list.iter().for_each(|node| keys(node, depth, spans)),
        _ => {}
    }
}

/// All that stands below a secret, but for the names of variables and files.
fn values(node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::List(list) => list.iter().for_each(|node| values(node, spans)),
        Value::Table(table) => {
            table.iter().filter(|(key, _)| *key != "env" && *key != "file").for_each(|(_, entry)| values(&entry.node, spans));
        }
        _ => spans.push(node.span.clone()),
    }
}

/// On each line that sets a secret, what follows the equals sign.
fn doubtful_lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut spans = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some((key, _)) = line.split_once('=').filter(|(key, _)| key.contains(SECRET)) {
            spans.push(start + key.len() + 1..start + line.len());
        }
        start += line.len();
    }
    spans
}

/// A character that hides this one and is as long.
fn masked(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{10101}',
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;

    fn shown(text: &str) -> String {
        let document = Document::parse("gateway.toml", text, ".");
        document.sources()[0].printable.clone()
    }

    #[test]
    fn a_secret_is_masked_and_nothing_else() {
        for (text, masked) in [
            ("[jwt.a]\nsecret = \"hunter2\"", "[jwt.a]\nsecret = \"*******\""),
            ("[jwt.a]\nsecret = 'hünter€'", "[jwt.a]\nsecret = '*·****•'"),
            ("[jwt.a]\nsecret = [\"one\", { env = \"TWO\" }]", "[jwt.a]\nsecret = [\"***\", { env = \"TWO\" }]"),
            ("[jwt.a]\nsecret = { env = \"A\", default = \"b\" }", "[jwt.a]\nsecret = { env = \"A\", default = \"*\" }"),
            ("[jwt.a]\nsecret = { envv = \"A\" }", "[jwt.a]\nsecret = { envv = \"*\" }"),
            ("[plugin.a.b]\nsecret = 12345", "[plugin.a.b]\nsecret = *****"),
            ("[plugin.a]\nkeys = [{ secret = \"x\" }]", "[plugin.a]\nkeys = [{ secret = \"*\" }]"),
            ("secret = \"a\"\n[jwt]\nsecret = { default = \"b\" }", "secret = \"*\"\n[jwt]\nsecret = { default = \"*\" }"),
            ("[[jwt]]\nsecret = \"a\"", "[[jwt]]\nsecret = \"*\""),
            ("[jwt.secret]\nuser = \"sub\"", "[jwt.secret]\nuser = \"sub\""),
        ] {
            assert_eq!(shown(text), masked);
        }
    }

    #[test]
    fn a_secret_in_a_file_that_does_not_parse_is_masked() {
        assert_eq!(shown("[jwt.a\nsecret = \"hunter2\"\n"), "[jwt.a\nsecret = \"*******\"\n");
        assert_eq!(shown("[jwt.a]\nsecret = \"hunter2\nuser = \"sub\""), "[jwt.a]\nsecret = \"*******\nuser = \"sub\"");
        assert_eq!(shown("[jwt.a]\nsecret = hunter2"), "[jwt.a]\nsecret = *******");
    }
}
