//! `wsgate show`: a file with every default filled in, and where each value came from.

mod json;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use wsgate::gateway::Catalog;
use wsgate::gateway::expansion::{expand, expand_route};

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to show; left out, the one `--config` names.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// Show this route alone, as it is in force: its listeners, its stages in the order they run, and what answers.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    default: super::File,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.file.as_ref().unwrap_or(&arguments.default.config);
    let (gateway, document, _) = super::compile(path)?;
    let catalog = Catalog::default();
    // As references to it are written, too.
    let route = arguments.route.as_deref().map(|route| route.strip_prefix("route.").unwrap_or(route));
    let expanded = match route {
        Some(route) => expand_route(&document, &catalog, route),
        None => expand(&document, &catalog).map(Some),
    };
    let expanded = expanded.map_err(|faults| {
        super::show(&document, &faults);
        Failure::Faults
    })?;
    let Some(tables) = expanded else {
        let names: Vec<String> = gateway.routes.iter().map(|route| format!("route.{}", route.name)).collect();
        let there = if names.is_empty() { "no routes".to_owned() } else { names.join(", ") };
        return Err(Failure::could(format!("{} has no [route.{}]; it has {there}", path.display(), route.unwrap_or_default())));
    };
    let text = if arguments.json {
        json::text(&tables)?
    } else {
        let of = route.map(|route| format!("route.{route} of ")).unwrap_or_default();
        let title = format!("# {of}{} with every default filled in, and where each value came from. Secrets are masked.\n", path.display());
        title + &text::text(&tables)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
