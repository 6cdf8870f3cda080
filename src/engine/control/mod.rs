//! The control socket: where an operator's commands reach a running gateway.
//!
//! ```text
//! wsgate VERB ─▶ socket ─▶ server ─┬─▶ look      status, ps, kick, events: beside whatever the engine is doing
//!                                  └─▶ command   plan, reload, rollback, deny …: to the keeper, one after the other
//! ```

mod command;
pub mod facts;
mod list_file;
mod lists;
mod look;
mod outcome;
pub mod place;
pub mod protocol;
mod selector;
mod server;
mod socket;

use std::path::Path;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::units::Switch;
use crate::gateway::Gateway;
use crate::observe::Logs;
use crate::observe::event::Event;

use super::keeper::Keeper;
use protocol::Reply;
use server::Server;
use socket::{NoSocket, Socket};

pub use command::Command;

/// Commands that wait for the keeper.
const MAX_COMMANDS: usize = 16;

/// A control socket that is listened to: commands wait in it until it is served.
pub struct Door(Socket);

/// A control socket that is served.
pub struct Control {
    commands: mpsc::Receiver<Command>,
    /// Ends with this, and the socket with it.
    _server: JoinSet<()>,
}

impl Door {
    /// Listens to a control socket for this gateway, compiled from this file or folder, where the gateway wants one. A warning is all where
    /// it says nothing of it and none can be had. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Another gateway has the socket, or the system refuses one that the config asks for.
    pub fn open(gateway: &Gateway, config: &Path) -> Result<Option<Self>, String> {
        let (path, is_asked_for) = match &gateway.control {
            Some(Switch::Off) => return Ok(None),
            Some(Switch::On(path)) => (Ok(path.clone()), true),
            None => (place::make(config), false),
        };
        match path.map_err(NoSocket::Refused).and_then(|path| Socket::bind(&path)) {
            Ok(socket) => Ok(Some(Self(socket))),
            Err(NoSocket::Held(path)) => {
                let path = path.display();
                Err(format!("another gateway has the control socket {path}; give this one its own with `control` in [gateway]"))
            }
            Err(NoSocket::Refused(error)) if is_asked_for => Err(format!("cannot listen for commands: {error}")),
            Err(NoSocket::Refused(error)) => {
                Event::Warning { text: &format!("there is no control socket: {error}") }.emit();
                Ok(None)
            }
        }
    }

    /// Serves the socket for a gateway that runs, on the tokio runtime this is called in.
    pub fn serve(self, keeper: &Keeper, config: &Path, logs: &Logs) -> Control {
        let (desk, commands) = mpsc::channel(MAX_COMMANDS);
        let server = Server {
            roster: keeper.engine.roster(),
            standing: keeper.standing(),
            feed: logs.feed(),
            config: config.display().to_string(),
            desk,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(self.0));
        Control { commands, _server: tasks }
    }
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
