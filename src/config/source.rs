//! One text of a config: what it is called, what of it may be shown, and where its lines begin.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// One text that faults stand in: of the document itself, or of a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called in faults: the path as given, or `<stdin>`.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
    /// The text with every literal secret masked, byte for byte as long: what faults show.
    pub(super) printable: String,
    /// Where each of its lines begins.
    lines: Vec<usize>,
}

impl Source {
    /// A text that may be shown as it is.
    pub fn plain(name: String, text: String) -> Self {
        let printable = text.clone();
        Self::new(name, text, printable)
    }

    /// A text, and the form of it that may be shown.
    pub(super) fn new(name: String, text: String, printable: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, printable, lines }
    }

    /// The lines that these bytes of the printable text touch, the number of the first, counted from 1, and its offset.
    pub(super) fn lines(&self, span: &Range<usize>) -> (&str, usize, usize) {
        let number = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines.get(number - 1).copied().unwrap_or(0);
        let after = self.lines.partition_point(|start| *start <= span.end);
        let end = self.lines.get(after).copied().unwrap_or(self.printable.len());
        (self.printable.get(start..end).unwrap_or_default(), number, start)
    }

    /// The line of an offset and the character of it, both counted from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let (_, line, start) = self.lines(&(offset..offset));
        (line, self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1)
    }
}

/// Reads at most [`MAX_FILE`] bytes of UTF-8 from a file.
///
/// # Errors
/// What is wrong with it, as a fault says it.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    // A pipe would be waited for, and a device might never end.
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err("cannot read the file: it is a pipe or a device; `--config -` reads the standard input".to_owned());
    }
    File::open(path).map_err(unreadable).and_then(read)
}

/// Reads at most [`MAX_FILE`] bytes of UTF-8.
///
/// # Errors
/// What is wrong with them, as a fault says it.
pub(super) fn read(input: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    input.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {} MiB", MAX_FILE >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text: line {line} has a byte that is not")
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn unreadable(error: io::Error) -> String {
    format!("cannot read the file: {error}")
}
