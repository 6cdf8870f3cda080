//! What the script asks for, one line of JSON each, and how far it has come.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

use crate::message::Message;

/// Connections that are being opened at a time.
const LANES: usize = 16;

/// What goes over a connection that is opened.
pub const FIRST: &str = r#"{"id":"0000000000000000","n":10}"#;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Opens connections, each of which has a message answered, and keeps them as this group.
    Open { group: String, dial: Dial, connections: usize },
    /// Has messages answered on the first so many connections of a group, `depth` of each on their way at a time.
    Echo { group: String, connections: usize, messages: usize, depth: u32, text: String },
    /// Opens connections, each of which has a message answered, and closes them.
    Churn { dial: Dial, connections: usize },
    /// Ends a group's connections.
    End { group: String },
}

/// Whom to connect to, and what to ask for.
#[derive(Deserialize)]
pub struct Dial {
    pub address: SocketAddr,
    pub path: String,
    /// Whether a client shows its token.
    pub has_tokens: bool,
    /// Its first message; [`FIRST`] unless told.
    pub text: Option<String>,
}

/// A command that is under way.
pub struct Job {
    pub what: What,
    pub message: Message,
    pub depth: u32,
    /// How many connections it is about, have begun, and are done.
    total: usize,
    begun: usize,
    done: usize,
    began: Instant,
}

pub enum What {
    Open { group: String, dial: Dial },
    Echo,
    Churn { dial: Dial },
}

impl Job {
    /// One that opens connections.
    pub fn opening(what: What, connections: usize) -> Self {
        let (What::Open { dial, .. } | What::Churn { dial }) = &what else { unreachable!("nothing else opens") };
        let message = Message::new(dial.text.as_deref().unwrap_or(FIRST));
        Self { what, message, depth: 1, total: connections, begun: 0, done: 0, began: Instant::now() }
    }

    pub fn echo(text: &str, connections: usize, depth: u32) -> Self {
        let message = Message::new(text);
        Self { what: What::Echo, message, depth, total: connections, begun: connections, done: 0, began: Instant::now() }
    }

    /// Whether another connection is to be opened now.
    pub fn begins_another(&mut self) -> bool {
        let is_due = self.begun < self.total && self.begun - self.done < LANES;
        self.begun += usize::from(is_due);
        is_due
    }

    /// One of its connections is done; the line to print once all are.
    pub fn has_done(&mut self) -> Option<String> {
        self.done += 1;
        (self.done == self.total).then(|| json!({ "seconds": self.began.elapsed().as_secs_f64() }).to_string())
    }
}
