//! Judges: the stage trait and everything built on it.
//!
//! A stage sees facts and answers pass or a [`Refusal`]. It writes no log line and touches no socket.

pub mod build;
pub mod cells;
pub mod client;
pub mod refusal;
pub mod traffic;

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::config::fault::Faults;

pub use build::Build;
pub use client::{Client, Identity, Peer};
pub use refusal::{Ending, Outcome, Party, Refusal, Verdict};
pub use traffic::{FrameHead, FrameInspector, Inspect, Message, Opcode, Side};

/// A future a stage answers with when it must ask somebody first.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stage's answer to a handshake.
pub enum Judgement<'a> {
    /// An answer now.
    Now(Verdict),
    /// An answer later.
    Later(BoxFuture<'a, Verdict>),
    /// Answer 101 first, and ask again with the first message in [`Client::first_message`].
    FirstMessage(FirstMessage),
}

/// What a stage wants of a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// How long the client may take to send it, from the 101 on.
    pub timeout: Duration,
    /// Its largest size in bytes.
    pub max: u64,
}

/// One policy of a listener or route, shared by all its connections.
///
/// Every method has a pass-through default: a stage writes only the moments it cares about.
pub trait Stage: Send + Sync + 'static {
    /// The client's address is known, nothing is read.
    ///
    /// # Errors
    /// The refusal that turns the client away.
    fn connect(&self, _peer: &Peer) -> Verdict {
        Ok(())
    }

    /// The request is read, nothing has been answered.
    fn handshake<'a>(&'a self, _client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(Ok(()))
    }

    /// The config, or time, has changed under a live connection.
    ///
    /// # Errors
    /// The refusal that ends it.
    fn review(&self, _client: &Client, _now: SystemTime) -> Verdict {
        Ok(())
    }

    /// How this connection's traffic is to be looked at; asked once, when it opens.
    fn inspect(&self, _client: &Client) -> Inspect {
        Inspect::Nothing
    }

    /// Shapes what a refused client is told; `client` is unknown before a request was routed.
    fn error(&self, _client: Option<&Client>, _refusal: &mut Refusal) {}

    /// The connection has ended. For counting; what it held releases itself.
    fn close(&self, _client: &Client, _ending: &Ending) {}

    /// When this stage's verdicts next change by themselves, as when a rule expires.
    fn next_change(&self, _now: SystemTime) -> Option<SystemTime> {
        None
    }
}

/// How a stage is made from its table in the file.
pub trait Configure: Stage + Sized {
    /// The kind, as the file writes it: `[kind.name]`.
    const KIND: &'static str;
    /// Whether a bare `"kind"` may stand in a pipeline: its defaults are complete.
    const BARE: bool = false;
    /// Whether a client that passed this stage has an [`Identity`].
    const AUTHENTICATES: bool = false;
    /// The table's keys. `mode` is not among them: the pipeline keeps it.
    type Table: DeserializeOwned + Serialize + JsonSchema;

    /// Makes the stage. All that can fail fails here.
    ///
    /// # Errors
    /// Every fault of the table that its shape alone does not show.
    fn configure(table: Self::Table, build: &mut Build<'_>) -> Result<Self, Faults>;
}
