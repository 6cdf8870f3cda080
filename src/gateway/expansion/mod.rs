//! A file as it is in force: every key with its value, and where that came from. What `wsgate show` prints.

mod inline;
mod keys;
mod tables;
mod values;
mod way;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::config::document::Document;
use crate::config::fault::Faults;

use super::catalog::Catalog;
use tables::Expander;

pub use way::expand_route;

/// A table with every key its kind has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// The kind.
    pub kind: String,
    /// The name; empty for `[gateway]` and for what has no table in the file.
    pub name: String,
    /// Where it came from.
    pub from: Origin,
    /// Its keys, those that nobody set among them.
    pub keys: Vec<Key>,
}

/// A key of a table, or of a table within it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// The way to it: its name, behind those of the tables it stands within.
    pub path: Vec<String>,
    /// Its value, secrets masked and variables as they are written; nothing where nobody sets it and it has no default.
    #[serde(with = "inline")]
    pub value: Option<toml::Value>,
    /// Where the value came from.
    pub from: Origin,
    /// Where each element came from, of a list.
    pub elements: Vec<Origin>,
}

/// Where a value came from; a line is `file:line`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Its own table sets it, on this line.
    File(String),
    /// `[gateway.route]` sets it for all routes, on this line.
    Gateway(String),
    /// The shared pipeline of this name has it, on this line.
    Pipeline(String, String),
    /// The file does not say which, and there is one only.
    Only,
    /// The built-in default.
    Default,
    /// Nobody sets it; with what that means, where its kind says so.
    Unset(Option<String>),
    /// No table: a bare `"kind"` stands for it.
    Bare,
    /// No table: the URL of its one server, written so, stands for it.
    Url(String),
}

impl Origin {
    /// Whether there is no table of it in the file, so that none could be written for it and referred to in the same way.
    pub fn has_no_table(&self) -> bool {
        matches!(self, Self::Bare | Self::Url(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => f.write_str(line),
            Self::Gateway(line) => write!(f, "[gateway.route] {line}"),
            Self::Pipeline(name, line) => write!(f, "[pipeline.{name}] {line}"),
            Self::Only => f.write_str("the only one there is"),
            Self::Default => f.write_str("default"),
            Self::Unset(None) => f.write_str("not set"),
            Self::Unset(Some(meaning)) => write!(f, "not set: {meaning}"),
            Self::Bare => f.write_str("named without a table, so every key has its default"),
            Self::Url(url) => write!(f, "\"{url}\" alone, so every other key has its default"),
        }
    }
}

/// Every table of a document in force, whose faults do not refuse it: the gateway, listeners, routes and pipelines, then stages and
/// endpoints, upstreams, logs and the rest of the frame, each by name. Behind those of a kind stands what is named without a table.
///
/// # Errors
/// The faults of a file that cannot be read.
pub fn expand(document: &Document, catalog: &Catalog) -> Result<Vec<Table>, Faults> {
    let config = read(document, catalog)?;
    Expander::new(document, &config, catalog).tables()
}

/// What is shown of a document in force: all of it, or what connections of a route meet, whether or not the kind stands before its name.
///
/// # Errors
/// Why nothing is.
pub fn show(document: &Document, catalog: &Catalog, route: Option<&str>) -> Result<Vec<Table>, NotShown> {
    let Some(route) = route else { return Ok(expand(document, catalog)?) };
    let route = route.strip_prefix("route.").unwrap_or(route);
    if let Some(tables) = expand_route(document, catalog, route)? {
        return Ok(tables);
    }
    let config = read(document, catalog)?;
    let names: Vec<String> = config.routes().map(|route| format!("route.{}", route.name)).collect();
    let there = if names.is_empty() { "no routes".to_owned() } else { names.join(", ") };
    Err(NotShown::NoRoute(format!("{} has no [route.{route}]; it has {there}", document.name())))
}

/// Why nothing is shown.
#[derive(Debug)]
pub enum NotShown {
    /// The file cannot be read.
    Faults(Faults),
    /// It has no such route; with those that it has.
    NoRoute(String),
}

impl From<Faults> for NotShown {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

fn read(document: &Document, catalog: &Catalog) -> Result<Config, Faults> {
    match Config::read(document, &catalog.kinds()) {
        (Some(config), faults) if !faults.refuse() => Ok(config),
        (_, faults) => Err(faults),
    }
}
