//! Where a gateway's control socket is, by the path of its config.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};

/// Where services keep what lives as long as they run (FHS 3.0 §3.15).
const RUN: &str = "/run/wsgate";

/// The paths at which the socket of a gateway may be that serves this config and says nothing of it, the likeliest first.
pub fn candidates(config: &Path) -> Vec<PathBuf> {
    let name = name(config);
    folders().into_iter().map(|folder| folder.join(&name)).collect()
}

/// Where the socket of a gateway that says nothing of it is to be; the folder is there, and nobody else's.
///
/// # Errors
/// There is no such folder, and it cannot be made.
pub(super) fn make(config: &Path) -> io::Result<PathBuf> {
    let mut why = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders() {
        match prepare(&folder) {
            Ok(()) => return Ok(folder.join(name(config))),
            Err(error) => why = io::Error::new(error.kind(), format!("{}: {error}", folder.display())),
        }
    }
    Err(why)
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

/// A name that people know again, and that no other config has: `gateway-0123456789abcdef.sock`.
fn name(config: &Path) -> String {
    let path = plain(config);
    let stem: String =
        path.file_stem().unwrap_or_default().to_string_lossy().chars().filter(|c| c.is_ascii_alphanumeric()).take(24).collect();
    format!("{stem}-{:016x}.sock", fingerprint(path.as_os_str().as_encoded_bytes()))
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
        assert!(same.starts_with("gateway-") && same.ends_with(".sock"), "{same}");
        assert_ne!(name(Path::new("/a/gateway.toml")), name(Path::new("/b/gateway.toml")));
        assert_eq!(name(Path::new("/etc/wsgate/gateway.toml")), "gateway-613efa79a1bf3ab9.sock");
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
