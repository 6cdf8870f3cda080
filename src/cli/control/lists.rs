//! `wsgate deny`, `undeny` and `revoke`: lists that the file names, edited by the gateway that goes by them.

use std::io::Write;

use crate::config::units::{Cidr, Interval};
use crate::engine::control::facts::Listed;
use crate::engine::control::protocol::{self, List, Verb};
use clap::{ArgGroup, Args};

use super::super::{Failure, print_json};
use super::{Running, Screen, count, plain};

/// Until when, and why.
#[derive(Args)]
struct Term {
    /// How long, as "2h"; for good where it is left out.
    #[arg(long, value_name = "TIME", conflicts_with = "until")]
    r#for: Option<Interval>,
    /// Until when, as 2027-01-31T18:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Why, for whoever reads the list and the log.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Args)]
#[command(after_help = "\
It is written to a file that a firewall of the gateway's config names in `deny_files`, and the
config is put in force with it: who is on is closed at once. A saved edit of the config that is
not in force yet stays so.")]
pub(crate) struct Deny {
    /// The addresses.
    cidr: Cidr,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    list: FirewallList,
    /// Close more connections than `max_closed` allows, if it takes that.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    running: Running,
}

#[derive(Args)]
pub(crate) struct Undeny {
    /// The addresses, as they stand in the list.
    cidr: Cidr,
    #[command(flatten)]
    list: FirewallList,
    #[command(flatten)]
    running: Running,
}

/// Which list of a firewall.
#[derive(Args)]
struct FirewallList {
    /// The firewall whose list it is, where there are several.
    #[arg(long, value_name = "NAME")]
    firewall: Option<String>,
    /// The list, as the config names it, where there are several.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["jti", "sub", "kid", "ip"])), after_help = "\
It is written to a file that a `revoked` stage of the gateway's config names in `files`, and the
config is put in force with it: who is on is closed at once.")]
pub(crate) struct Revoke {
    /// A token, by its id.
    #[arg(long)]
    jti: Option<String>,
    /// A user, by the `sub` of the tokens.
    #[arg(long)]
    sub: Option<String>,
    /// A key, by its id.
    #[arg(long)]
    kid: Option<String>,
    /// Addresses.
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
    #[command(flatten)]
    term: Term,
    /// The revoked stage whose list it is, where there are several.
    #[arg(long, value_name = "NAME")]
    revoked: Option<String>,
    /// The list, as the config names it, where there are several.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Close more connections than `max_closed` allows, if it takes that.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    running: Running,
}

impl FirewallList {
    fn list(&self) -> List {
        List { stage: self.firewall.clone(), file: self.file.clone() }
    }
}

pub(crate) fn deny(arguments: &Deny) -> Result<(), Failure> {
    let Deny { cidr, term, list, force, running } = arguments;
    let (r#for, until, note) = (term.r#for, term.until.clone(), term.note.clone());
    tell(running, Verb::Deny(protocol::Deny { cidr: *cidr, r#for, until, note, list: list.list(), force: *force }))
}

pub(crate) fn undeny(arguments: &Undeny) -> Result<(), Failure> {
    tell(&arguments.running, Verb::Undeny(protocol::Undeny { cidr: arguments.cidr, list: arguments.list.list() }))
}

pub(crate) fn revoke(arguments: &Revoke) -> Result<(), Failure> {
    let Revoke { jti, sub, kid, ip, term, revoked, file, force, running } = arguments;
    let named = [("jti", jti), ("sub", sub), ("kid", kid), ("ip", ip)];
    let Some((kind, value)) = named.into_iter().find_map(|(kind, value)| Some((kind.to_owned(), value.clone()?))) else { return Ok(()) };
    let (r#for, until, note) = (term.r#for, term.until.clone(), term.note.clone());
    let list = List { stage: revoked.clone(), file: file.clone() };
    tell(running, Verb::Revoke(protocol::Revoke { kind, value, r#for, until, note, list, force: *force }))
}

fn tell(running: &Running, verb: Verb) -> Result<(), Failure> {
    let (listed, json): (Listed, _) = running.ask_once(verb)?;
    if running.json {
        return print_json(&json);
    }
    let mut out = Screen::open();
    let removed = listed.removed.iter().map(|line| ("taken out", line));
    for (done, line) in removed.chain(listed.added.iter().map(|line| ("added", line))) {
        writeln!(out, "{}: {done}: {}", listed.file, plain(line))?;
    }
    writeln!(out, "{} closed", count(listed.closed, "connection"))?;
    Ok(listed.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))?)
}
