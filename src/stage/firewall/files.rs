//! Files of networks: one a line, `#` begins a comment.

use std::path::Path;

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::Cidr;
use crate::stage::Build;

/// Faults told of one file; the rest are counted.
pub(super) const MAX_FAULTS: usize = 20;

/// The networks of a file that the table names at `at`. Every bad line is a fault there.
pub(super) fn read(file: &Path, at: &KeyPath, build: &mut Build<'_>, faults: &mut Faults) -> Vec<Cidr> {
    let bytes = match build.read(at.clone(), file) {
        Ok(bytes) => bytes,
        Err(fault) => {
            faults.push(fault);
            return Vec::new();
        }
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        faults.push(Fault::new(at.clone(), format!("{} is not UTF-8 text", file.display())));
        return Vec::new();
    };
    let mut networks = Vec::new();
    let mut bad = 0_usize;
    for (index, line) in text.lines().enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim();
        if written.is_empty() {
            continue;
        }
        match written.parse() {
            Ok(network) => networks.push(network),
            Err::<_, String>(error) => {
                bad += 1;
                if bad <= MAX_FAULTS {
                    faults.push(Fault::said(at.clone(), &format!("{}:{}: {error}", file.display(), index + 1)));
                }
            }
        }
    }
    if let Some(more) = bad.checked_sub(MAX_FAULTS).filter(|more| *more > 0) {
        faults.push(Fault::new(at.clone(), format!("{}: {more} more lines like these", file.display())));
    }
    networks
}
