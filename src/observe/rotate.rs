//! Log files: appended to, rotated by size and by day, found again when something else moves them.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::writer::{Lines, Written, count_lines};
use crate::config::units::Size;

/// When a file is put aside, and how many of those are kept.
///
/// `gateway.log` becomes `gateway.log.1`, what was that becomes `gateway.log.2`, and so on: the newest is always `.1`, as logrotate's are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before a line would make it larger than this. A line that is longer gets a file of its own.
    pub size: Option<Size>,
    /// When it was last written in an earlier period than now.
    pub every: Option<Period>,
    /// How many old ones are kept; with 0 a rotation deletes the file.
    pub keep: u16,
}

/// A period of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
}

impl Rotation {
    /// Whether it ever rotates.
    fn is_on(&self) -> bool {
        self.size.is_some() || self.every.is_some()
    }
}

/// How often the path is looked at, to find that the file was moved or deleted.
const LOOK: Duration = Duration::from_secs(1);
/// How long a rotation that failed is not tried again.
const RETRY: Duration = Duration::from_secs(60);

/// A log file that is open for appending.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: Lines<File>,
    /// Its length in bytes.
    length: u64,
    /// The day it was last written.
    day: u64,
    /// When its path was last looked at.
    looked: SystemTime,
    /// When a rotation failed.
    failed: Option<SystemTime>,
    /// What the system said to that, until it is told.
    error: Option<io::Error>,
}

impl LogFile {
    /// Opens the file, or makes it; its folder must exist.
    ///
    /// # Errors
    /// The system's, or that what stands at the path cannot be a log or cannot be rotated.
    pub(super) fn open(path: PathBuf, rotation: Rotation, now: SystemTime) -> io::Result<Self> {
        check(&path, rotation)?;
        let (file, length, day) = append(&path, now)?;
        Ok(Self { path, rotation, file, length, day, looked: now, failed: None, error: None })
    }

    /// Writes whole lines, rotating before, between and not within them. An error of the rotation loses no line.
    pub(super) fn write(&mut self, lines: &[u8], now: SystemTime) -> Written {
        self.look(now);
        let mut rest = lines;
        let mut written = Written::default();
        while !rest.is_empty() {
            let fits = if self.is_stale(now) { 0 } else { whole_lines(rest, self.room()) };
            if fits == 0 && self.length > 0 && self.rotate(now) {
                continue;
            }
            let end = match (fits, self.length) {
                // Not even one line, in an empty file: it gets this one to itself.
                (0, 0) => first_line(rest),
                // The file is full and cannot be rotated.
                (0, _) => rest.len(),
                (fits, _) => fits,
            };
            let (part, later) = rest.split_at_checked(end).unwrap_or((rest, Default::default()));
            let taken = match self.file.write(part) {
                Ok(()) => part.len(),
                Err((at, error)) => {
                    written = Written { lost: written.lost + count_lines(part, at), error: Some(error.to_string()) };
                    at
                }
            };
            self.length = self.length.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            self.day = day(now);
            rest = later;
        }
        let error = self.error.take().map(|error| format!("cannot rotate or reopen {}: {error}", self.path.display()));
        written.error = written.error.or(error);
        written
    }

    /// Opens the file anew by its path; where that fails the one that is open stays.
    pub(super) fn reopen(&mut self, now: SystemTime) {
        match append(&self.path, now) {
            Ok(opened) => (self.file, self.length, self.day) = opened,
            Err(error) => self.error = Some(error),
        }
    }

    /// Finds out, at most once in [`LOOK`], whether the path still leads to the open file, and how long that is by now.
    fn look(&mut self, now: SystemTime) {
        // A clock that was set back is an error here, and a reason to look.
        if now.duration_since(self.looked).is_ok_and(|since| since < LOOK) {
            return;
        }
        self.looked = now;
        match self.file.out.metadata() {
            Ok(open) if is_at(&open, &self.path) => self.length = open.len(),
            _ => self.reopen(now),
        }
    }

    /// How many more bytes belong into this file.
    fn room(&self) -> u64 {
        self.rotation.size.map_or(u64::MAX, |size| size.get().saturating_sub(self.length))
    }

    /// Whether what stands in the file is from an earlier day.
    fn is_stale(&self, now: SystemTime) -> bool {
        self.rotation.every == Some(Period::Day) && self.length > 0 && self.day != day(now)
    }

    /// Puts the file aside and begins a new one; false where that failed, or did a short while ago.
    fn rotate(&mut self, now: SystemTime) -> bool {
        if self.failed.is_some_and(|failed| now.duration_since(failed).is_ok_and(|since| since < RETRY)) {
            return false;
        }
        match self.put_aside().and_then(|()| append(&self.path, now)) {
            Ok(opened) => {
                (self.file, self.length, self.day) = opened;
                self.failed = None;
            }
            Err(error) => {
                self.failed = Some(now);
                self.error = Some(error);
            }
        }
        self.failed.is_none()
    }

    /// Moves the old ones up by one number as far as the first that is free, and deletes those beyond `keep`. Does nothing where another
    /// writer has put the file aside already.
    fn put_aside(&self) -> io::Result<()> {
        if !is_at(&self.file.out.metadata()?, &self.path) {
            return Ok(());
        }
        check(&self.path, self.rotation)?;
        let keep = self.rotation.keep;
        if keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            let free = (1..=keep).find(|number| !exists(&self.numbered(*number))).unwrap_or(keep);
            for number in (1..free).rev() {
                fs::rename(self.numbered(number), self.numbered(number + 1))?;
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        let beyond = (keep.saturating_add(1)..u16::MAX).map(|number| self.numbered(number));
        beyond.take_while(|path| exists(path)).try_for_each(fs::remove_file)
    }

    fn numbered(&self, number: u16) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(format!(".{number}"));
        path.into()
    }
}

/// Refuses what opening would hang on, and what rotation would not move but hide.
fn check(path: &Path, rotation: Rotation) -> io::Result<()> {
    let invalid = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                    Err(io::Error::new(io::ErrorKind::NotFound, format!("the folder {} does not exist", folder.display())))
                }
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&kind) {
        return invalid("it is a named pipe, which opens only once somebody reads from it");
    }
    if kind.is_dir() {
        return invalid("it is a folder");
    }
    if rotation.is_on() && !kind.is_file() {
        return invalid("only a regular file can be rotated, and it is none");
    }
    Ok(())
}

/// Opens for appending; a new file is readable by its owner and group, since it names clients.
/// With it come its length and the day it was last written; today for an empty one.
fn append(path: &Path, now: SystemTime) -> io::Result<(Lines<File>, u64, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    let written = if metadata.len() > 0 { metadata.modified()? } else { now };
    Ok((Lines::new(file), metadata.len(), day(written)))
}

/// Whether the path leads to the file with this metadata.
fn is_at(open: &Metadata, path: &Path) -> bool {
    let Ok(there) = fs::metadata(path) else { return false };
    #[cfg(unix)]
    let same = {
        use std::os::unix::fs::MetadataExt;
        (there.dev(), there.ino()) == (open.dev(), open.ino())
    };
    #[cfg(not(unix))]
    let same = there.is_file() == open.is_file();
    same
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Days since 1970, in UTC.
fn day(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400
}

/// How many bytes of `lines` are whole lines that fit into `room`.
fn whole_lines(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if lines.len() <= room {
        return lines.len();
    }
    lines.iter().take(room).rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// How many bytes the first line has.
fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |newline| newline + 1)
}
