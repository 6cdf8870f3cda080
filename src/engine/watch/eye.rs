//! What the watched files hold, and that their folders are watched. Everything here may wait for a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::ear::Ear;
use super::print::Print;
use super::trail::Trail;

/// Folders that are watched; the kernel has a limit for each user, which other programs share.
pub(super) const MAX_FOLDERS: usize = 128;

/// How often links are followed again because they were pointed elsewhere before their folders were watched.
const MAX_ROUNDS: usize = 3;

/// How the kernel is asked for events.
pub(super) type Open = fn(Arc<Ear>) -> notify::Result<RecommendedWatcher>;

/// Looks at files.
pub(super) struct Eye {
    files: BTreeSet<PathBuf>,
    ear: Arc<Ear>,
    /// Asked for once; why not, where the system refuses.
    watcher: Result<RecommendedWatcher, String>,
    armed: BTreeSet<PathBuf>,
}

/// What was seen.
pub(super) struct Sight {
    pub(super) prints: BTreeMap<PathBuf, Print>,
    /// When one of them was saved last, be it with the same contents.
    pub(super) saved: Option<SystemTime>,
    /// Why some of it is not watched, where it is not.
    pub(super) limit: Option<String>,
}

/// Asks the system for events.
///
/// # Errors
/// When it has no more watchers, descriptors or threads to give.
pub(super) fn open(ear: Arc<Ear>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = RecommendedWatcher::new(move |event| ear.hear(event), notify::Config::default())?;
    // Where it got no thread only this says so: all else would panic, dropping it too.
    if let Err(error) = watcher.configure(notify::Config::default()) {
        std::mem::forget(watcher);
        return Err(error);
    }
    Ok(watcher)
}

impl Eye {
    pub(super) fn new(ear: Arc<Ear>, open: Open) -> Self {
        let watcher = open(ear.clone()).map_err(|error| said(&error, "fs.inotify.max_user_instances"));
        Self { files: BTreeSet::new(), ear, watcher, armed: BTreeSet::new() }
    }

    /// Looks at these from now on.
    pub(super) fn point(&mut self, files: Vec<PathBuf>) {
        self.files = files.into_iter().collect();
    }

    /// Has their folders watched, then reads them: what is written after that is heard.
    pub(super) fn look(&mut self) -> Sight {
        let limit = self.arm();
        let mut trail = Trail::default();
        self.files.iter().for_each(|path| trail.add(path));
        // Before they are read: what is saved meanwhile is another save.
        let saved = trail.saved();
        Sight { prints: self.files.iter().map(|path| (path.clone(), Print::take(path))).collect(), saved, limit }
    }

    /// Those that have changed since, by their time stamps.
    pub(super) fn written_since(&self, since: SystemTime) -> BTreeSet<PathBuf> {
        let has_changed = |path: &&PathBuf| {
            let mut trail = Trail::default();
            trail.add(path);
            trail.changed().is_some_and(|changed| changed >= since)
        };
        self.files.iter().filter(has_changed).cloned().collect()
    }

    fn arm(&mut self) -> Option<String> {
        let (mut limit, mut before) = (None, None);
        for _ in 0..MAX_ROUNDS {
            let mut trail = Trail::default();
            self.files.iter().for_each(|path| trail.add(path));
            if before.as_ref() == Some(&trail) {
                break;
            }
            limit = self.watch(&trail);
            before = Some(trail);
        }
        limit
    }

    /// Watches the folders of a trail, and no others. One that is watched already is asked for again, as it may be another by now:
    /// for the same one the kernel takes that for nothing.
    fn watch(&mut self, trail: &Trail) -> Option<String> {
        let folders = trail.folders();
        let lost = self.ear.heed(trail.clone(), folders.clone());
        let watcher = match &mut self.watcher {
            Ok(watcher) => watcher,
            Err(error) => return Some(error.clone()),
        };
        for folder in self.armed.iter().filter(|folder| lost.contains(*folder) || !folders.contains(*folder)) {
            // Where the folder was deleted it is not watched any more.
            _ = watcher.unwatch(folder);
        }
        self.armed.clear();
        let mut limit = (folders.len() > MAX_FOLDERS).then(|| format!("the files are in more than {MAX_FOLDERS} folders"));
        for folder in folders.into_iter().take(MAX_FOLDERS) {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.armed.insert(folder),
                // Gone since the way was followed: the next round, or the folder above, tells.
                Err(error) if is_gone(&error) => {}
                Err(error) => limit = limit.or_else(|| Some(said(&error, "fs.inotify.max_user_watches"))),
            }
        }
        limit
    }
}

impl fmt::Debug for Eye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eye").field("files", &self.files).field("armed", &self.armed).finish_non_exhaustive()
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// An error of the system's in words, with the setting that has to be raised where that is known.
fn said(error: &notify::Error, setting: &str) -> String {
    const EMFILE: i32 = 24;
    let text = match &error.kind {
        ErrorKind::MaxFilesWatch => return format!("{setting} is reached"),
        ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => {
            return format!("{setting}, or the limit on open files, is reached");
        }
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    match error.paths.first() {
        Some(folder) => format!("{}: {text}", folder.display()),
        None => text,
    }
}
