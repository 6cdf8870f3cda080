//! Files of entries, one a line: lists that other programs write.

use std::path::Path;

use crate::config::fault::{Fault, Faults, KeyPath};

use super::Build;

/// Faults told of one file; the rest are counted.
pub(super) const MAX_FAULTS: usize = 20;

/// Reads a file that the table names at `at`: `read` gets the number of each line from 1, and the line as it stands. What is wrong
/// with one is a fault at `at`.
pub(super) fn read(
    file: &Path,
    at: &KeyPath,
    build: &mut Build<'_>,
    faults: &mut Faults,
    mut read: impl FnMut(usize, &str) -> Result<(), String>,
) {
    let bytes = match build.read(at.clone(), file) {
        Ok(bytes) => bytes,
        Err(fault) => return faults.push(fault),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return faults.push(Fault::new(at.clone(), format!("{} is not UTF-8 text", file.display())));
    };
    let mut bad = 0_usize;
    for (line, text) in (1..).zip(text.lines()) {
        if let Err(error) = read(line, text) {
            bad += 1;
            if bad <= MAX_FAULTS {
                faults.push(Fault::said(at.clone(), &format!("{}:{line}: {error}", file.display())));
            }
        }
    }
    if let Some(more) = bad.checked_sub(MAX_FAULTS).filter(|more| *more > 0) {
        faults.push(Fault::new(at.clone(), format!("{}: {more} more lines like these", file.display())));
    }
}
