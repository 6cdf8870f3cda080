//! A JSON Schema, compiled once: what messages have to be.

mod file;
mod files;
mod locate;

use std::path::Path;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ReferencingError, ValidationError, Validator};

use crate::config::fault::{Faults, KeyPath};
use crate::stage::Build;
use crate::stage::json::Json;

use super::looks::within;
use super::node::AsRead;

use files::Files;

/// How much is told of what a message does not fit in, in bytes.
const MAX_TOLD: usize = 256;

/// How many values are looked at to find that out. What a verdict remembers of a value is found out anew here, for each way that the
/// schema takes to it: where that refers to itself they double with each level of the message.
const MAX_LOOKS: usize = 10_000;

/// A schema, all of whose references are resolved.
pub(super) struct Schema(Validator<AsRead>);

impl Schema {
    /// Reads the file that the table names at `at`, and those beside it that it refers to.
    ///
    /// # Errors
    /// What is wrong with them, each at its place in its file.
    pub(super) fn read(file: &Path, at: KeyPath, build: &mut Build<'_>) -> Result<Self, Faults> {
        let mut files = Files::read(file, at, build)?;
        let validator = loop {
            let (known, asked) = files.known();
            let options = jsonschema::options_for::<AsRead>()
                .should_validate_formats(true)
                .with_format("uuid", is_uuid)
                // Whoever writes a message may not choose how long a pattern takes to be matched.
                .with_pattern_options(PatternOptions::regex())
                .with_base_uri(files.uri())
                .with_retriever(known);
            match options.build(files.root()) {
                Ok(validator) => {
                    let is_checked = |format: &str| options.is_known_format(validator.draft(), format);
                    build.warnings.extend(files.unchecked(is_checked));
                    break validator;
                }
                Err(error) => match asked.take().filter(|_| is_for_want_of_a_file(&error)) {
                    Some(uri) => files.add(&uri, build)?,
                    None => return Err(files.fault(&error).into()),
                },
            }
        };
        Ok(Self(validator))
    }

    /// Whether a message fits.
    pub(super) fn takes(&self, json: &Json<'_>) -> bool {
        self.0.is_valid(json)
    }

    /// Where a message does not fit and what it does not fit in, for the log: nothing of what it holds but names, and little of those.
    /// This takes longer than to find out that it does not, and where it would take too long nothing is told.
    pub(super) fn why(&self, json: &Json<'_>) -> String {
        let error = within(MAX_LOOKS, || self.0.validate(json).err().map(|error| told(&error)));
        let mut told = error.flatten().unwrap_or_default();
        if told.len() > MAX_TOLD {
            told.truncate(told.floor_char_boundary(MAX_TOLD - '…'.len_utf8()));
            told.push('…');
        }
        told
    }
}

/// `/user is not of type "string"`, or `/user: "name" is a required property`.
fn told(error: &ValidationError<'_>) -> String {
    let at = match error.instance_path().as_str() {
        "" => "the message",
        path => path,
    };
    let told = error.masked_with(at).to_string();
    if told.contains(at) { told } else { format!("{at}: {told}") }
}

fn is_for_want_of_a_file(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Referencing(ReferencingError::Unretrievable { .. }))
}

/// Whether this is a UUID (RFC 9562 §4). The crate's own check is for drafts since 2019-09 alone, and schemas of older ones ask for it.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_right = |(at, byte): (usize, &u8)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    bytes.len() == 36 && bytes.iter().enumerate().all(is_right)
}
