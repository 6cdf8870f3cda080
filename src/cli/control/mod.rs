//! The commands that reach a running gateway over its control socket.

pub(super) mod edit;
pub(super) mod events;
pub(super) mod kick;
pub(super) mod lists;
pub(super) mod ps;
pub(super) mod status;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::config::units::Switch;
use crate::config::{Config, Document};
use crate::engine::control::place;
use crate::engine::control::protocol::{Reply, Request, VERSION, Verb};
use crate::gateway::Catalog;
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, File};

/// Which gateway is meant, and how it answers.
#[derive(Args)]
pub(crate) struct Running {
    #[command(flatten)]
    file: File,
    /// The gateway's control socket; left out, where a gateway that runs on the file has it.
    #[arg(long, value_name = "SOCKET", env = "WSGATE_CONTROL")]
    control: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An answer that is being read.
struct Answer {
    lines: io::Lines<BufReader<UnixStream>>,
    socket: PathBuf,
}

impl Running {
    /// Asks the gateway.
    fn ask(&self, verb: Verb) -> Result<Answer, Failure> {
        let (mut stream, socket) = self.connect()?;
        let mut request = serde_json::to_string(&Request { version: VERSION, verb }).map_err(Failure::could)?;
        request.push('\n');
        // A gateway that is too busy has answered already.
        _ = stream.write_all(request.as_bytes());
        Ok(Answer { lines: BufReader::new(stream).lines(), socket })
    }

    /// Asks what is answered in one line.
    fn ask_once<T: DeserializeOwned>(&self, verb: Verb) -> Result<(T, Value), Failure> {
        self.ask(verb)?.done()
    }

    fn connect(&self) -> Result<(UnixStream, PathBuf), Failure> {
        let places = self.places();
        let mut refused = None;
        for place in &places {
            match reach(place) {
                Ok(stream) => return Ok((stream, place.clone())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => refused = Some((place, error)),
            }
        }
        let file = self.file.config.display();
        Err(Failure::Could(match refused {
            Some((place, error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                format!("no gateway runs on {file}: nobody listens at {}", place.display())
            }
            Some((place, error)) => format!("cannot reach the gateway at {}: {error}", place.display()),
            None if self.control.is_some() => format!("there is no control socket {}", shown(&places)),
            None => {
                let others = others(&places);
                let hint =
                    if others.is_empty() { String::new() } else { format!("; there are {}: name one with --control", others.join(", ")) };
                format!("no gateway runs on {file}: there is no {}{hint}", shown(&places))
            }
        }))
    }

    /// Where the socket may be, the likeliest first.
    fn places(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.control {
            return vec![path.clone()];
        }
        let config = &self.file.config;
        // It may be broken just now: what it says of the socket is all that counts.
        let document = Document::open(config);
        let (said, _) = Config::read(&document, &Catalog::default().kinds());
        match said.and_then(|config| Some((config.gateway.control?, config.folder))) {
            Some((Switch::On(path), folder)) => vec![folder.join(path)],
            Some((Switch::Off, _)) | None => place::candidates(config),
        }
    }
}

fn shown(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" nor ")
}

/// The sockets of other gateways, in the same folders.
fn others(places: &[PathBuf]) -> Vec<String> {
    let folders = places.iter().filter_map(|place| place.parent()).filter_map(|folder| fs::read_dir(folder).ok());
    let paths = folders.flatten().flatten().map(|entry| entry.path());
    let sockets = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sock") && reach(path).is_ok());
    sockets.map(|path| path.display().to_string()).collect()
}

/// Connects to a socket of this user's or root's; root may reach anybody's.
fn reach(path: &Path) -> io::Result<UnixStream> {
    let (owner, own) = (fs::symlink_metadata(path)?.uid(), place::own_uid()?);
    if owner != own && owner != 0 && own != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's"));
    }
    UnixStream::connect(path)
}

impl Answer {
    /// The next line that is an item, handed to `take` as JSON text; the last line where there is none.
    fn items(mut self, mut take: impl FnMut(&str) -> Result<(), Failure>) -> Result<Value, Failure> {
        loop {
            let line = match self.lines.next() {
                Some(line) => line?,
                None => {
                    return Err(Failure::Could(format!("the gateway at {} ended the answer before it was whole", self.socket.display())));
                }
            };
            if let Some(item) = line.strip_prefix("{\"item\":").and_then(|rest| rest.strip_suffix('}')) {
                take(item)?;
                continue;
            }
            return match read::<Reply>(&line)? {
                Reply::Done(done) => Ok(done),
                Reply::Faults(faulty) => Err(Failure::Told(faulty)),
                Reply::Failed(why) => Err(Failure::Could(why)),
                Reply::Item(_) => Err(Failure::could("the gateway answers otherwise than was agreed")),
            };
        }
    }

    /// The one line that is the answer, as what it says and as it is.
    fn done<T: DeserializeOwned>(self) -> Result<(T, Value), Failure> {
        let done = self.items(|_| Ok(()))?;
        Ok((T::deserialize(&done).map_err(other_version)?, done))
    }
}

fn read<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(other_version)
}

/// An answer that is none: most likely of a gateway of another version.
fn other_version(error: impl std::fmt::Display) -> Failure {
    Failure::Could(format!("the gateway's answer is not understood, it may be of another version: {error}"))
}

/// A text that others have written, for a terminal: what would move its cursor or its reading direction is spelt out.
fn plain(text: &str) -> String {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if is_odd(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
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
