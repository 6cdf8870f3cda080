//! What a stage is given while it is built: its place in the file, files, secrets and state cells.

use std::any::Any;
use std::env::VarError;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::secret::{MASK, Secret, SecretSource};
use crate::config::world::{Machine, World};

use super::cells::Cells;
use super::inputs::Inputs;
use super::outside::Outside;
use super::refusal::Outcome;

/// What a stage cannot do without, wherever a pipeline names it, and where its table says so. Judged of every route it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It goes by who the client is: what authenticates has to stand before it, or it is a fault.
    Identity(KeyPath),
    /// It goes by a named segment of the route's host or path: a route without one is a warning.
    Segment(KeyPath, Box<str>),
    /// It takes a credential that browsers send unasked, for whichever page: a way without a stage that judges origins is a warning.
    Origins(KeyPath),
    /// It hands something on to a backend: a route whose endpoint is the gateway's own is a warning.
    Backend(KeyPath),
    /// It goes by certificates of clients: where a listener asks for none, it lets nobody in, which is a warning.
    Certificate(KeyPath),
    /// It may ask for a first message, which comes after the 101: an endpoint that has something to say with the 101, or sends none,
    /// is a warning.
    FirstMessage(KeyPath),
    /// It refuses messages of a client's that have not this form: one that comes behind it and [takes](Self::Takes) some is a warning.
    Form(KeyPath),
    /// It takes messages of a client's out that are meant for it alone.
    Takes(KeyPath),
    /// It may not stand twice on a way, which would do this: a fault.
    Once(&'static str),
}

/// Given to a stage or endpoint while it is built from its table.
pub struct Build<'a> {
    at: KeyPath,
    folder: &'a FilePath,
    cells: &'a Cells,
    world: &'a dyn World,
    /// Rows that stages of the catalog add to the [table](super::refusal::TABLE).
    pub outcomes: Vec<Outcome>,
    /// The files this part was read from, those that could not be read among them, for the watch.
    pub files: Vec<PathBuf>,
    /// What was read: a part whose table and inputs are as they were stays the part it is.
    pub inputs: Inputs,
    /// Where a secret has a `default`, taken or not: a fault behind a listener that is not loopback, lest an unset variable open it.
    pub defaulted: Vec<KeyPath>,
    /// What the table asks of the pipelines that name the stage.
    pub needs: Vec<Need>,
    /// What an operator would want to know of a table that is taken all the same.
    pub warnings: Faults,
}

impl<'a> Build<'a> {
    /// Builds the part whose table stands at `at` in a file in `folder`, on this machine.
    pub fn new(at: KeyPath, folder: &'a FilePath, cells: &'a Cells) -> Self {
        let (outcomes, files, defaulted, needs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (inputs, warnings) = (Inputs::default(), Faults::default());
        Self { at, folder, cells, world: &Machine, outcomes, files, inputs, defaulted, needs, warnings }
    }

    /// Looks files and variables up there instead.
    #[must_use]
    pub fn in_world(self, world: &'a dyn World) -> Self {
        Self { world, ..self }
    }

    /// Where the part's table stands: `kind.name`.
    pub fn at(&self) -> &KeyPath {
        &self.at
    }

    /// The part's name as the file refers to it: `"kind.name"`.
    pub fn name(&self) -> String {
        self.at.to_string()
    }

    /// A file's path as others find it: relative ones belong to the config's folder.
    pub fn path(&self, file: &FilePath) -> PathBuf {
        self.folder.join(file)
    }

    /// Reads a file the table names at `at`; relative paths belong to the config's folder.
    ///
    /// # Errors
    /// A fault at that key when the file cannot be read, or is not to be.
    pub fn read(&mut self, at: KeyPath, file: &FilePath) -> Result<Vec<u8>, Fault> {
        let path = self.path(file);
        let read = match self.world.file(&path) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => Err(Fault::new(at, format!("cannot read {}: {error}", path.display()))),
            None => Err(Fault::unknown(at, format!("the file {}", path.display()))),
        };
        if let Ok(bytes) = &read {
            self.inputs.file(&path, bytes);
        }
        self.files.push(path);
        read
    }

    /// Resolves a secret, or a text that may stand outside the file as one does, that the table names at `at`.
    ///
    /// # Errors
    /// A fault at that key when the variable is unset or the file cannot be read, or neither is to be looked at.
    pub fn secret(&mut self, at: KeyPath, source: &SecretSource) -> Result<Secret, Fault> {
        let secret = self.resolve(at.clone(), source)?;
        if secret.expose() == MASK {
            let fault = Fault::new(at, "this is what `wsgate show` prints in the place of a secret, and everybody knows it");
            return Err(fault.hint("write the secret itself, or where it is"));
        }
        Ok(secret)
    }

    fn resolve(&mut self, at: KeyPath, source: &SecretSource) -> Result<Secret, Fault> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Env { name, default } => {
                if default.is_some() {
                    self.defaulted.push(at.clone());
                }
                let Some(found) = self.world.variable(name) else {
                    return Err(Fault::unknown(at, format!("the variable {name}")));
                };
                self.inputs.variable(name, found.as_deref().ok());
                match (found, default) {
                    (Ok(value), _) => Ok(Secret::new(value)),
                    (Err(VarError::NotPresent), Some(default)) => Ok(default.clone()),
                    // Not UTF-8: the variable is set, so the default is not meant. The error would print its bytes.
                    (Err(VarError::NotUnicode(_)), _) => Err(Fault::new(at, format!("the environment variable {name} is not UTF-8 text"))),
                    (Err(VarError::NotPresent), None) => {
                        let fault = Fault::new(at, format!("the environment variable {name} is not set"));
                        Err(fault.hint(format!("set {name}, or give a `default` for local trials")))
                    }
                }
            }
            SecretSource::File { path } => {
                let bytes = self.read(at.clone(), path)?;
                let text = String::from_utf8(bytes).map_err(|_| Fault::new(at, format!("{} is not UTF-8 text", path.display())))?;
                let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                Ok(Secret::new(text))
            }
        }
    }

    /// Where files, variables and names are looked up.
    pub(super) fn world(&self) -> &'a dyn World {
        self.world
    }

    /// Asks services outside. The same for all parts, and kept across reloads.
    pub fn outside(&self) -> Arc<Outside> {
        Outside::of(self.cells)
    }

    /// A state cell of this kind, name and type that parts share, kept across reloads for as long as any part holds it.
    pub fn shared<T: Any + Send + Sync>(&self, kind: &str, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        self.cells.cell(kind, name, make)
    }

    /// The state cell of this part, kept across reloads for as long as its kind, name and type stay.
    pub fn cell<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let (kind, name) = self.at.kind_and_name();
        self.cells.cell(kind, name, make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_recorded_with_its_place_whether_or_not_its_variable_is_set() {
        let cells = Cells::default();
        let path = std::env::var("PATH").unwrap();
        for (variable, value) in [("WSGATE_TEST_NEVER_SET", "for trials"), ("PATH", &path)] {
            let mut build = Build::new(KeyPath::table("jwt", "users"), FilePath::new("."), &cells);
            let at = build.at().key("secret");
            let source = SecretSource::Env { name: variable.into(), default: Some(Secret::new("for trials")) };
            assert_eq!(build.secret(at.clone(), &source).unwrap().expose(), value);
            assert_eq!(build.defaulted, [at], "{variable}");
        }
    }

    #[test]
    fn a_secret_without_a_default_is_not_recorded() {
        let cells = Cells::default();
        let mut build = Build::new(KeyPath::table("jwt", "users"), FilePath::new("."), &cells);
        build.secret(build.at().key("secret"), &SecretSource::Env { name: "PATH".into(), default: None }).unwrap();
        assert_eq!(build.defaulted, []);
    }
}
