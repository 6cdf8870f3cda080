//! From the file's `[log.*]` tables to open logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use crate::config::table::{Console, LogFormat, LogLevel, LogTable, Only, Period, Rotate};
use crate::gateway::Gateway;
use crate::observe::Logs;
use crate::observe::rotate::{self, Rotation};
use crate::observe::select::{self, Selection};
use crate::observe::sink::{Destination, Format, Place, Sink};

/// Opens every log of the file; one to standard error where it has none, so that a gateway is never silent.
///
/// # Errors
/// The first that cannot be opened, with its name. What is open stays as it is.
pub fn open(logs: &Logs, gateway: &Gateway) -> Result<Vec<Sink>, String> {
    let fallback = BTreeMap::from([("console".to_owned(), LogTable { console: Some(Console::Stderr), ..LogTable::default() })]);
    let tables = if gateway.logs.is_empty() { &fallback } else { &gateway.logs };
    let open = |(name, table): (&String, &LogTable)| {
        let opened = logs.open(destination(name, table, gateway));
        opened.map_err(|error| format!("{error} (log.{name})"))
    };
    tables.iter().map(open).collect()
}

fn destination(name: &str, table: &LogTable, gateway: &Gateway) -> Destination {
    let place = match (&table.file, table.console) {
        (Some(file), _) => Place::File { path: gateway.folder.join(file), rotation: rotation(table.rotate.as_ref()) },
        (None, Some(Console::Stdout)) => Place::Stdout,
        (None, Some(Console::Stderr) | None) => Place::Stderr,
    };
    let format = match table.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let level = match table.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
    };
    let only = table.only.map(|only| match only {
        Only::Access => select::Only::Access,
        Only::Errors => select::Only::Errors,
    });
    let routes: Vec<Arc<str>> = table.routes.iter().flat_map(|routes| routes.iter()).map(|name| name.as_str().into()).collect();
    Destination { name: name.into(), place, format, selection: Selection { level, routes, only } }
}

fn rotation(rotate: Option<&Rotate>) -> Rotation {
    rotate.map_or_else(Rotation::default, |rotate| Rotation {
        size: rotate.size,
        every: rotate.every.map(|Period::Day| rotate::Period::Day),
        keep: u16::try_from(rotate.keep.get()).unwrap_or(u16::MAX),
    })
}
