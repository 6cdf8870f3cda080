//! Finds the control socket of a gateway, and says where it was looked for where there is none.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::config::units::Switch;
use crate::config::{Config, Document};
use crate::engine::control::place::{candidates, is_candidate, is_signpost, reach};
use crate::gateway::Catalog;

use super::super::{Failure, STDIN, can_be_read_again};
use super::Running;

impl Running {
    /// Connects to the gateway; also gives the path it was found at.
    pub(super) fn reach(&self) -> Result<(UnixStream, PathBuf), Failure> {
        let said = if self.control.is_none() { said(&self.file.config) } else { None };
        let places = self.places(said.as_ref());
        let mut refused = None;
        for place in &places {
            match reach(place) {
                Ok(stream) => return Ok((stream, place.clone())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => _ = refused.get_or_insert((place, error)),
            }
        }
        let file = self.file.config.display();
        Err(Failure::Could(match refused {
            Some((place, error)) => unreached(&file.to_string(), place, &error),
            None if self.control.is_some() => format!("there is no control socket {}", shown(&places)),
            None if matches!(said, Some(Switch::Off)) => {
                format!("no gateway that runs on {file} takes commands: it says control = \"off\"")
            }
            None => {
                let others = others(&places);
                let hint =
                    if others.is_empty() { String::new() } else { format!("; there are {}: name one with --control", others.join(", ")) };
                format!("no gateway runs on {file}: there is no {}{hint}", shown(&places))
            }
        }))
    }

    /// Where the socket may be, the likeliest first. What the file says of it may not be in force, or may be gone.
    fn places(&self, said: Option<&Switch<PathBuf>>) -> Vec<PathBuf> {
        if let Some(path) = &self.control {
            return vec![path.clone()];
        }
        let config = &self.file.config;
        let known = candidates(if can_be_read_again(config) { config } else { Path::new(STDIN) });
        match said {
            Some(Switch::On(path)) => [path.clone()].into_iter().chain(known).collect(),
            Some(Switch::Off) | None => known,
        }
    }
}

/// What a file says of the socket. It may be broken just now: this is all that counts.
fn said(config: &Path) -> Option<Switch<PathBuf>> {
    if !can_be_read_again(config) {
        return None;
    }
    let (config, _) = Config::read(&Document::open(config), &Catalog::default().kinds());
    let config = config?;
    Some(match config.gateway.control? {
        Switch::On(path) => Switch::On(config.folder.join(path)),
        Switch::Off => Switch::Off,
    })
}

/// Why the gateway at a place cannot be asked.
fn unreached(file: &str, place: &Path, error: &io::Error) -> String {
    let place = place.display();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("no gateway runs on {file}: nobody listens at {place}"),
        io::ErrorKind::WouldBlock => format!("the gateway at {place} takes no commands: as many as may wait are waiting"),
        io::ErrorKind::PermissionDenied => {
            format!("cannot reach the gateway at {place}: {error}; ask as the user it runs as, or as root")
        }
        _ => format!("cannot reach the gateway at {place}: {error}"),
    }
}

/// Those that are sockets; signposts beside them are nothing that an operator has to know.
fn shown(places: &[PathBuf]) -> String {
    places.iter().filter(|place| !is_signpost(place)).map(|place| place.display().to_string()).collect::<Vec<_>>().join(" nor ")
}

/// The sockets of other gateways, that are or are pointed to in the same folders.
fn others(places: &[PathBuf]) -> Vec<String> {
    let mut folders: Vec<&Path> = places.iter().filter_map(|place| place.parent()).collect();
    folders.dedup();
    let paths = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().map(|entry| entry.path());
    let found = paths.filter(|path| is_candidate(path) && reach(path).is_ok());
    found.map(|path| fs::read_link(&path).unwrap_or(path).display().to_string()).collect()
}
