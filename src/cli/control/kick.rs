//! `wsgate kick`: ends connections of a running gateway.

use std::io::{self, Write};

use crate::engine::control::facts::Kicked;
use crate::engine::control::protocol::{Kick, Verb};
use clap::{ArgGroup, Args};

use super::super::{Failure, print_json};
use super::ps::Selected;
use super::{Running, count};

#[derive(Args)]
#[command(
    group(ArgGroup::new("whom").required(true).multiple(true).args(["id", "ip", "user", "route", "server", "all"])),
    after_help = "Those are ended to which everything that is selected applies."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selected: Selected,
    /// Every connection.
    #[arg(long, conflicts_with_all = ["id", "ip", "user", "route", "server"])]
    all: bool,
    /// Only count them.
    #[arg(long)]
    dry_run: bool,
    /// The close code; 3003 where the route does not say otherwise.
    #[arg(long)]
    code: Option<u16>,
    /// What clients are told, in 123 bytes at most.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    running: Running,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { selected, all, dry_run, code, reason, running } = arguments;
    let kick = Kick { selector: selected.selector(), all: *all, dry_run: *dry_run, code: *code, reason: reason.clone() };
    let (kicked, json): (Kicked, _) = running.ask_once(Verb::Kick(kick))?;
    if running.json {
        return print_json(&json);
    }
    let would = if kicked.dry_run { "would end" } else { "ended" };
    Ok(writeln!(io::stdout(), "{would} {}", count(kicked.connections, "connection"))?)
}
