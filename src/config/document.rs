//! The file: its text, its tree, and where everything in it stands. It may be several files, which are read as one.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::dom::{Builder, Entry, Node, Value};
use super::fault::{Fault, Faults, KeyPath, Place};
use super::{folder, mask, source, syntax};

pub use super::folder::{MAX_FILES, MAX_FOLDER, is_config};
pub use super::source::{MAX_FILE, Source};

/// A config, read and parsed. What is wrong with its syntax is kept, and told by [`Config::read`](super::Config::read).
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    sources: Vec<Source>,
    files: Vec<PathBuf>,
    folder: PathBuf,
    /// The tree of each source.
    pub(super) roots: Vec<Node>,
    pub(super) faults: Faults,
    /// Values that a fault has been told of: nothing more is said about them.
    pub(super) faulty: BTreeSet<KeyPath>,
    /// Whether parts of a file are missing from its tree, so that nothing more can be said of any.
    pub(super) is_broken: bool,
}

impl Document {
    /// Reads and parses a file, or every `*.toml` of a folder. Relative paths in it belong to the folder.
    pub fn open(path: &Path) -> Self {
        if path.is_dir() {
            return Self::open_folder(path);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut document = Self::empty(path.display().to_string(), folder);
        document.add(path.display().to_string(), source::read_file(path));
        document.files.push(path.to_owned());
        document
    }

    fn open_folder(path: &Path) -> Self {
        let mut document = Self::empty(path.display().to_string(), path);
        let files = match folder::files(path) {
            Ok(files) => files,
            Err(why) => {
                document.add(path.display().to_string(), Err(why));
                return document;
            }
        };
        let mut room = MAX_FOLDER;
        for file in files {
            let text = source::read_file(&file).and_then(|text| {
                let length = text.len() as u64;
                room = room.checked_sub(length).ok_or(format!("the folder holds more than {} MiB", MAX_FOLDER >> 20))?;
                Ok(text)
            });
            document.add(file.display().to_string(), text);
            document.files.push(file);
        }
        document
    }

    /// Reads and parses what comes from elsewhere than a file, as standard input, and calls it `name`. Relative paths in it belong to
    /// `folder`.
    pub fn read(name: impl Into<String>, input: impl Read, folder: impl Into<PathBuf>) -> Self {
        let name = name.into();
        let mut document = Self::empty(name.clone(), folder);
        document.add(name, source::read(input));
        document
    }

    /// Parses a text as the file `name` in `folder`.
    pub fn parse(name: impl Into<String>, text: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        let name = name.into();
        let mut document = Self::empty(name.clone(), folder);
        document.add(name, Ok(text.into()));
        document
    }

    fn empty(name: String, folder: impl Into<PathBuf>) -> Self {
        Self {
            name,
            sources: Vec::new(),
            files: Vec::new(),
            folder: folder.into(),
            roots: Vec::new(),
            faults: Faults::default(),
            faulty: BTreeSet::new(),
            is_broken: false,
        }
    }

    /// Adds a source, or why it could not be read.
    fn add(&mut self, name: String, read: Result<String, String>) {
        let number = self.sources.len();
        let mut text = read.unwrap_or_else(|why| {
            self.faults.push(Fault::said(Place::Span(number, 0..0), &why));
            self.is_broken = true;
            String::new()
        });
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut builder = Builder { source: number, faults: &mut self.faults, faulty: &mut self.faulty };
        let table = builder.table(table.into_inner(), &KeyPath::default());
        let root = Node { value: Value::Table(table), source: number, span: 0..0 };
        let syntax = syntax::tell(&errors, &text, &root, number);
        self.faulty.extend(syntax.faulty);
        self.faults.extend(syntax.faults);
        self.is_broken |= syntax.is_broken;
        let printable = mask::printable(&text, &root, !errors.is_empty());
        self.sources.push(Source::new(name, text, printable));
        self.roots.push(root);
    }

    /// What it is called in faults: the path of the file or folder as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The texts it was read from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The files it was read from, those that could not be read included; none where its text came from elsewhere.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The folder that relative paths belong to, and whose files are read where it is one of several.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place as `file:line:column`, both counted from 1, the column in characters: as compilers write it, and editors read it.
    pub fn position(&self, place: &Place) -> String {
        let Some((source, span)) = self.seek(place) else { return String::new() };
        if self.sources.len() > 1 && place.is_whole_file() {
            return self.name.clone();
        }
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.name)
    }

    /// The text that a place is in, and its bytes there.
    pub(super) fn seek<'a>(&'a self, place: &'a Place) -> Option<(&'a Source, Range<usize>)> {
        if let Place::Within(within) = place {
            return Some((&within.source, within.span.clone()));
        }
        let (source, span) = self.locate(place);
        Some((self.sources.get(source)?, span))
    }

    /// The source and the bytes of a place; of one in another file, those that name it. A path that leads nowhere is at the last thing
    /// it meets.
    pub fn locate(&self, place: &Place) -> (usize, Range<usize>) {
        let (path, at_key) = match place {
            Place::Span(source, span) => return (*source, span.clone()),
            Place::Value(path) => (path, false),
            Place::Within(within) => (&within.named, false),
            Place::Key(path) => (path, true),
        };
        let Some((node, entry, taken)) = self.follow(path) else { return (0, 0..0) };
        match entry {
            Some(entry) if at_key && taken == path.steps().len() => (node.source, entry.key.clone()),
            _ => (node.source, node.span.clone()),
        }
    }

    /// Follows a path in the file where it leads furthest, the first of those: the last node reached, its key, and how many steps it
    /// took.
    pub(super) fn follow(&self, path: &KeyPath) -> Option<(&Node, Option<&Entry>, usize)> {
        let ways = self.roots.iter().map(|root| root.follow(path.steps()));
        ways.reduce(|best, way| if way.2 > best.2 { way } else { best })
    }
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
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).unwrap();
            folder.join(name)
        };
        for (path, said) in [
            (folder.join("missing.toml"), "cannot read the file"),
            (write("latin1.toml", b"a = 1\nb = \"\xe4\"\n"), "the file is not UTF-8 text: line 2"),
            (write("large.toml", &vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1]), "the file is larger than 4 MiB"),
        ] {
            let document = Document::open(&path);
            assert!(document.is_broken && document.faults.0[0].message.starts_with(said), "{:?}", document.faults);
            assert_eq!(document.files(), [path]);
        }
        assert_eq!(Document::open(&write("fine.toml", b"\xef\xbb\xbf[log.a]\n")).sources()[0].text, "[log.a]\n");
    }

    #[test]
    fn the_files_of_a_folder_are_read_in_the_order_of_their_names_without_those_that_are_no_config() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in ["b.toml", "a.toml", ".a.toml", "a.toml~", "toml", "c.tom"] {
            std::fs::write(folder.join(name), format!("['{name}'.x]\n")).unwrap();
        }
        std::os::unix::fs::symlink("c.tom", folder.join("linked.toml")).unwrap();
        let document = Document::open(folder);
        assert_eq!(document.files(), ["a.toml", "b.toml", "linked.toml"].map(|name| folder.join(name)));
        assert_eq!((document.folder(), document.name()), (folder, folder.to_str().unwrap()));
        assert_eq!(document.position(&KeyPath::table("b.toml", "x").into()), format!("{}:1:1", folder.join("b.toml").display()));
        assert_eq!(document.position(&KeyPath::default().into()), folder.to_str().unwrap());
    }

    #[test]
    fn a_folder_has_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let said = || Document::open(folder.path()).faults.0.into_iter().map(|fault| fault.message).collect::<Vec<_>>();
        let quarter = vec![b'#'; usize::try_from(MAX_FILE).unwrap()];
        for number in 0..=MAX_FOLDER / MAX_FILE {
            std::fs::write(folder.path().join(format!("{number}.toml")), &quarter).unwrap();
        }
        assert_eq!(said(), ["the folder holds more than 16 MiB"]);
        for number in 0..=MAX_FILES {
            std::fs::write(folder.path().join(format!("{number}.toml")), "").unwrap();
        }
        assert_eq!(said(), ["the folder has more than 256 files that end in .toml"]);
    }

    #[test]
    fn what_comes_from_elsewhere_than_a_file_is_bounded_and_has_no_files() {
        let document = Document::read("<stdin>", &b"\xef\xbb\xbf[log.a]\n"[..], "/srv");
        assert_eq!((document.sources()[0].text.as_str(), document.files().len(), document.folder()), ("[log.a]\n", 0, Path::new("/srv")));
        assert_eq!(document.position(&KeyPath::table("log", "a").into()), "<stdin>:1:1");
        let endless = Document::read("<stdin>", std::io::repeat(b'#'), ".");
        assert_eq!(endless.faults.0[0].message, "the file is larger than 4 MiB");
    }
}
