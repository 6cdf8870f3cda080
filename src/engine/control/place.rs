//! Where a gateway's control socket is, by the path of its config.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};

use super::socket::connect;

/// Where services keep what lives as long as they run (FHS 3.0 §3.15).
const RUN: &str = "/run/wsgate";

/// What the names of sockets end in, and those of signposts to them.
const SOCKET: &str = "sock";
const SIGNPOST: &str = "link";

/// The paths at which a gateway is to be found that serves this config, whatever that says of its socket, the likeliest first: in each
/// folder the socket itself, or a signpost to it.
pub fn candidates(config: &Path) -> Vec<PathBuf> {
    let name = name(config);
    let names = [name.with_extension(SOCKET), name.with_extension(SIGNPOST)];
    folders().iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).collect()
}

/// Whether gateways are to be found at paths like this.
pub fn is_candidate(path: &Path) -> bool {
    is_signpost(path) || path.extension().is_some_and(|extension| extension == SOCKET)
}

/// Whether a path like this leads to another.
pub fn is_signpost(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == SIGNPOST)
}

/// Connects to the gateway at a path, if it is this user's or root's, or this user is root. Nobody is waited for.
///
/// # Errors
/// It is another user's, or nobody listens there.
pub fn reach(path: &Path) -> io::Result<UnixStream> {
    let own = own_uid()?;
    let may_be_asked = |found: fs::Metadata| own == 0 || found.uid() == own || found.uid() == 0;
    if may_be_asked(fs::symlink_metadata(path)?) && may_be_asked(fs::metadata(path)?) {
        return connect(path);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's"))
}

/// Where the socket of a gateway that says nothing of it is to be; the folder is there, and nobody else's.
///
/// # Errors
/// There is no such folder, and it cannot be made.
pub(super) fn make(config: &Path) -> io::Result<PathBuf> {
    let mut why = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders() {
        match prepare(&folder) {
            Ok(()) => return Ok(folder.join(name(config)).with_extension(SOCKET)),
            Err(error) => why = io::Error::new(error.kind(), format!("{}: {error}", folder.display())),
        }
    }
    Err(why)
}

/// Where the signpost to a gateway's socket is to be that says where its socket is; none where there is no folder for it.
pub(super) fn signpost(config: &Path) -> Option<PathBuf> {
    make(config).ok().map(|path| path.with_extension(SIGNPOST))
}

fn folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let temporary = own_uid().ok().map(|uid| std::env::temp_dir().join(format!("wsgate-{uid}")));
    runtime.map(|folder| folder.join("wsgate")).into_iter().chain([PathBuf::from(RUN)]).chain(temporary).collect()
}

/// Makes a folder that only this user enters, or makes sure that it is one. In a folder that everybody may write to, as that for temporary
/// files, somebody else may have made it.
fn prepare(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let is_ours = found.is_dir() && found.uid() == own_uid()?;
    // That of a service may be entered by its group: the socket itself may not be.
    let is_closed = found.mode() & 0o022 == 0;
    if is_ours && is_closed { Ok(()) } else { Err(io::Error::other("it belongs to somebody else, or others may write to it")) }
}

/// The user this process acts as: whoever the kernel says a new socket of it belongs to.
pub fn own_uid() -> io::Result<u32> {
    let (socket, _other) = UnixStream::pair()?;
    File::from(OwnedFd::from(socket)).metadata().map(|found| found.uid())
}

/// A name that people know again, and that no other config has: `gateway-0123456789abcdef`.
fn name(config: &Path) -> PathBuf {
    let path = plain(config);
    let stem: String =
        path.file_stem().unwrap_or_default().to_string_lossy().chars().filter(|c| c.is_ascii_alphanumeric()).take(24).collect();
    format!("{stem}-{:016x}", fingerprint(path.as_os_str().as_encoded_bytes())).into()
}

/// The path from the root on, without `.` and `..`. Links are not followed: they may lead elsewhere by the time somebody looks.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): the same in every version of this program, as the standard library's hashes are not.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_one_name_however_its_path_is_written_and_no_other_has_it() {
        let here = std::env::current_dir().unwrap();
        let same = name(Path::new("gateway.toml"));
        for written in [here.join("gateway.toml"), "./gateway.toml".into(), here.join("x/../gateway.toml")] {
            assert_eq!(name(&written), same);
        }
        assert!(same.to_str().is_some_and(|same| same.starts_with("gateway-")), "{}", same.display());
        assert_ne!(name(Path::new("/a/gateway.toml")), name(Path::new("/b/gateway.toml")));
        assert_eq!(name(Path::new("/etc/wsgate/gateway.toml")), Path::new("gateway-613efa79a1bf3ab9"));
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_taken() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("wsgate");
        prepare(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o777, 0o700);
        prepare(&inner).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare(&inner).is_err());
        std::os::unix::fs::symlink("wsgate", folder.path().join("link")).unwrap();
        assert!(prepare(&folder.path().join("link")).is_err());
    }
}
