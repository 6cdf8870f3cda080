//! Tables as TOML that reads back, with where each value came from in a comment behind it.

use crate::gateway::expansion::{Key, Origin, Table};
use toml::Value;

/// The widest a line may be without its comment, in characters: longer lists are written an element a line, and comments stand no
/// further to the right.
const WIDE: usize = 80;

/// All tables, an empty line before each. What has no table in the file is a comment, so that whoever reads it back refers to it as
/// before.
pub(super) fn text(tables: &[Table]) -> String {
    tables.iter().map(|table| format!("\n{}", self::table(table))).collect()
}

/// What stands on a line, and the comment behind it.
struct Line {
    text: String,
    from: Option<String>,
}

fn table(table: &Table) -> String {
    let header = if table.name.is_empty() { format!("[{}]", table.kind) } else { format!("[{}.{}]", table.kind, table.name) };
    let mut lines = vec![Line { text: header, from: Some(table.from.to_string()) }];
    let width = table.keys.iter().map(|key| path(key).chars().count()).max().unwrap_or_default();
    for key in &table.keys {
        lines.extend(self::lines(key, width));
    }
    let mark = if table.from.has_no_table() { "# " } else { "" };
    aligned(&lines).lines().map(|line| format!("{mark}{line}\n")).collect()
}

/// The key as it is written: the parts of its path with dots between, each in quotes where it has to be.
fn path(key: &Key) -> String {
    let is_bare = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let part = |part: &String| if is_bare(part) { part.clone() } else { Value::from(part.as_str()).to_string() };
    let parts: Vec<String> = key.path.iter().map(part).collect();
    parts.join(".")
}

fn lines(key: &Key, width: usize) -> Vec<Line> {
    let path = path(key);
    let from = Some(key.from.to_string());
    match &key.value {
        None => vec![Line { text: format!("# {path}"), from }],
        Some(Value::Array(list)) if is_long(key, list, width) => {
            let mut lines = vec![Line { text: format!("{path:width$} = ["), from }];
            for (index, element) in list.iter().enumerate() {
                let own = key.elements.get(index).filter(|own| **own != key.from);
                lines.push(Line { text: format!("    {element},"), from: own.map(Origin::to_string) });
            }
            lines.push(Line { text: "]".to_owned(), from: None });
            lines
        }
        Some(value) => vec![Line { text: format!("{path:width$} = {value}"), from }],
    }
}

/// Whether a list is written an element a line: where it would be too wide, or its elements came from several places.
fn is_long(key: &Key, list: &[Value], width: usize) -> bool {
    let written: usize = list.iter().map(|element| element.to_string().chars().count() + 2).sum();
    !list.is_empty() && (width + " = []".len() + written > WIDE || key.elements.iter().any(|element| *element != key.from))
}

/// The lines, with their comments below each other.
fn aligned(lines: &[Line]) -> String {
    let last_line = |text: &str| text.lines().next_back().map_or(0, |line| line.chars().count());
    let commented = lines.iter().filter(|line| line.from.is_some());
    let column = commented.map(|line| last_line(&line.text)).filter(|width| *width <= WIDE).max().unwrap_or_default();
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.text);
        if let Some(from) = &line.from {
            let gap = column.saturating_sub(last_line(&line.text));
            text.push_str(&format!("{:gap$}  # {from}", ""));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &[&str], value: Option<Value>, from: &str) -> Key {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Key { path, value, from: Origin::File(from.to_owned()), elements: Vec::new() }
    }

    fn table(from: Origin, keys: Vec<Key>) -> Table {
        Table { kind: "plugin".to_owned(), name: "a".to_owned(), from, keys }
    }

    #[test]
    fn what_is_printed_is_toml_whatever_stands_in_it() {
        let odd = Value::from("a # b\n\"c\"\\");
        let rows = [(&["plain"][..], odd.clone()), (&["a b", "c.d"], 1.into()), (&["", "ö"], vec![odd.clone(); 9].into())];
        let keys = rows.iter().map(|(path, value)| key(path, Some(value.clone()), "gateway.toml:1")).collect();
        let read: toml::Table = text(&[table(Origin::Default, keys)]).parse().unwrap();
        for (path, value) in rows {
            let found = path.iter().try_fold(&read["plugin"]["a"], |table, key| table.get(key));
            assert_eq!(found, Some(&value), "{path:?}");
        }
    }

    #[test]
    fn a_list_whose_elements_came_from_several_places_says_so_of_each() {
        let mut list = key(&["list"], Some(vec!["a", "b"].into()), "gateway.toml:1");
        list.elements = vec![Origin::File("gateway.toml:1".to_owned()), Origin::File("gateway.toml:2".to_owned())];
        let shown = text(&[table(Origin::Default, vec![list])]);
        assert_eq!(shown, "\n[plugin.a]  # default\nlist = [    # gateway.toml:1\n    \"a\",\n    \"b\",    # gateway.toml:2\n]\n");
    }

    #[test]
    fn a_line_that_is_too_wide_does_not_push_the_comments_of_others_away() {
        let wide = key(&["wide"], Some("x".repeat(WIDE).into()), "gateway.toml:1");
        let shown = text(&[table(Origin::Default, vec![wide, key(&["b"], Some(1.into()), "gateway.toml:2")])]);
        assert!(shown.ends_with("\nb    = 1    # gateway.toml:2\n"), "{shown}");
    }

    #[test]
    fn what_has_no_table_is_a_comment_to_its_last_line() {
        let keys = vec![key(&["a"], Some("x\ny".into()), "gateway.toml:1"), key(&["b"], None, "gateway.toml:2")];
        let shown = text(&[table(Origin::Bare, keys)]);
        assert!(shown.lines().skip(1).all(|line| line.starts_with("# ")), "{shown}");
    }
}
