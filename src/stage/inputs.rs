//! What a part was made of besides its table: files and variables, by the fingerprints of what they held.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fingerprint::Fingerprint;

/// Files and variables, each with a fingerprint of what it held: never the contents, which may be secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<Input, Fingerprint>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Input {
    File(PathBuf),
    Variable(String),
}

impl Inputs {
    /// A file was read, and held this. It is the same file however its path is written.
    pub fn file(&mut self, path: &Path, bytes: &[u8]) {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.0.insert(Input::File(whole), Fingerprint::of(bytes));
    }

    /// A variable was looked up; none where it was not set.
    pub fn variable(&mut self, name: &str, value: Option<&str>) {
        self.0.insert(Input::Variable(name.to_owned()), Fingerprint::of(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_same_where_they_held_the_same() {
        let read = |file: &[u8], variable: Option<&str>| {
            let mut inputs = Inputs::default();
            inputs.file(Path::new("list.txt"), file);
            inputs.variable("KEY", variable);
            inputs
        };
        assert_eq!(read(b"a", Some("b")), read(b"a", Some("b")));
        for other in [read(b"b", Some("b")), read(b"a", Some("a")), read(b"a", None), Inputs::default()] {
            assert_ne!(read(b"a", Some("b")), other);
        }
    }
}
