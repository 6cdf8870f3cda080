//! The way to a file: every name on which it depends what a path leads to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use crate::config::document::{MAX_FILES, is_config};

/// Symbolic links on one way; Linux gives up after so many.
const MAX_LINKS: usize = 40;

/// Files of a folder that are looked at: one more than are read, so that it is noticed when there are no longer too many.
const MAX_LISTED: usize = MAX_FILES + 1;

/// The names on the ways to some files, each in its folder's real path, as events name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// Symbolic links, files, and of a way that ends early the first name that is missing.
    pub(super) names: BTreeSet<PathBuf>,
    /// Folders in which every listed name counts, those that do not exist yet too.
    pub(super) lists: BTreeSet<PathBuf>,
}

impl Trail {
    /// Adds the way to a file, or to a folder and everything listed in it.
    pub(super) fn add(&mut self, path: &Path) {
        let Some(real) = self.follow(path).filter(|real| real.is_dir()) else { return };
        for file in listed(&real).unwrap_or_default() {
            self.follow(&file);
        }
        self.lists.insert(real);
    }

    /// The folders that have to be watched.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.names.iter().filter_map(|name| name.parent()).chain(self.lists.iter().map(PathBuf::as_path)).map(Path::to_owned).collect()
    }

    /// Whether an event of this name is one of ours.
    pub(super) fn holds(&self, name: &Path) -> bool {
        self.names.contains(name)
            || name.file_name().is_some_and(is_config) && name.parent().is_some_and(|folder| self.lists.contains(folder))
    }

    /// When one of the names was last changed, replaced or pointed elsewhere.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        self.latest(|_| true)
    }

    /// The same without folders, which change whenever something is written beside what is ours.
    pub(super) fn saved(&self) -> Option<SystemTime> {
        self.latest(|found| !found.is_dir())
    }

    fn latest(&self, counts: impl Fn(&fs::Metadata) -> bool) -> Option<SystemTime> {
        let found = self.names.iter().filter_map(|name| fs::symlink_metadata(name).ok());
        found.filter(counts).filter_map(|found| changed(&found)).max()
    }

    /// Goes to where the path leads, and adds the names on the way. None where it leads nowhere.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let mut ahead = steps(&std::path::absolute(path).ok()?);
        let (mut real, mut links) = (PathBuf::new(), 0);
        while let Some(step) = ahead.pop() {
            if step == ".." {
                real.pop();
                continue;
            }
            // The root takes the place of all before it.
            real.push(step);
            let kind = fs::symlink_metadata(&real).map(|metadata| metadata.file_type());
            let is_link = kind.as_ref().is_ok_and(fs::FileType::is_symlink);
            if is_link || kind.is_err() || ahead.is_empty() {
                self.names.insert(real.clone());
            }
            kind.ok()?;
            if is_link {
                links += 1;
                ahead.extend(steps(&fs::read_link(&real).ok().filter(|_| links <= MAX_LINKS)?));
                real.pop();
            }
        }
        Some(real)
    }
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().rev().filter(|step| *step != Component::CurDir);
    steps.map(|step| step.as_os_str().to_owned()).collect()
}

/// When what a file holds, or the file itself, was last changed: unlike the time of modification nobody can set it back.
fn changed(metadata: &fs::Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?))
}

/// The files that a folder stands for: the first [`MAX_LISTED`] by their names.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn listed(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if is_config(&name) {
            files.insert(folder.join(name));
        }
        if files.len() > MAX_LISTED {
            files.pop_last();
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with a file and links, by its real path.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("conf/..1")).unwrap();
        fs::write(real.join("conf/..1/gw.toml"), "").unwrap();
        for (target, link) in [
            ("..1", "conf/..data"),
            ("./..data/gw.toml", "conf/gw.toml"),
            ("../conf/..1/gw.toml", "conf/up"),
            ("conf", "linked"),
            ("nowhere/at/all", "broken"),
            ("loop", "loop"),
        ] {
            symlink(target, real.join(link)).unwrap();
        }
        symlink(real.join("conf/up"), real.join("absolute")).unwrap();
        (folder, real)
    }

    #[test]
    fn the_names_on_a_way_are_its_links_and_where_it_ends() {
        let (_folder, root) = folder();
        for (path, names, end) in [
            ("conf/..1/gw.toml", &["conf/..1/gw.toml"][..], Some("conf/..1/gw.toml")),
            ("conf/gw.toml", &["conf/gw.toml", "conf/..data", "conf/..1/gw.toml"], Some("conf/..1/gw.toml")),
            ("linked/gw.toml", &["linked", "conf/gw.toml", "conf/..data", "conf/..1/gw.toml"], Some("conf/..1/gw.toml")),
            ("absolute", &["absolute", "conf/up", "conf/..1/gw.toml"], Some("conf/..1/gw.toml")),
            ("linked/../conf/./up", &["linked", "conf/up", "conf/..1/gw.toml"], Some("conf/..1/gw.toml")),
            ("conf", &["conf"], Some("conf")),
            ("conf/missing/gw.toml", &["conf/missing"], None),
            ("broken", &["broken", "nowhere"], None),
            ("loop", &["loop"], None),
            ("conf/gw.toml/below", &["conf/gw.toml", "conf/..data", "conf/..1/gw.toml/below"], None),
        ] {
            let mut trail = Trail::default();
            assert_eq!(trail.follow(&root.join(path)), end.map(|end| root.join(end)), "{path}");
            assert_eq!(trail.names, names.iter().map(|name| root.join(name)).collect(), "{path}");
        }
    }

    #[test]
    fn of_a_folder_every_toml_counts_whether_it_is_there_or_not() {
        let (_folder, root) = folder();
        let mut trail = Trail::default();
        trail.add(&root.join("linked"));
        for (name, counts) in [
            ("conf/new.toml", true),
            ("conf/gw.toml", true),
            ("conf/..1/gw.toml", true),
            ("conf/..data", true),
            ("linked", true),
            ("conf/.gw.toml.swp", false),
            ("conf/.gw.toml", false),
            ("conf/gw.toml~", false),
            ("conf/errors.log", false),
            ("new.toml", false),
        ] {
            assert_eq!(trail.holds(&root.join(name)), counts, "{name}");
        }
        assert_eq!(trail.folders(), ["", "conf", "conf/..1"].map(|name| root.join(name).components().collect()).into());
    }

    #[test]
    fn a_folder_stands_for_a_bounded_number_of_files() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MAX_LISTED {
            fs::write(folder.path().join(format!("{number:03}.toml")), "").unwrap();
        }
        let listed = listed(folder.path()).unwrap();
        assert_eq!((listed.len(), listed.last()), (MAX_LISTED, Some(&folder.path().join("256.toml"))));
    }

    #[test]
    fn a_way_changed_when_any_of_its_names_did() {
        let (_folder, root) = folder();
        let changed = |path: &str| {
            let mut trail = Trail::default();
            trail.add(&root.join(path));
            trail.changed()
        };
        assert!(changed("linked/gw.toml") >= changed("conf/gw.toml") && changed("conf/gw.toml") >= changed("conf/..1/gw.toml"));
        assert!(changed("conf/..1/gw.toml") > Some(SystemTime::UNIX_EPOCH));
        assert_eq!(changed("conf/missing"), None);
    }
}
