//! `wsgate events`: what a running gateway reports, as it does.

use std::io::Write;

use crate::engine::control::protocol::{Follow, Verb};
use clap::{Args, ValueEnum};

use super::super::Failure;
use super::{Running, Screen};

#[derive(Args)]
#[command(after_help = "\
Each line is an event as a log with `format = \"json\"` has it; a reader that was too slow
finds {\"event\":\"missed\",\"events\":COUNT} in the place of what it has missed.")]
pub(crate) struct Arguments {
    /// Go on with those to come, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How many of the latest are printed first: all that are kept, or with -f none.
    #[arg(short = 'n', long, value_name = "COUNT")]
    last: Option<usize>,
    /// The least serious that are printed.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Only those of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    running: Running,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { follow, last, level, route, running } = arguments;
    let last = last.or(follow.then_some(0));
    let level = level.map(|level| match level {
        Level::Error => "error".to_owned(),
        Level::Warn => "warn".to_owned(),
        Level::Info => "info".to_owned(),
    });
    let answer = running.ask(Verb::Events(Follow { follow: *follow, last, level, route: route.clone() }))?;
    let mut out = Screen::open();
    answer.items(|event| {
        writeln!(out, "{event}")?;
        Ok(out.flush()?)
    })?;
    Ok(())
}
