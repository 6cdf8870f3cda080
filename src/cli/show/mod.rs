//! `wsgate show`: a file with every default filled in, and where each value came from.

mod json;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;

use crate::gateway::Catalog;
use crate::gateway::expansion::{expand, expand_route};
use crate::stage::cells::Cells;
use clap::Args;

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to show; a folder, whose *.toml are read as one; or `-`, standard input. Left out, what WSGATE_CONFIG names, or
    /// gateway.toml.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same, as other commands take it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show this route alone, as it is in force: its listeners, its stages in the order they run, and what answers.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Print a JSON object: tables, each with kind, name, from and keys, each with value and from.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let path = arguments.file.as_ref().or(arguments.config.as_ref()).cloned().unwrap_or_else(super::named);
    let (gateway, document, _) = super::compile(&path, catalog, &Cells::default())?;
    // As references to it are written, too.
    let route = arguments.route.as_deref().map(|route| route.strip_prefix("route.").unwrap_or(route));
    let expanded = match route {
        Some(route) => expand_route(&document, catalog, route),
        None => expand(&document, catalog).map(Some),
    };
    let expanded = expanded.map_err(|faults| {
        super::show(&document, &faults);
        Failure::Faults
    })?;
    let Some(tables) = expanded else {
        let names: Vec<String> = gateway.routes.iter().map(|route| format!("route.{}", route.name)).collect();
        let there = if names.is_empty() { "no routes".to_owned() } else { names.join(", ") };
        return Err(Failure::could(format!("{} has no [route.{}]; it has {there}", document.name(), route.unwrap_or_default())));
    };
    if arguments.json {
        return super::print_json(&json::shown(&tables));
    }
    let of = route.map(|route| format!("route.{route} of ")).unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(out, "# {of}{} with every default filled in, and where each value came from. Secrets are masked.", document.name())?;
    out.write_all(text::text(&tables).as_bytes())?;
    Ok(())
}
