//! Whether a log file could be opened where the file says: told before anything starts, and nothing is made for it.

use std::path::Path;

use crate::config::fault::{Fault, KeyPath};
use crate::config::world::{Standing, World};

/// What is in the way of a log at this path, which the file names at `at`. Rights are not judged: whoever checks a file may be another
/// user than whoever runs it.
///
/// # Errors
/// A fault there.
pub(super) fn judge(path: &Path, at: KeyPath, world: &dyn World) -> Result<(), Fault> {
    let wrong = |at, why: String| Err(Fault::said(at, &why));
    let Some(folder) = path.parent() else { return wrong(at, "a log needs the path of a file".to_owned()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (world.standing(path), world.standing(folder)) {
        (Some(Standing::Folder), _) => wrong(at, format!("{} is a folder; write the path of a file in it", path.display())),
        (_, Some(Standing::File)) => wrong(at, format!("{} is not a folder", folder.display())),
        (_, Some(Standing::Nothing)) => wrong(at, format!("the folder {} does not exist; make it: logs make files only", folder.display())),
        (Some(_), Some(Standing::Folder)) => Ok(()),
        (None, _) | (_, None) => Err(Fault::unknown(at, format!("the place of {}", path.display()))),
    }
}
