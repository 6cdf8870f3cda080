//! A list in a file, edited line by line and written anew as a whole: whoever reads it finds the old text or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// A list, as it was read.
#[derive(Clone)]
pub(super) struct ListFile {
    /// The file itself, behind any links to it.
    path: PathBuf,
    text: String,
}

impl ListFile {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        Ok(Self { text: fs::read_to_string(&path)?, path })
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// Adds a line, in the place of all that it replaces, and gives those.
    pub(super) fn replace(&mut self, is_it: impl Fn(&str) -> bool, line: &str) -> Vec<String> {
        let gone = self.take_out(is_it);
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
        gone
    }

    /// Takes lines out, and gives them.
    pub(super) fn take_out(&mut self, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        let mut left = String::with_capacity(self.text.len());
        for line in self.text.split_inclusive('\n') {
            if is_it(line.trim_end()) {
                gone.push(line.trim_end().to_owned());
            } else {
                left.push_str(line);
            }
        }
        self.text = left;
        gone
    }

    /// Writes it beside the file and puts it in its place, with the mode and, where that is allowed, the owner that it had.
    pub(super) fn save(&self) -> io::Result<()> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // A dotfile, for whoever reads every list of the folder.
        let beside = self.path.with_file_name(format!(".{name}.wsgate-{}", std::process::id()));
        let put = self.write(&beside).and_then(|()| fs::rename(&beside, &self.path));
        if put.is_err() {
            _ = fs::remove_file(&beside);
        }
        put?;
        // The rename too is to outlast a power failure; not every file system can be asked.
        if let Some(folder) = self.path.parent() {
            _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }

    fn write(&self, beside: &Path) -> io::Result<()> {
        let before = fs::metadata(&self.path)?;
        // What one that was killed has left, or a link that somebody put there for it to write elsewhere.
        _ = fs::remove_file(beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        file.write_all(self.text.as_bytes())?;
        _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_every_other_line_its_mode_and_the_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("deny.txt"), folder.path().join("link.txt"));
        fs::write(&path, "# ours\r\n192.0.2.1\n\n192.0.2.2 # two").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("deny.txt", &link).unwrap();
        let mut list = ListFile::read(&link).unwrap();
        assert_eq!(list.replace(|line| line.starts_with("192.0.2.1"), "192.0.2.3"), ["192.0.2.1"]);
        list.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\r\n\n192.0.2.2 # two\n192.0.2.3\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
        assert_eq!(list.take_out(|line| line.contains("two")), ["192.0.2.2 # two"]);
        assert_eq!(list.lines().collect::<Vec<_>>(), ["# ours", "", "192.0.2.3"]);
    }

    #[test]
    fn a_link_in_the_way_leads_no_list_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("deny.txt"), folder.path().join("precious"));
        fs::write(&path, "192.0.2.1\n").unwrap();
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink("precious", folder.path().join(format!(".deny.txt.wsgate-{}", std::process::id()))).unwrap();
        let mut list = ListFile::read(&path).unwrap();
        list.replace(|_| false, "192.0.2.2");
        list.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "192.0.2.1\n192.0.2.2\n");
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }
}
