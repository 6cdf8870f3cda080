//! The files of a schema: the one that the table names, and those beside it that it refers to.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ReferencingError, Retrieve, Uri, ValidationError};
use serde_json::Value;

use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::stage::Build;

use super::file::File;

/// How many files one schema is made of.
const MAX_FILES: usize = 64;

/// Keywords whose value is a reference.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Files by their URIs, the schema itself first.
pub(super) struct Files {
    /// The value of the table that names the schema.
    at: KeyPath,
    files: Vec<(String, File)>,
    root: Value,
}

impl Files {
    /// Reads the schema itself.
    ///
    /// # Errors
    /// What is wrong with its file.
    pub(super) fn read(path: &Path, at: KeyPath, build: &mut Build<'_>) -> Result<Self, Faults> {
        let file = File::read(path, &at, build)?;
        let root = file.value.clone();
        Ok(Self { at, files: vec![(uri(&build.path(path)), file)], root })
    }

    /// The URI of the schema itself.
    pub(super) fn uri(&self) -> &str {
        self.files.first().map_or("", |(uri, _)| uri)
    }

    /// The schema itself.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// What hands out the files that have been read, and says which others were asked for.
    pub(super) fn known(&self) -> (Known, Asked) {
        let asked = Asked::default();
        let files = self.files.iter().map(|(uri, file)| (uri.clone(), file.value.clone())).collect();
        (Known { files, asked: asked.clone() }, asked)
    }

    /// Reads the file of this URI too.
    ///
    /// # Errors
    /// What is wrong with it; where it is no file, or cannot be read, at the reference to it.
    pub(super) fn add(&mut self, uri: &str, build: &mut Build<'_>) -> Result<(), Faults> {
        let refers = |reference: &str| {
            let written = reference.split('#').next().unwrap_or_default();
            let tail = written.rsplit("./").next().unwrap_or_default();
            !tail.is_empty() && uri.ends_with(tail)
        };
        let place = self.place(refers);
        let fault = |message: String| Fault::new(place.clone(), message);
        let Some(path) = path(uri) else {
            let fault = fault(format!("a schema is read from files, and nothing is fetched: {uri}"));
            return Err(fault.hint("save it beside this file, and refer to it by its name: \"NAME.json\"").into());
        };
        if self.files.len() >= MAX_FILES {
            return Err(fault(format!("a schema is made of {MAX_FILES} files at most")).into());
        }
        // Named as the table would name it.
        let folder = std::path::absolute(build.path(Path::new(""))).unwrap_or_default();
        let path = path.strip_prefix(folder).unwrap_or(&path);
        let file = File::read(path, &self.at, build).map_err(|mut faults| {
            // What cannot be read has no place of its own.
            faults.0.iter_mut().filter(|fault| matches!(fault.place, Place::Value(_))).for_each(|fault| fault.place = place.clone());
            faults
        })?;
        self.files.push((uri.to_owned(), file));
        Ok(())
    }

    /// Why no schema can be made of the files.
    pub(super) fn fault(&self, error: &ValidationError<'_>) -> Fault {
        let ValidationErrorKind::Referencing(referring) = error.kind() else {
            return self
                .files
                .first()
                .map_or_else(|| Fault::new(self.at.clone(), error.to_string()), |(_, file)| file.fault(&self.at, error));
        };
        let leads_nowhere = |fragment: &str| {
            let written = format!("#{fragment}");
            Fault::new(self.place(|reference| reference.ends_with(&written)), format!("`{written}` leads nowhere"))
        };
        match referring {
            ReferencingError::PointerToNowhere { pointer } => leads_nowhere(pointer),
            ReferencingError::NoSuchAnchor { anchor } => leads_nowhere(anchor),
            ReferencingError::UnknownSpecification { specification } => {
                let drafts = "drafts are spoken by the names they give themselves, as \"https://json-schema.org/draft/2020-12/schema\"";
                let place = self.first("$schema", |named| named == specification);
                Fault::new(place, format!("nobody knows the draft {specification}")).hint(drafts)
            }
            other => {
                let said = other.to_string();
                Fault::new(self.place(|reference| said.contains(reference)), format!("the reference cannot be followed: {said}"))
            }
        }
    }

    /// Warnings of formats by which nothing is checked.
    pub(super) fn unchecked(&self, is_checked: impl Fn(&str) -> bool) -> Vec<Fault> {
        let of_file = |file: &File| -> Vec<Fault> {
            let formats = file.texts(&["format"]).into_iter().filter(|(_, format)| !is_checked(format));
            let warning = |(pointer, format): (String, &str)| {
                Fault::warning(file.at(&self.at, &pointer), format!("{format:?} is no format of this draft, and nothing is checked by it"))
            };
            formats.map(warning).collect()
        };
        self.files.iter().flat_map(|(_, file)| of_file(file)).collect()
    }

    /// The place of the first reference that is the one meant; where there is none the schema as a whole.
    fn place(&self, is_meant: impl Fn(&str) -> bool) -> Place {
        let found = REFERENCES.iter().map(|keyword| self.first(keyword, &is_meant)).find(|place| matches!(place, Place::Within(_)));
        found.unwrap_or_else(|| self.at.clone().into())
    }

    fn first(&self, keyword: &str, is_meant: impl Fn(&str) -> bool) -> Place {
        let in_file = |file: &File| {
            let texts = file.texts(&[keyword]);
            texts.iter().find(|(_, text)| is_meant(text)).map(|(pointer, _)| file.at(&self.at, pointer))
        };
        self.files.iter().find_map(|(_, file)| in_file(file)).unwrap_or_else(|| self.at.clone().into())
    }
}

/// The URI that was asked for and is not known.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Option<String>>>);

impl Asked {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Files that have been read. It reads none itself: what a schema is made of is read through [`Build`], as all inputs are.
pub(super) struct Known {
    files: HashMap<String, Value>,
    asked: Asked,
}

impl Retrieve for Known {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if let Some(value) = self.files.get(uri.as_str()) {
            return Ok(value.clone());
        }
        *self.asked.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(uri.as_str().to_owned());
        Err("it has not been read".into())
    }
}

/// What the URI of a file begins with.
const SCHEME: &str = "file://";

/// A file's URI (RFC 8089).
fn uri(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = SCHEME.to_owned();
    for byte in whole.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            byte => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri
}

/// The path of a file's URI; none where it is of something else.
fn path(uri: &str) -> Option<PathBuf> {
    let written = uri.strip_prefix(SCHEME).filter(|rest| rest.starts_with('/'))?;
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    Some(String::from_utf8(bytes).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_again_by_its_uri() {
        for written in ["/srv/chat.json", "/a b/ü%20#?.json"] {
            let uri = uri(Path::new(written));
            assert_eq!(path(&uri).as_deref(), Some(Path::new(written)), "{uri}");
            assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'?'), "{uri}");
        }
        for other in ["https://example.com/a.json", "file://host/a.json", "urn:a", "file:///%zz", "file:///%f"] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
