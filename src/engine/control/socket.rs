//! A control socket: bound where no living gateway holds it, for this user alone, and gone with the gateway.

use std::fmt;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

/// How many clients wait to be accepted.
const BACKLOG: i32 = 128;

/// How long to wait for another that starts in the same folder, and how often to look.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// A socket that is listened to. Dropped, it is taken away.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    /// Its device and inode: another gateway's in its place is left alone.
    identity: (u64, u64),
}

/// Why there is no control socket.
pub(super) enum NoSocket {
    /// A living gateway has the one at this path: this process, where it tells.
    Held(PathBuf, Option<i32>),
    /// The system refuses it.
    Refused(io::Error),
}

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path, by) => {
                let by = by.map(|by| format!(" (process {by})")).unwrap_or_default();
                let path = path.display();
                write!(f, "another gateway{by} has the control socket {path}; give this one its own with `control` in [gateway]")
            }
            Self::Refused(error) => write!(f, "cannot listen for commands: {error}"),
        }
    }
}

impl From<io::Error> for NoSocket {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

impl Socket {
    /// Binds a socket at a path whose folder is there. One that nobody listens to any more is replaced.
    pub(super) async fn bind(path: &Path) -> Result<Self, NoSocket> {
        let refused = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Two that start together must not each take the other's for a dead one.
        let _turn = lock(folder).await.map_err(refused)?;
        make_way(path).map_err(|why| match why {
            NoSocket::Refused(error) => refused(error).into(),
            held @ NoSocket::Held(..) => held,
        })?;
        let listener = listen(path).map_err(refused)?;
        let identity = identity(path).map_err(refused)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, path: path.to_owned(), identity })
    }

    /// Whether it is still what stands at this path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        identity(path).is_ok_and(|found| found == self.identity)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_at(&self.path) {
            // Where it cannot be taken away, whoever comes next replaces it.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to whoever listens at a path; nobody is waited for.
pub(super) fn connect(path: &Path) -> io::Result<unix::UnixStream> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(OwnedFd::from(socket).into())
}

/// The lock of a folder, held as long as the file is.
async fn lock(folder: &Path) -> io::Result<File> {
    let (turn, begun) = (File::open(folder)?, Instant::now());
    loop {
        match turn.try_lock() {
            Ok(()) => return Ok(turn),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(LOOK).await,
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another program keeps its folder locked")),
        }
    }
}

/// Takes away what a dead gateway has left.
fn make_way(path: &Path) -> Result<(), NoSocket> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(io::Error::other("something stands there that is no socket").into()),
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    match connect(path) {
        Ok(stream) => Err(NoSocket::Held(path.to_owned(), process(stream))),
        // It has as many waiting as it can.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(NoSocket::Held(path.to_owned(), None)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error.into()),
    }
}

/// Who listens at the other end.
fn process(stream: unix::UnixStream) -> Option<i32> {
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()?.peer_cred().ok()?.pid()
}

/// Nobody can connect before the mode is right: nobody listens yet.
fn listen(path: &Path) -> io::Result<unix::UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
