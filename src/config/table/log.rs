//! `[log.NAME]`: where log lines go, and which.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Table;
use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::config::reference::Name;
use crate::config::units::{Count, Many, Size};

/// `[log.NAME]`: where log lines go, and which. Needs `file` or `console`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{ "required": ["file"] }, { "required": ["console"] }]))]
pub struct LogTable {
    /// The file to append to; relative to the config's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The stream to write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
    /// The least serious lines that are written.
    pub level: LogLevel,
    /// How a line is written.
    pub format: LogFormat,
    /// Only lines of these routes; a name or a list. Left out, of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub routes: Option<Many<Name>>,
    /// Only lines of this sort. Left out, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// When a new file is begun. Left out, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<Rotate>,
}

/// A stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Console {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// How serious a line is, the most serious first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Somebody must act.
    Error,
    /// Something was refused or retried.
    Warn,
    /// Nothing is wrong.
    #[default]
    Info,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people: a time, a level, words and `key=value`.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// A sort of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// What happens to connections: `open`, `sample`, `close`, `request`, `refused`, `would_refuse`, `left_out`,
    /// `token_expiring`, `renewed`, `renewal_refused`.
    Access,
    /// Warnings and errors of any kind.
    Errors,
}

/// `rotate`: when a new log file is begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("anyOf" = [{ "required": ["size"] }, { "required": ["every"] }]))]
pub struct Rotate {
    /// When the file has grown to this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// At the end of each of these, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// How many old files are kept.
    pub keep: Count,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { size: None, every: None, keep: Count::of(7) }
    }
}

/// How often a new file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Day,
}

impl Table for LogTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        match (&self.file, &self.console) {
            (None, None) => faults.push(
                Fault::new(at.clone(), format!("[{at}] needs `file` or `console`")).hint("write file = \"PATH\" or console = \"stderr\""),
            ),
            (Some(_), Some(_)) => faults.push(
                Fault::new(Place::Key(at.key("console")), "a log goes to a file or to the console, not to both")
                    .hint("write two logs")
                    .also(Place::Key(at.key("file")), "and here"),
            ),
            _ => {}
        }
        if let Some(rotate) = &self.rotate {
            let at = at.key("rotate");
            if self.console.is_some() && self.file.is_none() {
                faults.push(Fault::new(Place::Key(at), "only a file can be rotated"));
            } else if rotate.size.is_none() && rotate.every.is_none() {
                faults.push(Fault::new(at, "`rotate` does not say when").hint("write size = \"64MiB\" or every = \"day\""));
            }
        }
        if self.routes.as_ref().is_some_and(|routes| routes.is_empty()) {
            faults.push(Fault::new(at.key("routes"), "a log of no routes stays empty").hint("leave `routes` out for all"));
        }
    }
}
