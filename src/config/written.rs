//! What the file itself says at a place, and on which line.

use toml::{Table, Value as Toml};

use super::document::Document;
use super::dom::{Node, Value};
use super::expanded::hide;
use super::fault::{KeyPath, Place, Step};
use super::structure::GATEWAY;

impl Document {
    /// Where a table, a key or an element of a list is written, as `file:line`; nothing where the file has none at this path.
    pub fn line(&self, at: &KeyPath) -> Option<String> {
        self.node(at)?;
        let position = self.position(&Place::Key(at.clone()));
        position.rsplit_once(':').map(|(line, _)| line.to_owned())
    }

    /// The value as it is written, its variables not put in and its secrets masked; nothing where the file has none at this path.
    pub fn written(&self, at: &KeyPath) -> Option<Toml> {
        let named = if at.kind_and_name().0 == GATEWAY { 1 } else { 2 };
        let keys = at.steps().iter().skip(named).filter_map(|step| match step {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        });
        // Whether it is a secret is known by the keys that lead to it.
        let keys: Vec<&String> = keys.collect();
        let wrap = |value, key: &&String| Toml::Table(Table::from_iter([((*key).clone(), value)]));
        let mut wrapped = Table::from_iter([(String::new(), keys.iter().rev().fold(toml(self.node(at)?), wrap))]);
        hide(&mut wrapped);
        let value = wrapped.remove("")?;
        keys.iter().try_fold(value, |value, key| match value {
            Toml::Table(mut table) => table.remove(*key),
            _ => None,
        })
    }

    fn node(&self, at: &KeyPath) -> Option<&Node> {
        let (node, _, taken) = self.follow(at)?;
        (taken == at.steps().len()).then_some(node)
    }
}

fn toml(node: &Node) -> Toml {
    match &node.value {
        Value::String(text) => Toml::String(text.clone()),
        Value::Integer(number) => Toml::Integer(*number),
        Value::Float(number) => Toml::Float(*number),
        Value::Boolean(value) => Toml::Boolean(*value),
        Value::Datetime(moment) => Toml::Datetime(*moment),
        Value::List(list) => Toml::Array(list.iter().map(toml).collect()),
        Value::Table(table) => Toml::Table(table.iter().map(|(key, entry)| (key.clone(), toml(&entry.node))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let text =
            "[gateway]\ndrain.over = '5s'\n[plugin.secret]\nname = \"${NAME}\"\npassword = [\n  \"hunter2\",\n  { env = \"A\" },\n]\n";
        Document::parse("g.toml", text, ".")
    }

    #[test]
    fn a_line_is_that_of_a_key_or_an_element_and_of_nothing_that_is_not_there() {
        let (gateway, plugin) = (KeyPath::default().key("gateway"), KeyPath::table("plugin", "secret"));
        for (at, line) in [
            (gateway.clone(), Some("g.toml:1")),
            (gateway.key("drain").key("over"), Some("g.toml:2")),
            (gateway.key("drain").key("delay"), None),
            (plugin.clone(), Some("g.toml:3")),
            (plugin.key("password"), Some("g.toml:5")),
            (plugin.key("password").index(1), Some("g.toml:7")),
            (plugin.key("password").index(2), None),
            (KeyPath::table("plugin", "other"), None),
        ] {
            assert_eq!(document().line(&at).as_deref(), line, "{at}");
        }
    }

    #[test]
    fn a_value_is_given_as_it_is_written_and_no_secret_is() {
        let plugin = KeyPath::table("plugin", "secret");
        for (at, written) in [
            (plugin.key("name"), "\"${NAME}\""),
            (plugin.key("password"), "[\"********\", { env = \"A\" }]"),
            (plugin.key("password").index(0), "\"********\""),
            (KeyPath::default().key("gateway").key("drain"), "{ over = \"5s\" }"),
        ] {
            assert_eq!(document().written(&at).unwrap().to_string(), written, "{at}");
        }
    }
}
