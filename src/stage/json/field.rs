//! Fields of a message, by the names on the way to them.

use std::fmt;
use std::str::FromStr;

use crate::config::units::written_as_string;

/// The way to a field, from the message's object inward.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field(Box<[Box<str>]>);

impl Field {
    /// The names on it.
    pub(in crate::stage) fn way(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.split('.').any(str::is_empty) {
            return Err(format!("{text:?} names no field; write its name, or the path to it as \"payload.kind\""));
        }
        Ok(Self(text.split('.').map(Into::into).collect()))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

written_as_string!(Field, "MessageField", "a field: \"type\", or the path to it, \"payload.kind\"", r"^[^.]+(\.[^.]+)*$");
