//! `wsgate status`: how a running gateway does.

use std::io::{self, Write};
use std::time::Duration;

use crate::engine::control::facts::{KeySetStatus, RouteStatus, Status};
use crate::engine::control::protocol::Verb;
use clap::Args;

use super::super::{Failure, print_json};
use super::{Running, Screen, count};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Say only whether clients may be sent there: exit code 0 if so, 1 if not.
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    running: Running,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (status, json): (Status, _) = arguments.running.ask_once(Verb::Status)?;
    let ready = match (&status.unready, arguments.ready) {
        (Some(why), true) => Err(Failure::Could(format!("not ready: {why}"))),
        _ => Ok(()),
    };
    let mut out = Screen::open();
    match (arguments.running.json, arguments.ready) {
        (true, _) => print_json(&json)?,
        (false, true) if ready.is_ok() => writeln!(out, "ready")?,
        (false, true) => {}
        (false, false) => tell(&mut out, &status)?,
    }
    ready
}

fn tell(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let Status { version, pid, config, started, generation, since, connections, leaving, handshakes, .. } = status;
    writeln!(out, "{config}: {}, generation {generation} since {since}", status.unready.as_deref().unwrap_or("ready"))?;
    writeln!(out, "wsgate {version}, process {pid}, started {started}")?;
    if let Some(rolled_back) = &status.rolled_back {
        let (to, at) = (rolled_back.to, &rolled_back.at);
        writeln!(out, "ROLLED BACK to the text of generation {to} at {at}: the file is NOT in force until it changes, or `wsgate reload`")?;
    }
    if let Some(refused) = &status.refused {
        writeln!(out, "REFUSED at {}: the file as it is saved is not in force", refused.at)?;
        refused.faults.lines().try_for_each(|fault| writeln!(out, "  {}", super::plain(fault)))?;
    }
    let leaving = if *leaving > 0 { format!(" ({leaving} to be closed in their turn)") } else { String::new() };
    writeln!(out, "{}{leaving}, {}", count(*connections, "connection"), count(*handshakes, "handshake"))?;
    let rows: Vec<Vec<String>> = status.routes.iter().map(|route| row(route, *generation)).collect();
    write!(out, "{}", super::table(&rows))?;
    status.key_sets.iter().try_for_each(|set| tell_key_set(out, set))?;
    if !status.reporting.is_empty() {
        writeln!(out, "in report mode, refusing nobody: {}", status.reporting.join(", "))?;
    }
    Ok(())
}

fn tell_key_set(out: &mut impl Write, set: &KeySetStatus) -> io::Result<()> {
    let KeySetStatus { set, keys, age, error, .. } = set;
    // It comes from a provider, or speaks of what does.
    let set = super::plain(set);
    match age.map(|age| super::age(Duration::from_secs(age).as_secs_f64())) {
        Some(age) => write!(out, "key set {set}: {}, fetched {age} ago", count(*keys, "key"))?,
        None => write!(out, "key set {set}: NEVER FETCHED, nobody it is for can be let in")?,
    }
    error.iter().try_for_each(|error| write!(out, "; it FAILS now: {}", super::plain(error)))?;
    writeln!(out)
}

/// A route's connections; those that go by an earlier config are told apart.
fn row(route: &RouteStatus, generation: u64) -> Vec<String> {
    let RouteStatus { route, connections, generations } = route;
    let earlier = generations.iter().filter(|(of, _)| **of != generation);
    let earlier: Vec<String> = earlier.map(|(of, connections)| format!("{connections} by generation {of}")).collect();
    vec![format!("  route.{route}"), connections.to_string(), earlier.join(", ")]
}
