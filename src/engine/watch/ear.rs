//! Which of the kernel's events are about the watched files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use tokio::sync::Notify;

use super::trail::Trail;

/// Hears events on notify's thread, and wakes whoever waits for one that is worth a look. However many come, one is remembered.
#[derive(Debug, Default)]
pub(super) struct Ear {
    stirred: Notify,
    heeded: Mutex<Heeded>,
}

/// What is listened for, and what was heard that a look has to know.
#[derive(Debug, Default)]
struct Heeded {
    trail: Trail,
    folders: BTreeSet<PathBuf>,
    /// Names of the trail that were written to by somebody who has not closed them yet.
    open: BTreeSet<PathBuf>,
    /// Folders that may not be the ones that are watched any more: moved, deleted, replaced.
    lost: BTreeSet<PathBuf>,
}

impl Ear {
    /// Listens for these names, and for these folders themselves, from now on. Gives the folders that were lost since.
    pub(super) fn heed(&self, trail: Trail, folders: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let mut heeded = self.heeded();
        let lost = std::mem::take(&mut heeded.lost);
        // Where a folder is watched anew, it may not be heard that a file in it is closed.
        let is_heard = |name: &PathBuf| trail.names.contains(name) && name.parent().is_some_and(|folder| !lost.contains(folder));
        heeded.open.retain(is_heard);
        (heeded.trail, heeded.folders) = (trail, folders);
        lost
    }

    /// Whether somebody has a file open into which something was written.
    pub(super) fn is_being_written(&self) -> bool {
        !self.heeded().open.is_empty()
    }

    /// Whoever has a file open now is not waited for until more is written to it.
    pub(super) fn wait_no_longer(&self) {
        self.heeded().open.clear();
    }

    /// Returns when something has stirred since it last returned. Cancel-safe.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// An event, or that some were lost.
    pub(super) fn hear(&self, event: notify::Result<notify::Event>) {
        let is_worth_a_look = match event {
            Ok(event) => self.heeded().hear(&event),
            Err(_) => true,
        };
        if is_worth_a_look {
            self.stirred.notify_one();
        }
    }

    fn heeded(&self) -> MutexGuard<'_, Heeded> {
        self.heeded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heeded {
    /// Whether the event is about one of the names. A log in the same folder is not: it may be written to all the time. Nor is
    /// reading, which the look does itself.
    fn hear(&mut self, event: &notify::Event) -> bool {
        if event.need_rescan() {
            // The kernel's queue was full: what was closed meanwhile is not known.
            self.open.clear();
            return true;
        }
        let (is_write, is_close) = (
            matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))),
            matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write))),
        );
        if event.kind.is_access() && !is_close {
            return false;
        }
        let mut is_ours = false;
        for path in &event.paths {
            if self.folders.contains(path) {
                self.lost.insert(path.clone());
                is_ours = true;
            }
            is_ours |= self.trail.holds(path);
            if is_write && self.trail.names.contains(path) {
                self.open.insert(path.clone());
            } else {
                self.open.remove(path);
            }
        }
        is_ours
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Event, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const MOVE: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::Both));

    /// Heeds `/conf/gw.toml`, `/conf/..data` and every `*.toml` in `/more`.
    fn heeded() -> Heeded {
        let trail = Trail { names: ["/conf/gw.toml", "/conf/..data"].map(PathBuf::from).into(), lists: [PathBuf::from("/more")].into() };
        Heeded { folders: trail.folders(), trail, ..Heeded::default() }
    }

    fn event(kind: EventKind, paths: &[&str]) -> Event {
        paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into()))
    }

    #[test]
    fn what_is_done_to_our_names_is_heard_and_nothing_else() {
        for (kind, paths, is_heard) in [
            (WRITE, &["/conf/gw.toml"][..], true),
            (CLOSE, &["/conf/gw.toml"], true),
            (EventKind::Create(CreateKind::File), &["/conf/gw.toml"], true),
            (EventKind::Remove(RemoveKind::File), &["/conf/gw.toml"], true),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), &["/conf/gw.toml"], true),
            (MOVE, &["/conf/..data_tmp", "/conf/..data"], true),
            (MOVE, &["/conf/gw.toml", "/conf/gw.toml~"], true),
            (EventKind::Create(CreateKind::File), &["/more/new.toml"], true),
            (EventKind::Remove(RemoveKind::Folder), &["/conf"], true),
            (WRITE, &["/conf/errors.log"], false),
            (WRITE, &["/conf/.gw.toml.swp"], false),
            (WRITE, &["/more/.new.toml"], false),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), &["/conf/gw.toml"], false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), &["/conf/gw.toml"], false),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), &["/conf"], false),
        ] {
            assert_eq!(heeded().hear(&event(kind, paths)), is_heard, "{kind:?} {paths:?}");
        }
    }

    #[test]
    fn a_file_is_being_written_until_it_is_closed_moved_or_deleted_or_events_are_lost() {
        for end in [
            event(CLOSE, &["/conf/gw.toml"]),
            event(MOVE, &["/conf/gw.toml", "/conf/old"]),
            event(EventKind::Remove(RemoveKind::File), &["/conf/gw.toml"]),
            Event::new(EventKind::Other).set_flag(Flag::Rescan),
        ] {
            let mut heeded = heeded();
            heeded.hear(&event(WRITE, &["/conf/gw.toml"]));
            heeded.hear(&event(WRITE, &["/conf/errors.log"]));
            assert_eq!(heeded.open, [PathBuf::from("/conf/gw.toml")].into());
            assert!(heeded.hear(&end), "{end:?}");
            assert!(heeded.open.is_empty(), "{end:?}");
        }
    }

    #[test]
    fn a_folder_that_something_is_done_to_is_lost_with_what_is_open_in_it() {
        let ear = Ear::default();
        let Heeded { trail, folders, .. } = heeded();
        ear.heed(trail.clone(), folders.clone());
        ear.hear(Ok(event(WRITE, &["/conf/gw.toml"])));
        assert!(ear.heed(trail.clone(), folders.clone()).is_empty() && ear.is_being_written());
        ear.hear(Ok(event(MOVE, &["/conf"])));
        assert_eq!(ear.heed(trail.clone(), folders.clone()), [PathBuf::from("/conf")].into());
        assert!(ear.heed(trail, folders).is_empty() && !ear.is_being_written());
    }
}
