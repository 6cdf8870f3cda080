//! The control socket: bound where no living gateway holds it, for this user alone, and gone with the gateway.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A socket that is listened to. Dropped, it is taken away.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    /// Its device and inode: another gateway's in its place is left alone.
    identity: (u64, u64),
}

/// Why there is no control socket.
pub(super) enum NoSocket {
    /// A living gateway has the one at this path.
    Held(PathBuf),
    /// The system refuses it.
    Refused(io::Error),
}

impl From<io::Error> for NoSocket {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

impl Socket {
    /// Binds a socket at a path whose folder is there. One that nobody listens to any more is replaced.
    pub(super) fn bind(path: &Path) -> Result<Self, NoSocket> {
        let refused = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Two that start together must not each take the other's for a dead one.
        let turn = File::open(folder).map_err(refused)?;
        turn.lock().map_err(refused)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(refused(io::Error::other("something stands there that is no socket")).into());
            }
            Ok(_) if unix::UnixStream::connect(path).is_ok() => return Err(NoSocket::Held(path.to_owned())),
            Ok(_) => fs::remove_file(path).map_err(refused)?,
            Err(_) => {}
        }
        let listener = unix::UnixListener::bind(path).map_err(refused)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let bound = fs::symlink_metadata(path)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, path: path.to_owned(), identity: (bound.dev(), bound.ino()) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            // Where it cannot be taken away, whoever comes next replaces it.
            _ = fs::remove_file(&self.path);
        }
    }
}
