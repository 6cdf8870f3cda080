//! The file: its text, its tree, and where everything in it stands.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::dom::{Builder, Node, Value};
use super::fault::{Fault, Faults, KeyPath, Place};
use super::{mask, syntax};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// One text a document was read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in faults: the path as given.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
    /// The text with every literal secret masked, byte for byte as long: what faults show.
    pub(super) printable: String,
    /// Where each of its lines begins.
    lines: Vec<usize>,
}

impl Source {
    /// The lines that these bytes of the printable text touch, the number of the first, counted from 1, and its offset.
    pub(super) fn lines(&self, span: &Range<usize>) -> (&str, usize, usize) {
        let number = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines.get(number - 1).copied().unwrap_or(0);
        let after = self.lines.partition_point(|start| *start <= span.end);
        let end = self.lines.get(after).copied().unwrap_or(self.printable.len());
        (self.printable.get(start..end).unwrap_or_default(), number, start)
    }
}

/// A config file, read and parsed. What is wrong with its syntax is kept, and told by [`Config::read`](super::Config::read).
#[derive(Clone, Debug)]
pub struct Document {
    sources: Vec<Source>,
    folder: PathBuf,
    pub(super) root: Node,
    pub(super) faults: Faults,
    /// Values that a fault has been told of: nothing more is said about them.
    pub(super) faulty: BTreeSet<KeyPath>,
    /// Whether parts of the file are missing from the tree, so that nothing more can be said of it.
    pub(super) is_broken: bool,
}

impl Document {
    /// Reads and parses a file. Relative paths in it belong to the folder it stands in.
    pub fn open(path: &Path) -> Self {
        let name = path.display().to_string();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match read(path) {
            Ok(text) => Self::parse(name, text, folder),
            Err(what) => {
                let mut document = Self::parse(name, String::new(), folder);
                document.faults.push(Fault::new(Place::Span(0, 0..0), what));
                document.is_broken = true;
                document
            }
        }
    }

    /// Parses a text as the file `name` in `folder`.
    pub fn parse(name: impl Into<String>, text: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let (table, errors) = DeTable::parse_recoverable(&text);
        let (mut faults, mut faulty) = (Faults::default(), BTreeSet::new());
        let table = Builder { source: 0, faults: &mut faults, faulty: &mut faulty }.table(table.into_inner(), &KeyPath::default());
        let root = Node { value: Value::Table(table), source: 0, span: 0..0 };
        let syntax = syntax::tell(&errors, &text, &root, 0);
        faulty.extend(syntax.faulty);
        faults.extend(syntax.faults);
        let printable = mask::printable(&text, &root, !errors.is_empty());
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let sources = vec![Source { name: name.into(), text, printable, lines }];
        Self { sources, folder: folder.into(), root, faults, faulty, is_broken: syntax.is_broken }
    }

    /// The texts it was read from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The folder that relative paths belong to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place as `file:line:column`, both counted from 1, the column in characters: as compilers write it, and editors read it.
    pub fn position(&self, place: &Place) -> String {
        let (source, span) = self.locate(place);
        let Some(source) = self.sources.get(source) else { return String::new() };
        let (_, line, start) = source.lines(&span);
        let column = source.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        format!("{}:{line}:{column}", source.name)
    }

    /// The source and the bytes of a place. A path that leads nowhere is at the last thing it meets.
    pub fn locate(&self, place: &Place) -> (usize, Range<usize>) {
        let (path, at_key) = match place {
            Place::Span(source, span) => return (*source, span.clone()),
            Place::Value(path) => (path, false),
            Place::Key(path) => (path, true),
        };
        let (node, entry, taken) = self.root.follow(path.steps());
        match entry {
            Some(entry) if at_key && taken == path.steps().len() => (node.source, entry.key.clone()),
            _ => (node.source, node.span.clone()),
        }
    }
}

/// Reads at most [`MAX_FILE`] bytes of UTF-8.
fn read(path: &Path) -> Result<String, String> {
    let read = |path: &Path| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(path).map_err(|error| format!("cannot read the file: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {} MiB", MAX_FILE >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text: line {line} has a byte that is not")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document::parse("gateway.toml", "[route.chat]\npath = [\"/a\", \"/b\"]\nmax_message = { client = \"1MiB\" }\n", ".")
    }

    fn text_at(document: &Document, place: &Place) -> String {
        let (source, span) = document.locate(place);
        document.sources()[source].text[span].to_owned()
    }

    #[test]
    fn a_place_is_found_to_the_byte() {
        let chat = KeyPath::table("route", "chat");
        for (place, text) in [
            (Place::Value(chat.clone()), "[route.chat]"),
            (Place::Key(chat.clone()), "chat"),
            (Place::Key(chat.key("path")), "path"),
            (Place::Value(chat.key("path")), "[\"/a\", \"/b\"]"),
            (Place::Value(chat.key("path").index(1)), "\"/b\""),
            (Place::Value(chat.key("max_message").key("client")), "\"1MiB\""),
        ] {
            assert_eq!(text_at(&document(), &place), text);
        }
    }

    #[test]
    fn a_position_is_a_line_and_a_character_of_it() {
        let document = Document::parse("f.toml", "a = 1\n'東' = [1,\n  2]\n", ".");
        for (place, position) in [
            (Place::Value(KeyPath::default().key("a")), "f.toml:1:5"),
            (Place::Value(KeyPath::default().key("東")), "f.toml:2:7"),
            (Place::Value(KeyPath::default().key("東").index(1)), "f.toml:3:3"),
            (Place::Value(KeyPath::default()), "f.toml:1:1"),
        ] {
            assert_eq!(document.position(&place), position);
        }
    }

    #[test]
    fn a_missing_place_is_the_last_thing_its_path_meets() {
        let chat = KeyPath::table("route", "chat");
        for (place, text) in [
            (Place::Key(chat.key("endpoint")), "[route.chat]"),
            (Place::Value(chat.key("max_message").key("upstream")), "{ client = \"1MiB\" }"),
            (Place::Value(chat.key("path").index(7)), "[\"/a\", \"/b\"]"),
            (Place::Value(KeyPath::table("route", "other")), "route"),
            (Place::Value(KeyPath::table("log", "other")), ""),
        ] {
            assert_eq!(text_at(&document(), &place), text);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault() {
        let folder = std::env::temp_dir().join(format!("wsgate-document-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).unwrap();
            folder.join(name)
        };
        for (path, said) in [
            (folder.join("missing.toml"), "cannot read the file"),
            (folder.clone(), "cannot read the file"),
            (write("latin1.toml", b"a = 1\nb = \"\xe4\"\n"), "the file is not UTF-8 text: line 2"),
            (write("large.toml", &vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1]), "the file is larger than 4 MiB"),
        ] {
            let document = Document::open(&path);
            assert!(document.is_broken && document.faults.0[0].message.starts_with(said), "{:?}", document.faults);
        }
        assert_eq!(Document::open(&write("fine.toml", b"\xef\xbb\xbf[log.a]\n")).sources()[0].text, "[log.a]\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
