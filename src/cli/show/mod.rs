//! `wsgate show`: a file, or what a running gateway has in force, with every default filled in, and where each value came from.

mod json;
mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::engine::control::facts::InForce;
use crate::engine::control::protocol::Verb;
use crate::gateway::Catalog;
use crate::gateway::expansion::{self, NotShown, Table};
use crate::stage::cells::Cells;
use clap::Args;
use serde_json::Value;

use super::Failure;
use super::control::{Running, Screen, plain, read};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to show; a folder, whose *.toml are read as one; or `-`, standard input. Left out, what WSGATE_CONFIG names, or
    /// gateway.toml.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same, as other commands take it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show what the gateway that runs on the file has in force, whatever the file says by now.
    #[arg(long)]
    live: bool,
    /// That gateway's control socket. Left out, what WSGATE_CONTROL names, or where it is found by the file.
    #[arg(long, value_name = "SOCKET", requires = "live")]
    control: Option<PathBuf>,
    /// Show this route alone, as it is in force: its listeners, its stages in the order they run, and what answers.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Print a JSON object: tables, each with kind, name, from and keys, each with value and from.
    #[arg(long)]
    json: bool,
}

/// What is shown.
struct Shown {
    tables: Vec<Table>,
    /// What it is called.
    name: String,
    /// Since when it is in force, of a gateway that runs.
    live: Option<InForce>,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let path = arguments.file.as_ref().or(arguments.config.as_ref()).cloned().unwrap_or_else(super::named);
    let shown = if arguments.live { live(arguments, path)? } else { saved(arguments, &path, catalog)? };
    if arguments.json {
        return super::print_json(&shown.json());
    }
    let mut out: Box<dyn Write> = if arguments.live { Box::new(Screen::open()) } else { Box::new(io::stdout().lock()) };
    shown.heading(arguments.route.as_deref()).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
    Ok(write!(out, "{}", text::text(&shown.tables))?)
}

/// What the file says.
fn saved(arguments: &Arguments, path: &Path, catalog: &Catalog) -> Result<Shown, Failure> {
    let (_, document, _) = super::compile(path, catalog, &Cells::default())?;
    match expansion::show(&document, catalog, arguments.route.as_deref()) {
        Ok(tables) => Ok(Shown { tables, name: document.name().to_owned(), live: None }),
        Err(NotShown::NoRoute(why)) => Err(Failure::Could(why)),
        Err(NotShown::Faults(faults)) => {
            super::show(&document, &faults);
            Err(Failure::Faults)
        }
    }
}

/// What is in force.
fn live(arguments: &Arguments, path: PathBuf) -> Result<Shown, Failure> {
    let answer = Running::on(path, arguments.control.clone()).ask(Verb::Show { route: arguments.route.clone() })?;
    let mut tables = Vec::new();
    let last = answer.items(|table| {
        tables.push(read(table)?);
        Ok(())
    })?;
    let live: InForce = read(&last.to_string())?;
    Ok(Shown { tables, name: live.config.clone(), live: Some(live) })
}

impl Shown {
    fn json(&self) -> Value {
        let live = self.live.as_ref().and_then(|live| serde_json::to_value(live).ok());
        let mut shown = live.and_then(|live| live.as_object().cloned()).unwrap_or_default();
        shown.insert("tables".to_owned(), json::tables(&self.tables));
        shown.into()
    }

    /// What stands above the tables.
    fn heading(&self, route: Option<&str>) -> Vec<String> {
        let route = route.map(|route| format!("route.{} of ", route.strip_prefix("route.").unwrap_or(route))).unwrap_or_default();
        let in_force = self.live.as_ref().map(|live| format!(" as it is in force, generation {} since {},", live.generation, live.since));
        let (name, in_force) = (&self.name, in_force.unwrap_or_default());
        let what = "with every default filled in, and where each value came from. Secrets are masked.";
        let mut lines = vec![format!("{route}{name}{in_force} {what}")];
        let Some(live) = &self.live else { return lines };
        lines.extend(live.rolled_back.iter().map(|back| {
            format!(
                "ROLLED BACK to the text of generation {} at {}: lines are of that text, and the file is NOT in force.",
                back.to, back.at
            )
        }));
        if let Some(refused) = &live.refused {
            lines.push(format!("REFUSED at {}: lines are of the text before, and the file as it is saved is not in force:", refused.at));
            lines.extend(refused.faults.lines().map(|fault| format!("  {}", plain(fault))));
        }
        lines
    }
}
