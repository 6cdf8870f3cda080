//! `wsgate check`: every fault of a file at once, and nothing started.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to check; left out, the one `--config` names.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    default: super::File,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.file.as_ref().unwrap_or(&arguments.default.config);
    let (gateway, document, warnings) = super::compile(path)?;
    let tests = super::prove(&document, &gateway, &warnings)?;
    super::show(&document, &warnings);
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let listeners = count(gateway.listeners.len(), "listener");
    let routes = count(gateway.routes.len(), "route");
    let mut out = io::stdout();
    let tests = if tests == 0 { String::new() } else { format!(", {} passed", count(tests, "test")) };
    writeln!(out, "{}: fine, {listeners}, {routes}{tests}", path.display())?;
    if !gateway.reporting.is_empty() {
        writeln!(out, "in report mode, refusing nobody: {}", gateway.reporting.join(", "))?;
    }
    Ok(())
}
