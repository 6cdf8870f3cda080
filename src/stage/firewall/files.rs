//! Files of networks: one a line, `#` begins a comment.

use std::path::Path;

use crate::config::fault::{Faults, KeyPath};
use crate::config::units::Cidr;
use crate::stage::{Build, lines};

/// The networks of a file that the table names at `at`. Every bad line is a fault there.
pub(crate) fn read(file: &Path, at: &KeyPath, build: &mut Build<'_>, faults: &mut Faults) -> Vec<Cidr> {
    let mut networks = Vec::new();
    lines::read(file, at, build, faults, |_, line| {
        let written = line.split('#').next().unwrap_or_default().trim();
        if !written.is_empty() {
            networks.push(written.parse()?);
        }
        Ok(())
    });
    networks
}
