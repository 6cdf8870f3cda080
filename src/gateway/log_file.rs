//! Whether a log file could be opened where the file says: told before anything starts, and nothing is made for it.

use std::path::Path;

/// What is in the way of a log at this path. Rights are not judged: whoever checks a file may be another user than whoever runs it.
///
/// # Errors
/// What is wrong, and what would mend it after `; `.
pub(super) fn judge(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err(format!("{} is a folder; write the path of a file in it", path.display()));
    }
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() || folder.is_dir() => Ok(()),
        Some(folder) if folder.exists() => Err(format!("{} is not a folder", folder.display())),
        Some(folder) => Err(format!("the folder {} does not exist; make it: logs make files only", folder.display())),
        None => Err("a log needs the path of a file".to_owned()),
    }
}
