//! The commands that reach a running gateway over its control socket.

mod answer;
pub(super) mod edit;
pub(super) mod events;
pub(super) mod kick;
pub(super) mod lists;
pub(super) mod ps;
mod reach;
mod screen;
pub(super) mod status;

use std::io::Write;
use std::path::PathBuf;

use crate::engine::control::protocol::{Request, VERSION, Verb};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, File};
use answer::Answer;

pub(super) use answer::read;
pub(super) use screen::{Screen, plain};

/// The variable that names a control socket.
const CONTROL: &str = "WSGATE_CONTROL";

/// Which gateway is meant, and how it answers.
#[derive(Args)]
pub(crate) struct Running {
    #[command(flatten)]
    file: File,
    /// The gateway's control socket; left out, where a gateway that runs on the file has it.
    #[arg(long, value_name = "SOCKET", env = CONTROL)]
    control: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Running {
    /// The gateway that runs on this config, or, where one is named here or by the environment, has this control socket.
    pub(super) fn on(config: PathBuf, control: Option<PathBuf>) -> Self {
        let named = || std::env::var_os(CONTROL).filter(|named| !named.is_empty()).map(PathBuf::from);
        Self { file: File { config }, control: control.or_else(named), json: false }
    }

    /// Asks the gateway.
    pub(super) fn ask(&self, verb: Verb) -> Result<Answer, Failure> {
        let (mut stream, socket) = self.reach()?;
        let patience = answer::patience(&verb);
        let mut request = serde_json::to_string(&Request { version: VERSION, verb }).map_err(Failure::could)?;
        request.push('\n');
        // A gateway that is too busy has answered already.
        _ = stream.write_all(request.as_bytes());
        Answer::new(stream, socket, patience)
    }

    /// Asks what is answered in one line.
    fn ask_once<T: DeserializeOwned>(&self, verb: Verb) -> Result<(T, Value), Failure> {
        self.ask(verb)?.done()
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `59s`, `3m`, `7h`, `12d`.
fn age(seconds: f64) -> String {
    for (unit, length) in [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)] {
        if seconds >= length {
            return format!("{:.0}{unit}", (seconds / length).floor());
        }
    }
    format!("{:.0}s", seconds.floor())
}

/// Columns as wide as their widest cell, the last as wide as it is.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
