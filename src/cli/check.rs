//! `wsgate check`: every fault of a file at once, and nothing started.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::document::Document;
use crate::config::fault::{Faults, KeyPath};
use crate::config::world::{Machine, Offline};
use crate::config::{Config, Spot, Told, World, report, unknown};
use crate::gateway::trial::prove;
use crate::gateway::{Catalog, Gateway};
use crate::stage::cells::Cells;
use clap::Args;
use serde::Serialize;

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to check; a folder, whose *.toml are read as one; or `-`, standard input. Left out, what WSGATE_CONFIG names, or
    /// gateway.toml.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same, as other commands take it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Let warnings count as faults.
    #[arg(long)]
    strict: bool,
    /// Look at nothing but the file: no variables, no other files, no names of hosts. What was left out is listed.
    #[arg(long)]
    offline: bool,
    /// Print a JSON object: config, fine, faults, summary, reporting, not_looked_at.
    #[arg(long)]
    json: bool,
}

/// What a check comes to, for programs.
#[derive(Serialize)]
struct Checked<'a> {
    /// What was checked, as it was named.
    config: &'a str,
    /// Whether a gateway could run on it: the exit code is 0.
    fine: bool,
    /// Faults and warnings by their places, the first hundred.
    faults: Vec<Told<'a>>,
    summary: Summary,
    /// The stages and rules that refuse nobody.
    reporting: Vec<String>,
    /// What the rest of the file rests on, and `--offline` left out.
    not_looked_at: Vec<NotLookedAt<'a>>,
}

/// Numbers of all of it.
#[derive(Serialize)]
struct Summary {
    faults: usize,
    warnings: usize,
    listeners: usize,
    routes: usize,
    /// Tests that hold.
    tests: usize,
}

/// Something beyond the file, and where the file names it.
#[derive(Serialize)]
struct NotLookedAt<'a> {
    what: &'a str,
    #[serde(flatten)]
    spot: Spot,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let path = &arguments.file.as_ref().or(arguments.config.as_ref()).cloned().unwrap_or_else(super::named);
    if let Some(missing) = super::missing(path).filter(|_| !arguments.json) {
        let hint = if path == Path::new(super::DEFAULT) { "; name another: wsgate check FILE" } else { "" };
        super::say(&format!("wsgate: {missing}{hint}"));
        return Err(Failure::Faults);
    }
    let document = super::read(path);
    let world: &(dyn World + Sync) = if arguments.offline { &Offline } else { &Machine };
    let (_, mut faults) = Gateway::compile_in(&document, catalog, &Cells::default(), world);
    let (held, failed) = super::block_on(prove(&document, catalog, world))?;
    faults.extend(failed);
    let checked = Checked::of(&document, &faults, held, &catalog.kinds(), arguments.strict, world);
    if arguments.json {
        super::print_json(&checked)?;
    } else {
        super::show(&document, &faults);
        checked.tell(&document, &faults)?;
    }
    if checked.fine { Ok(()) } else { Err(Failure::Faults) }
}

impl<'a> Checked<'a> {
    fn of(document: &'a Document, found: &'a Faults, held: usize, kinds: &[&str], strict: bool, world: &dyn World) -> Self {
        let (config, _) = Config::read_in(document, kinds, world);
        let config = config.unwrap_or_default();
        let (faults, warnings) = found.counts();
        let unknown = unknown(document, found).into_iter();
        Self {
            config: document.name(),
            fine: faults == 0 && !(strict && warnings > 0),
            faults: report(document, found),
            summary: Summary {
                faults,
                warnings,
                listeners: config.names("listener").count(),
                routes: config.names("route").count(),
                tests: held,
            },
            reporting: config.reporting().iter().map(KeyPath::to_string).collect(),
            not_looked_at: unknown.map(|fault| NotLookedAt { what: &fault.message, spot: document.spot(&fault.place) }).collect(),
        }
    }

    /// Tells a person what faults do not.
    fn tell(&self, document: &Document, found: &Faults) -> Result<(), Failure> {
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let Summary { faults, listeners, routes, tests, .. } = self.summary;
        let mut out = io::stdout().lock();
        if self.fine {
            let tests = if tests == 0 { String::new() } else { format!(", {} passed", count(tests, "test")) };
            writeln!(out, "{}: fine, {}, {}{tests}", self.config, count(listeners, "listener"), count(routes, "route"))?;
            if !self.reporting.is_empty() {
                writeln!(out, "in report mode, refusing nobody: {}", self.reporting.join(", "))?;
            }
        } else if faults == 0 {
            super::say("wsgate: warnings count as faults (--strict)");
        }
        if !self.not_looked_at.is_empty() {
            writeln!(out, "not looked at (--offline):")?;
        }
        for fault in unknown(document, found) {
            writeln!(out, "  {}: {}", document.position(&fault.place), fault.message)?;
        }
        Ok(())
    }
}
