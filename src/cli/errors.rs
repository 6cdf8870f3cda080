//! `wsgate errors`: the table of outcomes.

use std::io::{self, Write};

use crate::gateway::Catalog;
use crate::stage::refusal::{Level, Outcome, TABLE};
use clap::Args;
use serde::Serialize;

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print a JSON array of objects: id, status, code, upstream_code, reason, level, summary.
    #[arg(long)]
    json: bool,
}

/// A row for programs; `null` where there is no status or code.
#[derive(Serialize)]
struct Row {
    id: &'static str,
    status: Option<u16>,
    code: Option<u16>,
    upstream_code: u16,
    reason: &'static str,
    level: &'static str,
    summary: &'static str,
}

impl From<&Outcome> for Row {
    fn from(row: &Outcome) -> Self {
        let Outcome { id, status, code, upstream_code, reason, level, summary } = *row;
        let level = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        };
        Self { id, status, code, upstream_code, reason, level, summary }
    }
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let rows: Vec<Row> = TABLE.iter().chain(&catalog.outcomes()).map(Row::from).collect();
    if arguments.json {
        return super::print_json(&rows);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{:<28} {:>4}  {:>5}  {:<5}  WHEN", "ID", "HTTP", "CLOSE", "LOG")?;
    let number = |code: Option<u16>| code.map_or_else(|| "-".to_owned(), |code| code.to_string());
    for row in rows {
        writeln!(out, "{:<28} {:>4}  {:>5}  {:<5}  {}", row.id, number(row.status), number(row.code), row.level, row.summary)?;
    }
    writeln!(out)?;
    writeln!(out, "HTTP: the status a client gets whose upgrade is refused. CLOSE: the close code it gets once it is upgraded.")?;
    writeln!(out, "An [errors.NAME] stage words them differently, or changes close codes and log levels, per route.")?;
    Ok(())
}
