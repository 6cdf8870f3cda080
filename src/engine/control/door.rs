//! The door: where commands come in, as the config in force says, or nowhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::units::Switch;
use crate::gateway::Gateway;
use crate::observe::Logs;
use crate::observe::event::Event;

use super::super::keeper::{Keeper, Source};
use super::server::Server;
use super::signpost::Signpost;
use super::socket::{NoSocket, Socket};
use super::spare::Spare;
use super::{Control, MAX_COMMANDS, place};

/// What the config may say of the socket.
type Said = Option<Switch<PathBuf>>;

/// Where commands come in: a control socket that is listened to, if the gateway is to have one. Commands wait in it until it is
/// [served](Self::serve), and it goes where an edit says.
pub struct Door {
    /// The file or folder that is served.
    config: PathBuf,
    is_file: bool,
    /// The user whose commands it takes, beside root's.
    own: u32,
    /// What the config in force says.
    said: Said,
    socket: watch::Sender<Option<Arc<Socket>>>,
    /// Leads to it from where it would be if the config did not say otherwise.
    signpost: Option<Signpost>,
    /// Whether it was told that the socket is gone and cannot be made again.
    is_told: bool,
}

/// The socket that a config wants which is not yet in force.
pub(in crate::engine) struct Prepared {
    said: Said,
    socket: Option<Arc<Socket>>,
}

impl Door {
    /// Listens to a control socket for this gateway, compiled from this source, where the gateway wants one. A warning is all where it
    /// says nothing of it and none can be had. To be called within a tokio runtime with time.
    ///
    /// # Errors
    /// Another gateway has the socket, or the system refuses one that the config asks for.
    pub async fn open(gateway: &Gateway, source: &Source) -> Result<Self, String> {
        let (config, is_file) = (PathBuf::from(source.document.name()), source.path.is_some());
        let own = place::own_uid().map_err(|error| NoSocket::from(error).to_string())?;
        let mut door = Self { config, is_file, own, said: None, socket: watch::Sender::new(None), signpost: None, is_told: false };
        let Prepared { said, socket } = door.bind(gateway.control.clone()).await?;
        door.said = said;
        door.socket.send_replace(socket);
        Ok(door)
    }

    /// Serves the socket for a gateway that runs, on the tokio runtime this is called in; the gateway's keeper has the door from here on.
    pub fn serve(mut self, keeper: &mut Keeper, logs: &Logs) -> Control {
        // Not before: a gateway that finds its listeners' addresses taken leaves that of the one that runs alone.
        self.put_up_signpost();
        let (desk, commands) = mpsc::channel(MAX_COMMANDS);
        let server = Server {
            roster: keeper.engine.roster(),
            standing: keeper.standing(),
            catalog: keeper.in_force().map(|(catalog, _)| catalog),
            feed: logs.feed(),
            config: self.config.display().to_string(),
            own: self.own,
            desk,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(self.socket.subscribe(), Spare::take()));
        keeper.door = Some(self);
        Control { commands, _server: tasks }
    }

    /// The socket that another config wants, bound beside the one there is; nothing where that stays.
    ///
    /// # Errors
    /// As of [`open`](Self::open); the one there is stays as it is.
    pub(in crate::engine) async fn prepare(&self, gateway: &Gateway) -> Result<Option<Prepared>, String> {
        if gateway.control == self.said {
            return Ok(None);
        }
        self.bind(gateway.control.clone()).await.map(Some)
    }

    /// Takes commands from this socket alone from here on; those that came by another are still answered.
    pub(in crate::engine) fn put(&mut self, prepared: Prepared) {
        let Prepared { said, socket } = prepared;
        (self.said, self.is_told) = (said, false);
        self.socket.send_replace(socket);
        self.put_up_signpost();
    }

    fn put_up_signpost(&mut self) {
        // That to another place is taken down before this one is put up: they have one name.
        self.signpost = None;
        if let (Some(Switch::On(_)), Some(socket)) = (&self.said, &*self.socket.borrow()) {
            self.signpost = place::signpost(&self.config).and_then(|sign| Signpost::put_up(sign, &socket.path));
        }
    }

    /// Makes a socket again that somebody has taken away, as programs do that tidy up where temporary files are.
    pub(in crate::engine) async fn mend(&mut self) {
        if self.signpost.as_ref().is_some_and(Signpost::is_gone) {
            self.put_up_signpost();
        }
        let gone = self.socket.borrow().clone().filter(|socket| !socket.is_at(&socket.path));
        let (Some(gone), Some(path)) = (gone, self.place(&self.said)) else { return };
        let bound = match path {
            Ok(path) => Socket::bind(&path).await,
            Err(error) => Err(error.into()),
        };
        let path = gone.path.display();
        match bound {
            Ok(socket) => {
                Event::Warning { text: &format!("the control socket {path} was gone, and is there again") }.emit();
                self.put(Prepared { said: self.said.clone(), socket: Some(Arc::new(socket)) });
            }
            Err(why) if !self.is_told => {
                Event::Warning { text: &format!("the control socket {path} is gone: {why}") }.emit();
                self.is_told = true;
            }
            Err(_) => {}
        }
    }

    /// Where the socket is to be; nothing where there is to be none.
    fn place(&self, said: &Said) -> Option<io::Result<PathBuf>> {
        match said {
            Some(Switch::Off) => None,
            Some(Switch::On(path)) => Some(Ok(path.clone())),
            None => Some(place::make(&self.config)),
        }
    }

    async fn bind(&self, said: Said) -> Result<Prepared, String> {
        let bound = match self.place(&said) {
            None => return Ok(Prepared { said, socket: None }),
            Some(Ok(path)) => self.bind_at(&path).await,
            Some(Err(error)) => Err(error.into()),
        };
        let socket = match bound {
            Ok(socket) => Some(socket),
            Err(why) if said.is_some() || self.is_file && matches!(why, NoSocket::Held(..)) => return Err(why.to_string()),
            Err(why) => {
                Event::Warning { text: &format!("{why}; the gateway runs without a control socket") }.emit();
                None
            }
        };
        Ok(Prepared { said, socket })
    }

    async fn bind_at(&self, path: &Path) -> Result<Arc<Socket>, NoSocket> {
        // By another name it may be the one there is.
        if let Some(same) = self.socket.borrow().clone().filter(|socket| socket.is_at(path)) {
            return Ok(same);
        }
        Socket::bind(path).await.map(Arc::new)
    }
}
