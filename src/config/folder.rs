//! A folder of files that are one config: which of them belong to it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The most files of a folder that are read.
pub const MAX_FILES: usize = 256;

/// The most that the files of a folder may hold together, in bytes.
pub const MAX_FOLDER: u64 = 16 << 20;

/// Whether a file of that name belongs to the config: every `*.toml`, dotfiles left out, as those that editors and mounted volumes
/// keep for themselves.
pub fn is_config(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.ends_with(b".toml") && !bytes.starts_with(b".")
}

/// The files of a folder that are read, in the order of their names.
///
/// # Errors
/// What is wrong with the folder, and what would mend it after `; `.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: io::Error| format!("cannot read the folder: {error}");
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if is_config(&name) {
            files.push(folder.join(name));
        }
        if files.len() > MAX_FILES {
            return Err(format!("the folder has more than {MAX_FILES} files that end in .toml"));
        }
    }
    if files.is_empty() {
        return Err("the folder has no file that ends in .toml; write gateway.toml in it, or name another".to_owned());
    }
    files.sort();
    Ok(files)
}
