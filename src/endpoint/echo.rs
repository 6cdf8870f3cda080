//! `echo`: sends every message back, text with a prefix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::Message;
use crate::wire::terminal::Responder;

use super::Answer;

/// `[echo.NAME]`: sends every message back, text with a prefix.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Put before every text message that is sent back; binary messages go back as they came.
    pub prefix: String,
}

/// Sends every message back.
pub struct Echo {
    prefix: Box<str>,
}

impl Echo {
    /// The endpoint its table describes.
    pub fn new(table: Table) -> Self {
        Self { prefix: table.prefix.into() }
    }
}

impl Answer for Echo {
    fn responder(&self) -> Box<dyn Responder> {
        Box::new(Returning { greeting: None, prefix: self.prefix.clone() })
    }
}

/// Returns one connection's messages, after a greeting if there is one.
pub(super) struct Returning {
    pub(super) greeting: Option<Box<str>>,
    pub(super) prefix: Box<str>,
}

impl Responder for Returning {
    fn greet(&mut self) -> Option<Message<'static>> {
        self.greeting.take().map(|greeting| String::from(greeting).into())
    }

    fn answer<'a>(&mut self, message: Message<'a>) -> Option<Message<'a>> {
        Some(match message {
            Message::Text(text) if !self.prefix.is_empty() => format!("{}{text}", self.prefix).into(),
            unchanged => unchanged,
        })
    }
}
