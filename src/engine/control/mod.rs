//! The control socket: where an operator's commands reach a running gateway.
//!
//! ```text
//! wsgate VERB ─▶ socket ─▶ server ─┬─▶ look      status, ps, show, kick, events: beside whatever the engine is doing
//!                                  └─▶ command   plan, reload, rollback, deny …: to the keeper, one after the other
//! ```

mod command;
mod door;
pub mod facts;
mod follow;
mod list_file;
mod lists;
mod look;
mod outcome;
pub mod place;
pub mod protocol;
mod selector;
mod server;
mod show;
mod signpost;
mod socket;
mod spare;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use protocol::Reply;

pub use command::Command;
pub use door::Door;

/// Commands that wait for the keeper.
const MAX_COMMANDS: usize = 16;

/// A control socket that is served.
pub struct Control {
    commands: mpsc::Receiver<Command>,
    /// Ends with this, and the socket with it.
    _server: JoinSet<()>,
}

impl Control {
    /// The next command for the keeper. Cancel-safe.
    pub async fn next(&mut self) -> Command {
        match self.commands.recv().await {
            Some(command) => command,
            None => std::future::pending().await,
        }
    }

    /// Takes no more commands for the keeper: whoever has one waiting is told that the gateway stops. What only looks is still answered.
    pub fn close(&mut self) {
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
    }
}

/// The last line of an answer that has come to this.
fn reply(done: &impl Serialize) -> Reply {
    serde_json::to_value(done).map_or_else(|error| Reply::Failed(error.to_string()), Reply::Done)
}
