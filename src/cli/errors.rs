//! `wsgate errors`: the table of outcomes.

use std::io::{self, Write};

use wsgate::gateway::Catalog;
use wsgate::stage::refusal::{Level, TABLE};

use super::Failure;

pub(crate) fn run(catalog: &Catalog) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:<28} {:>4}  {:>5}  {:<5}  WHEN", "ID", "HTTP", "CLOSE", "LOG")?;
    for row in TABLE.iter().chain(&catalog.outcomes()) {
        let number = |code: Option<u16>| code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let level = match row.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        };
        writeln!(out, "{:<28} {:>4}  {:>5}  {level:<5}  {}", row.id, number(row.status), number(row.code), row.summary)?;
    }
    writeln!(out)?;
    writeln!(out, "HTTP: the status a client gets whose upgrade is refused. CLOSE: the close code it gets once it is upgraded.")?;
    writeln!(out, "An [errors.NAME] stage words them differently, or changes close codes and log levels, per route.")?;
    Ok(())
}
