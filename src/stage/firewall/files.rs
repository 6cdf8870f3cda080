//! Files of networks: one a line, `#` begins a comment.

use std::path::Path;

use crate::config::fault::{Faults, KeyPath};
use crate::config::units::Cidr;
use crate::stage::{Build, lines};

/// The networks of a file that the table names at `at`, each with its line, counted from 1. Every bad line is a fault there.
pub(crate) fn read(file: &Path, at: &KeyPath, build: &mut Build<'_>, faults: &mut Faults) -> Vec<(u32, Cidr)> {
    let mut networks = Vec::new();
    lines::read(file, at, build, faults, |number, line| {
        let written = line.split('#').next().unwrap_or_default().trim();
        if !written.is_empty() {
            networks.push((u32::try_from(number).unwrap_or(u32::MAX), written.parse()?));
        }
        Ok(())
    });
    networks
}
