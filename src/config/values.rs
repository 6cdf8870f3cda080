//! What is judged value by value, before any table's own shape: secrets, dates, and variables of the environment.

use std::collections::BTreeSet;

use super::dom::{Node, Value};
use super::environment::{self, Environment};
use super::fault::{Fault, Faults, KeyPath};
use super::mask::SECRET;
use super::units;

/// Walks over the tables of a file.
pub(super) struct Walk<'a> {
    /// Where variables come from.
    pub(super) environment: Environment<'a>,
    /// What was found.
    pub(super) faults: &'a mut Faults,
    /// The values that a fault was told of.
    pub(super) faulty: &'a mut BTreeSet<KeyPath>,
}

impl Walk<'_> {
    /// Judges all below the table at this path, and puts variables in.
    pub(super) fn table(&mut self, node: &mut Node, at: &KeyPath) {
        for (key, entry) in node.as_table_mut().into_iter().flatten() {
            let at = at.key(key);
            if key == SECRET { self.secret(&entry.node, &at) } else { self.value(&mut entry.node, &at) }
        }
    }

    fn value(&mut self, node: &mut Node, at: &KeyPath) {
        match &mut node.value {
            Value::String(text) if environment::is_asked_for(text) && !self.faulty.contains(at) => match self.environment.fill(text, at) {
                Ok(filled) => *text = filled,
                Err(fault) => self.fault(fault, at),
            },
            Value::Datetime(written) if written.date.is_some() => {
                if let Some(what) = units::missing_part(written) {
                    self.fault(Fault::said(at.clone(), &what), at);
                }
            }
            Value::List(list) => list.iter_mut().enumerate().for_each(|(index, node)| self.value(node, &at.index(index))),
            Value::Table(_) => self.table(node, at),
            _ => {}
        }
    }

    /// A secret, or a list of them: read as it is written, never changed and never printed.
    fn secret(&mut self, node: &Node, at: &KeyPath) {
        match &node.value {
            Value::String(literal) => self.literal(literal, at),
            Value::List(list) => list.iter().enumerate().for_each(|(index, node)| self.secret(node, &at.index(index))),
            Value::Table(table) => {
                for (key, entry) in table {
                    let Value::String(text) = &entry.node.value else { continue };
                    if environment::is_asked_for(text) {
                        let at = at.key(key);
                        let hint = if key == "file" { "write the path itself".to_owned() } else { by_variable(text) };
                        self.fault(Fault::new(at.clone(), "variables are not put into secrets").hint(hint), &at);
                    }
                }
            }
            _ => {}
        }
    }

    fn literal(&mut self, literal: &str, at: &KeyPath) {
        if environment::is_asked_for(literal) {
            self.fault(Fault::new(at.clone(), "variables are not put into secrets").hint(by_variable(literal)), at);
        } else if looks_like_a_path(literal) {
            let hint = "write { file = \"PATH\" } to read it from there; a secret that only looks so is given by { env = \"NAME\" }";
            self.fault(Fault::new(at.clone(), "the secret looks like the path of a file").hint(hint), at);
        } else if !self.faulty.contains(at) {
            let hint = "give it by { env = \"NAME\" } or { file = \"PATH\" }";
            self.faults.push(Fault::warning(at.clone(), "the secret stands in the file itself").hint(hint));
        }
    }

    fn fault(&mut self, fault: Fault, at: &KeyPath) {
        if self.faulty.insert(at.clone()) {
            self.faults.push(fault);
        }
    }
}

/// How to name the variable that `${NAME}` meant.
fn by_variable(text: &str) -> String {
    let name = text.split_once("${").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(name, _)| name);
    let is_name = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    format!("write {{ env = \"{}\" }}", if is_name { name } else { "NAME" })
}

/// Whether this is the path of a file rather than a secret: `/run/secrets/jwt`, `./jwt.pem`, `C:\\jwt.key`.
fn looks_like_a_path(literal: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["/", "./", "../", "~/", "file:"];
    const ENDINGS: [&str; 7] = [".pem", ".key", ".crt", ".jwk", ".jwks", ".txt", ".secret"];
    let is_one_line = !literal.trim_end().contains(['\n', '\r']);
    is_one_line
        && (BEGINNINGS.iter().any(|start| literal.starts_with(start)) || ENDINGS.iter().any(|end| literal.trim_end().ends_with(end)))
}
