//! A signpost: a link that leads to a control socket from where one looks for it who cannot read the config.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A link that leads to a socket. Dropped, it is taken away.
pub(super) struct Signpost {
    path: PathBuf,
    to: PathBuf,
}

impl Signpost {
    /// Puts one up in the place of any other. A socket that cannot have one is found by its own path.
    pub(super) fn put_up(path: PathBuf, to: &Path) -> Option<Self> {
        let to = std::path::absolute(to).ok()?;
        replace(&path, &to).ok()?;
        Some(Self { path, to })
    }

    /// Whether somebody has taken it away, and put up no other.
    pub(super) fn is_gone(&self) -> bool {
        fs::symlink_metadata(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

/// There is no moment without a link where there was one.
fn replace(path: &Path, to: &Path) -> io::Result<()> {
    let beside = path.with_extension(format!("link-{}", std::process::id()));
    _ = fs::remove_file(&beside);
    symlink(to, &beside)?;
    fs::rename(&beside, path).inspect_err(|_| _ = fs::remove_file(&beside))
}

impl Drop for Signpost {
    fn drop(&mut self) {
        // Another gateway may have put up its own.
        if fs::read_link(&self.path).is_ok_and(|to| to == self.to) {
            _ = fs::remove_file(&self.path);
        }
    }
}
