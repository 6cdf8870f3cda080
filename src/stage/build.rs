//! What a stage is given while it is built: its place in the file, files, secrets and state cells.

use std::any::Any;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use crate::config::fault::{Fault, KeyPath};
use crate::config::secret::{Secret, SecretSource};

use super::cells::Cells;

/// Given to a stage or endpoint while it is built from its table.
pub struct Build<'a> {
    at: KeyPath,
    folder: &'a FilePath,
    cells: &'a Cells,
    /// The files this part was read from, for the watch.
    pub files: Vec<PathBuf>,
}

impl<'a> Build<'a> {
    /// Builds the part whose table stands at `at` in a file in `folder`.
    pub fn new(at: KeyPath, folder: &'a FilePath, cells: &'a Cells) -> Self {
        Self { at, folder, cells, files: Vec::new() }
    }

    /// Where the part's table stands: `kind.name`.
    pub fn at(&self) -> &KeyPath {
        &self.at
    }

    /// The part's name as the file refers to it: `"kind.name"`.
    pub fn name(&self) -> String {
        self.at.to_string()
    }

    /// Reads a file the table names at `at`; relative paths belong to the config's folder.
    ///
    /// # Errors
    /// A fault at that key when the file cannot be read.
    pub fn read(&mut self, at: KeyPath, file: &FilePath) -> Result<Vec<u8>, Fault> {
        let path = self.folder.join(file);
        let read = std::fs::read(&path).map_err(|error| Fault::new(at, format!("cannot read {}: {error}", path.display())));
        self.files.push(path);
        read
    }

    /// Resolves a secret the table names at `at`.
    ///
    /// # Errors
    /// A fault at that key when the variable is unset or the file cannot be read.
    pub fn secret(&mut self, at: KeyPath, source: &SecretSource) -> Result<Secret, Fault> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Env { name, default } => match (std::env::var(name), default) {
                (Ok(value), _) => Ok(Secret::new(value)),
                (Err(_), Some(default)) => Ok(default.clone()),
                (Err(error), None) => {
                    Err(Fault::new(at, format!("{name}: {error}")).hint(format!("set {name}, or give a `default` for local trials")))
                }
            },
            SecretSource::File { path } => {
                let bytes = self.read(at.clone(), path)?;
                let text = String::from_utf8(bytes).map_err(|_| Fault::new(at, format!("{} is not UTF-8 text", path.display())))?;
                let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                Ok(Secret::new(text))
            }
        }
    }

    /// The state cell of this part, kept across reloads for as long as its kind, name and type stay.
    pub fn cell<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let (kind, name) = self.at.kind_and_name();
        self.cells.cell(kind, name, make)
    }
}
