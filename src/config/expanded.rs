//! A table with every default filled in, as its own type would write it, and no secret in it.

use serde::Serialize;
use toml::{Table, Value};

use super::mask::{API_KEYS, OF_API_KEYS, is_count, is_key_file, is_private, is_secret, query_at, user_of};
use super::secret::MASK;

/// The table as its type writes it. Its secrets are masked, also those that its type takes for plain values: by the names of their
/// keys, as in the text that faults show, and where they give themselves away.
///
/// # Errors
/// Why TOML has no way to write it.
pub(crate) fn expanded<T: Serialize>(table: &T) -> Result<Table, String> {
    // As text, because a moment within a `toml::Table` would be a table of its own.
    let text = toml::to_string(table).map_err(|error| error.to_string())?;
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    hide(&mut table);
    Ok(table)
}

/// Masks the secrets of a table that is to be shown.
pub(super) fn hide(table: &mut Table) {
    hide_within("", table);
}

/// The same, of the table that this key has.
fn hide_within(within: &str, table: &mut Table) {
    for (key, value) in table {
        let names_file = matches!(value, Value::String(text) if is_key_file(within, text));
        let is_harmless = key == "key" && (is_counted_by(value) || names_file);
        match value {
            Value::Array(lines) if key == API_KEYS => lines.iter_mut().for_each(hide_api_key),
            value => hide_value(key, value, is_secret(key) && !is_harmless),
        }
    }
}

/// Masks what a line of an API key holds, but for what it says besides its hash.
fn hide_api_key(line: &mut Value) {
    match line {
        Value::Table(line) => line.iter_mut().for_each(|(key, value)| hide_value(key, value, !OF_API_KEYS.contains(&key.as_str()))),
        line => hide_value(API_KEYS, line, true),
    }
}

fn hide_value(key: &str, value: &mut Value, is_hidden: bool) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| hide_value(key, value, is_hidden)),
        Value::Table(table) if is_hidden => {
            let is_named = |key: &str| matches!(key, "env" | "file");
            table.iter_mut().for_each(|(key, value)| hide_value(key, value, !is_named(key)));
        }
        Value::Table(table) => hide_within(key, table),
        Value::Boolean(_) => {}
        Value::String(text) if is_private(text) => *value = MASK.into(),
        _ if is_hidden => *value = MASK.into(),
        Value::String(text) => {
            if let Some(query) = query_at(text) {
                text.replace_range(query.., MASK);
            }
            if let Some(user) = user_of(text) {
                text.replace_range(user, MASK);
            }
        }
        _ => {}
    }
}

fn is_counted_by(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(is_counted_by),
        Value::String(text) => is_count(text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_whatever_its_type_takes_it_for_and_nothing_else() {
        for (written, shown) in [
            ("secret = \"hunter2\"", "secret = \"********\""),
            ("secret = [\"hunter2\", { env = \"A\" }]", "secret = [\"********\", { env = \"A\" }]"),
            ("api_key = \"hunter2\"", "api_key = \"********\""),
            ("password = { env = \"A\", default = \"hunter2\" }", "password = { default = \"********\", env = \"A\" }"),
            ("token = { file = \"a\", pin = 1234, hot = true }", "token = { file = \"a\", hot = true, pin = \"********\" }"),
            ("inner = { client_secret = \"hunter2\" }", "inner = { client_secret = \"********\" }"),
            ("list = [{ password = \"hunter2\" }]", "list = [{ password = \"********\" }]"),
            ("pem = \"-----BEGIN PRIVATE KEY-----\"", "pem = \"********\""),
            ("secret = { env = \"-----BEGIN PRIVATE KEY-----\" }", "secret = { env = \"********\" }"),
            ("key = [\"ip/24\", \"user\"]", "key = [\"ip/24\", \"user\"]"),
            ("key = [\"ip/24\", \"hunter2\"]", "key = [\"********\", \"********\"]"),
            ("tls = { cert = \"a.pem\", key = \"a.key\" }", "tls = { cert = \"a.pem\", key = \"a.key\" }"),
            ("certificates = [{ key = \"a.key\" }]", "certificates = [{ key = \"a.key\" }]"),
            ("tls = { key = \"MIGH\\nMIGH\" }", "tls = { key = \"********\" }"),
            ("keys = [{ name = \"a\", sha256 = \"f\" }, \"hunter2\"]", "keys = [{ name = \"a\", sha256 = \"********\" }, \"********\"]"),
            ("url = \"https://a.example.com/b?key=hunter2\"", "url = \"https://a.example.com/b?********\""),
            ("url = \"https://a.example.com/b\"", "url = \"https://a.example.com/b\""),
            ("path = \"/b?c\"", "path = \"/b?c\""),
            ("keep = 5", "keep = 5"),
        ] {
            let table: Table = written.parse().unwrap();
            assert_eq!(Value::Table(expanded(&table).unwrap()), Value::Table(shown.parse().unwrap()), "{written}");
        }
    }
}
