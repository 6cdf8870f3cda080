//! `wsgate ps`: the connections of a running gateway.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write;

use crate::config::units::Cidr;
use crate::engine::control::facts::Connection;
use crate::engine::control::protocol::{Selector, Verb};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::{Failure, print_json};
use super::{Running, Screen, age, plain, read};

/// Which connections.
#[derive(Args)]
pub(super) struct Selected {
    /// The one with this id, as logs write it.
    #[arg(long)]
    id: Option<String>,
    /// Those of clients of these addresses.
    #[arg(long, value_name = "CIDR")]
    ip: Option<Cidr>,
    /// Those of this user.
    #[arg(long)]
    user: Option<String>,
    /// Those of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Those that are connected to this server, as the file writes it.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl Selected {
    pub(super) fn selector(&self) -> Selector {
        let Self { id, ip, user, route, server } = self;
        Selector { id: id.clone(), ip: *ip, user: user.clone(), route: route.clone(), server: server.clone() }
    }
}

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selected: Selected,
    /// Count them by this instead, the most first.
    #[arg(long, value_name = "WHAT")]
    top: Option<Top>,
    /// How many lines at most.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    running: Running,
}

/// What connections are counted by.
#[derive(Clone, Copy, ValueEnum)]
enum Top {
    Ip,
    User,
    Route,
}

/// How many connections have something in common.
#[derive(Serialize)]
struct Group {
    value: Option<String>,
    connections: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut connections: Vec<Connection> = Vec::new();
    let answer = arguments.running.ask(Verb::Ps(arguments.selected.selector()))?;
    answer.items(|item| {
        connections.push(read(item)?);
        Ok(())
    })?;
    let limit = arguments.limit.unwrap_or(usize::MAX);
    if let Some(top) = arguments.top {
        return count(&connections, top, limit, arguments.running.json);
    }
    connections.sort_by(|one, other| other.age.total_cmp(&one.age));
    connections.truncate(limit);
    if arguments.running.json {
        return print_json(&connections);
    }
    let head =
        ["ID", "AGE", "ROUTE", "IP", "USER", "EXPIRES IN", "SERVER", "FROM CLIENT", "FROM BACKEND", "GEN"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(connections.iter().map(row)).collect();
    Ok(write!(Screen::open(), "{}", super::table(&rows))?)
}

fn row(connection: &Connection) -> Vec<String> {
    let told = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), plain);
    let passed = |messages: u64, bytes: u64| format!("{messages} / {}", size(bytes));
    vec![
        connection.id.clone(),
        age(connection.age),
        connection.route.clone(),
        connection.ip.clone(),
        told(&connection.user),
        connection.expires_in.map_or_else(|| "-".to_owned(), age),
        told(&connection.server),
        passed(connection.client_messages, connection.client_bytes),
        passed(connection.upstream_messages, connection.upstream_bytes),
        format!("{}{}", connection.generation, if connection.ending { ", ending" } else { "" }),
    ]
}

fn count(connections: &[Connection], top: Top, limit: usize, json: bool) -> Result<(), Failure> {
    let mut counts: HashMap<Option<&str>, usize> = HashMap::new();
    for connection in connections {
        let value = match top {
            Top::Ip => Some(&*connection.ip),
            Top::User => connection.user.as_deref(),
            Top::Route => Some(&*connection.route),
        };
        *counts.entry(value).or_default() += 1;
    }
    let mut groups: Vec<Group> =
        counts.into_iter().map(|(value, connections)| Group { value: value.map(str::to_owned), connections }).collect();
    groups.sort_by(|one, other| (Reverse(one.connections), &one.value).cmp(&(Reverse(other.connections), &other.value)));
    groups.truncate(limit);
    if json {
        return print_json(&groups);
    }
    let mut out = Screen::open();
    for Group { value, connections } in groups {
        writeln!(out, "{connections:>7}  {}", value.as_deref().map_or_else(|| "-".to_owned(), plain))?;
    }
    Ok(())
}

/// `512B`, `1.5KiB`.
fn size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >> shift > 0 {
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_and_sizes_are_short() {
        for (seconds, said) in [(0.9, "0s"), (59.9, "59s"), (60.0, "1m"), (7_199.0, "1h"), (90_000.0, "1d")] {
            assert_eq!(age(seconds), said);
        }
        for (bytes, said) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"), (5 << 30, "5.0GiB"), (u64::MAX, "17179869183.9GiB")]
        {
            assert_eq!(size(bytes), said);
        }
    }
}
