//! `wsgate plan`, `reload` and `rollback`: what an edit comes to, before and after.

use std::io::Write;
use std::path::PathBuf;

use crate::engine::control::facts::{Closed, Outcome, RouteOutcome};
use crate::engine::control::protocol::Verb;
use clap::Args;
use serde_json::{Value, json};

use super::super::{Failure, print_json, say};
use super::{Running, Screen, count};

#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing would change, 1 could not do it, 2 the file has faults, 3 something would change.")]
pub(crate) struct Plan {
    /// The file or folder to judge in the place of the one that is served; left out, that one as it is saved.
    #[arg(value_name = "FILE")]
    edit: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
}

#[derive(Args)]
pub(crate) struct Reload {
    /// Close more connections than `max_closed` allows, if it takes that.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    running: Running,
}

#[derive(Args)]
pub(crate) struct Rollback {
    /// Close more connections than `max_closed` allows, if it takes that.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    running: Running,
}

pub(crate) fn plan(arguments: &Plan) -> Result<(), Failure> {
    // The gateway has a working directory of its own.
    let file = arguments.edit.as_deref().map(std::path::absolute).transpose()?;
    let (outcome, json) = ask(&arguments.running, Verb::Plan { file })?;
    if arguments.running.json {
        print_json(&json)?;
    } else {
        tell(&outcome, "nothing would change")?;
    }
    if outcome.changes { Err(Failure::WouldChange) } else { Ok(()) }
}

pub(crate) fn reload(arguments: &Reload) -> Result<(), Failure> {
    let (outcome, json) = ask(&arguments.running, Verb::Reload { force: arguments.force })?;
    if arguments.running.json {
        return print_json(&json);
    }
    tell(&outcome, "nothing has changed")
}

pub(crate) fn rollback(arguments: &Rollback) -> Result<(), Failure> {
    let (outcome, json) = ask(&arguments.running, Verb::Rollback { force: arguments.force })?;
    if arguments.running.json {
        return print_json(&json);
    }
    tell(&outcome, "nothing has changed")?;
    let to = outcome.rolled_back_to.unwrap_or_default();
    say(&format!(
        "wsgate: the text of generation {to} is in force; the file is as it was and is NOT in force, until it changes, or `wsgate reload`"
    ));
    Ok(())
}

/// Asks, and tells the faults of a text that has any.
fn ask(running: &Running, verb: Verb) -> Result<(Outcome, Value), Failure> {
    match running.ask_once(verb) {
        Err(Failure::Told(faulty)) => {
            if running.json {
                print_json(&json!({ "faults": faulty.faults }))?;
            } else {
                say(faulty.rendered.trim_end());
            }
            Err(Failure::Faults)
        }
        answered => answered,
    }
}

fn tell(outcome: &Outcome, nothing: &str) -> Result<(), Failure> {
    let mut out = Screen::open();
    if let Some(generation) = outcome.generation {
        writeln!(out, "generation {generation} is in force")?;
    }
    if !outcome.changes {
        writeln!(out, "{nothing}")?;
    }
    for (word, tables) in [("added", &outcome.added), ("changed", &outcome.changed), ("removed", &outcome.removed)] {
        if !tables.is_empty() {
            writeln!(out, "{word}: {}", tables.join(", "))?;
        }
    }
    for route in &outcome.routes {
        writeln!(out, "{}", line(route))?;
        for closed in &route.closed {
            writeln!(out, "    {}", why(closed))?;
        }
    }
    let Outcome { kept, judged_again, closed, .. } = outcome;
    writeln!(
        out,
        "{}: {kept} kept, {judged_again} judged again and kept, {closed} closed",
        count(kept + judged_again + closed, "connection")
    )?;
    outcome.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))?;
    if let Some(refused) = &outcome.refused {
        writeln!(out, "it would be refused: {refused}")?;
    }
    Ok(())
}

/// `route.chat: changed (firewall.office): 3 kept, 2 closed`.
fn line(route: &RouteOutcome) -> String {
    let closed = route.closed.iter().map(|closed| closed.connections).sum();
    let counts = [(route.kept, "kept"), (route.judged_again, "judged again and kept"), (closed, "closed")];
    let counts: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let because = match route.because.iter().filter(|table| **table != format!("route.{}", route.route)).collect::<Vec<_>>() {
        tables if tables.is_empty() => String::new(),
        // Its own table is named where it is not the only reason.
        _ => format!(" ({})", route.because.join(", ")),
    };
    let counts = if counts.is_empty() { "no connections".to_owned() } else { counts.join(", ") };
    format!("route.{}: {}{because}: {counts}", route.route, route.fate)
}

fn why(closed: &Closed) -> String {
    let by = [&closed.stage, &closed.rule].into_iter().flatten().map(|by| format!(" {}", super::plain(by))).collect::<String>();
    format!("{} {}{}{by}", closed.connections, closed.outcome, if by.is_empty() { "" } else { ":" })
}
