//! Sinks: one place that lines go to, in one format, of one selection of events.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::format::Look;
use super::rotate::{LogFile, Rotation};
use super::select::Selection;
use super::writer::{Clock, Lines, Output, Writer};

pub use super::format::Format;
pub use super::writer::QUEUE_MAX;

/// A `[log.NAME]` table, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The table's name, without its kind.
    pub name: Arc<str>,
    /// Where the lines go.
    pub place: Place,
    /// How they are written.
    pub format: Format,
    /// Of which events.
    pub selection: Selection,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The standard error.
    Stderr,
    /// The standard output.
    Stdout,
    /// A file. It is appended to; its folder must exist.
    File {
        /// The file, resolved against the config's folder.
        path: PathBuf,
        /// When it is put aside.
        rotation: Rotation,
    },
}

/// An open destination. Clones share its writer, which ends with the last of them.
#[derive(Clone)]
pub struct Sink {
    pub(super) name: Arc<str>,
    pub(super) look: Look,
    pub(super) selection: Selection,
    pub(super) writer: Arc<Writer>,
    place: Option<Place>,
}

impl Sink {
    /// A sink that writes to anything, on a thread of its own; writes that fail are counted, writes that block make lines wait in a queue
    /// of at most [`QUEUE_MAX`] bytes.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn new(name: &str, format: Format, selection: Selection, out: impl Write + Send + 'static) -> io::Result<Self> {
        let output = Output::Stream(Lines::new(Box::new(out)));
        let writer = Arc::new(Writer::start(output, Arc::new(SystemTime::now))?);
        Ok(Self { name: name.into(), look: format.into(), selection, writer, place: None })
    }

    /// Opens a destination; one of `running` that writes to the same place lends its writer, so that a reload which changes only what is
    /// written there neither opens the file twice nor forgets what was lost.
    pub(super) fn open(destination: Destination, running: &[Self], clock: &Clock) -> Result<Self, OpenError> {
        let Destination { name, place, format, selection } = destination;
        let look = match (format, &place) {
            (Format::Text, Place::Stderr) if may_colour(&io::stderr()) => Look::Coloured,
            (Format::Text, Place::Stdout) if may_colour(&io::stdout()) => Look::Coloured,
            (format, _) => format.into(),
        };
        let writer = match running.iter().find(|sink| sink.place.as_ref() == Some(&place)) {
            Some(sink) => Arc::clone(&sink.writer),
            None => match start(&place, clock) {
                Ok(writer) => Arc::new(writer),
                Err(error) => return Err(OpenError { name, place, error }),
            },
        };
        Ok(Self { name, look, selection, writer, place: Some(place) })
    }
}

fn start(place: &Place, clock: &Clock) -> io::Result<Writer> {
    let output = match place {
        Place::Stderr => Output::Stream(Lines::new(Box::new(io::stderr()))),
        Place::Stdout => Output::Stream(Lines::new(Box::new(io::stdout()))),
        Place::File { path, rotation } => Output::File(LogFile::open(path.clone(), *rotation, clock())?),
    };
    Writer::start(output, Arc::clone(clock))
}

/// Colours are for terminals, and for people who have not said no (<https://no-color.org>).
fn may_colour(console: &impl IsTerminal) -> bool {
    console.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// A log could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// The log's name.
    pub name: Arc<str>,
    /// Where its lines were to go.
    pub place: Place,
    /// What the system said.
    pub error: io::Error,
}

impl OpenError {
    /// The file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            Place::Stderr | Place::Stdout => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "cannot open {}: {}", path.display(), self.error),
            None => write!(f, "cannot write log {}: {}", self.name, self.error),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
