//! Fingerprints: what a file holds, told apart and not kept.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::document::MAX_FILE;
use crate::stage::fingerprint::Fingerprint;

use super::trail;

/// What there was, by its fingerprint: never the contents, which may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Print(Fingerprint);

/// What is where a path leads.
#[derive(Hash)]
enum Content<'a> {
    Bytes(&'a [u8]),
    /// More than [`MAX_FILE`]: a list of millions of addresses is not read every few seconds. Its inode, length, and time of change.
    Large(u64, u64, (i64, i64)),
    /// The files of a folder.
    Folder(BTreeMap<PathBuf, Print>),
    /// A pipe or device: reading it could wait for ever, or take what is meant for somebody else. Or a folder inside a folder.
    Special,
    /// It is not there, or cannot be read.
    Unreadable(io::ErrorKind),
}

impl Print {
    /// The fingerprint of what is there now. Reads at most [`MAX_FILE`] bytes of each file.
    pub(super) fn take(path: &Path) -> Self {
        if !path.is_dir() {
            return Self::take_file(path);
        }
        match trail::listed(path) {
            Ok(files) => Self::of(&Content::Folder(files.into_iter().map(|file| (file.clone(), Self::take_file(&file))).collect())),
            Err(error) => Self::of(&Content::Unreadable(error.kind())),
        }
    }

    fn take_file(path: &Path) -> Self {
        let print = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::read(path, &metadata),
            Ok(_) => Ok(Self::of(&Content::Special)),
            Err(error) => Err(error),
        };
        print.unwrap_or_else(|error| Self::of(&Content::Unreadable(error.kind())))
    }

    fn read(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        let mut bytes = Vec::new();
        if metadata.len() <= MAX_FILE {
            File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        }
        let is_large = metadata.len().max(bytes.len() as u64) > MAX_FILE;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Ok(Self::of(&if is_large { Content::Large(metadata.ino(), metadata.len(), changed) } else { Content::Bytes(&bytes) }))
    }

    fn of(content: &Content<'_>) -> Self {
        Self(Fingerprint::of(content))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whatever_can_be_where_a_path_leads_has_a_print_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty"), "").unwrap();
        fs::write(path("full"), "full").unwrap();
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("large"), vec![0; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let names = ["missing", "empty", "full", "folder", "large", "pipe", "full/below"];
        let prints = names.map(|name| Print::take(&path(name)));
        assert_eq!(prints.iter().collect::<HashSet<_>>().len(), names.len());
        assert_eq!(names.map(|name| Print::take(&path(name))), prints);
    }

    #[test]
    fn files_that_hold_the_same_have_the_same_print_unless_they_are_too_large_to_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let largest = usize::try_from(MAX_FILE).unwrap();
        for (length, is_same) in [(0, true), (1, true), (largest, true), (largest + 1, false)] {
            let [one, other] = ["one", "other"].map(|name| {
                fs::write(folder.path().join(name), vec![b'x'; length]).unwrap();
                Print::take(&folder.path().join(name))
            });
            assert_eq!(one == other, is_same, "{length}");
        }
    }

    #[test]
    fn a_folder_holds_its_files_and_their_names_and_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("f")).unwrap();
        std::os::unix::fs::symlink(".", path("f/around.toml")).unwrap();
        let mut before = Print::take(&path("f"));
        for (name, content) in [("f/a.toml", "1"), ("f/a.toml", "2"), ("f/b.toml", "2")] {
            fs::write(path(name), content).unwrap();
            let now = Print::take(&path("f"));
            assert_ne!(now, before, "{name}");
            before = now;
        }
        fs::rename(path("f/b.toml"), path("f/c.toml")).unwrap();
        assert_ne!(Print::take(&path("f")), before);
        fs::rename(path("f/c.toml"), path("f/b.toml")).unwrap();
        fs::write(path("f/.a.toml"), "a dotfile").unwrap();
        assert_eq!(Print::take(&path("f")), before);
    }
}
