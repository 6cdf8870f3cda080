//! `authenticated`: greets a client that has proven who it is, then sends its messages back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::terminal::Responder;

use super::Answer;
use super::echo::Returning;

/// `[authenticated.NAME]`: greets a client that has proven who it is, then sends its messages back. Its routes need a stage that
/// authenticates.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// The first message every client gets.
    pub greeting: String,
    /// Put before every text message that is sent back; binary messages go back as they came.
    pub prefix: String,
}

impl Default for Table {
    fn default() -> Self {
        Self { greeting: "Authenticated!".to_owned(), prefix: String::new() }
    }
}

/// Greets, then echoes. Its routes need a stage that authenticates.
pub struct Authenticated {
    greeting: Box<str>,
    prefix: Box<str>,
}

impl Authenticated {
    /// The endpoint its table describes.
    pub fn new(table: Table) -> Self {
        Self { greeting: table.greeting.into(), prefix: table.prefix.into() }
    }
}

impl Answer for Authenticated {
    fn responder(&self) -> Box<dyn Responder> {
        Box::new(Returning { greeting: Some(self.greeting.clone()), prefix: self.prefix.clone() })
    }
}
