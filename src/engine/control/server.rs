//! Serves the control socket: one request for each connection to it, from this user or root alone.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::WriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::gateway::Catalog;
use crate::observe::feed::Feed;

use super::super::keeper::Standing;
use super::super::roster::Roster;
use super::command::{Command, Desk};
use super::facts::Shown;
use super::follow::MAX_FOLLOWERS;
use super::protocol::{MAX_REQUEST, Reply, Request, Selector, VERSION, Verb};
use super::socket::Socket;
use super::spare::Spare;
use super::{look, reply};

/// How many commands are served at a time.
const MAX_CLIENTS: usize = 32;

/// How long a client may take to ask, and to take each line of the answer; followers of events may take any time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again where the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What commands are answered from.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) roster: Roster,
    pub(super) standing: Standing,
    /// The kinds that the config may use; none where it did not come from a text.
    pub(super) catalog: Option<Catalog>,
    pub(super) feed: Feed,
    /// The file or folder that is served.
    pub(super) config: String,
    /// The user whose commands are taken, beside root's.
    pub(super) own: u32,
    pub(super) desk: Desk,
}

impl Server {
    /// Answers who comes by the socket there is, until it is dropped.
    pub(super) async fn run(self, mut sockets: watch::Receiver<Option<Arc<Socket>>>, mut spare: Spare) {
        let (clients, followers) = (Arc::new(Semaphore::new(MAX_CLIENTS)), Arc::new(Semaphore::new(MAX_FOLLOWERS)));
        let mut tasks = JoinSet::new();
        loop {
            let socket = sockets.borrow_and_update().clone();
            tokio::select! {
                stream = next(socket.as_deref(), &mut spare) => match clients.clone().try_acquire_owned() {
                    Ok(place) => _ = tasks.spawn(self.clone().serve(stream, followers.clone(), place)),
                    Err(_) => turn_away(&stream),
                },
                Ok(()) = sockets.changed() => {}
                Some(Ok(answered)) = tasks.join_next() => spare.keep(answered),
            }
        }
    }

    /// Answers a client that has a place, and gives its end of the connection.
    async fn serve(self, mut stream: UnixStream, followers: Arc<Semaphore>, _place: OwnedSemaphorePermit) -> UnixStream {
        // A client that goes before its answer is there has no use for it.
        _ = self.answer(&mut stream, &followers).await;
        _ = stream.shutdown().await;
        stream
    }

    async fn answer(&self, stream: &mut UnixStream, followers: &Arc<Semaphore>) -> io::Result<()> {
        let peer = stream.peer_cred();
        let (read, mut to) = stream.split();
        let by = match peer {
            Ok(peer) if peer.uid() == self.own || peer.uid() == 0 => format!("uid {}", peer.uid()),
            _ => return tell(&mut to, &Reply::Failed("this gateway is another user's".to_owned())).await,
        };
        let mut read = BufReader::new(read);
        let mut request = Vec::new();
        let mut bounded = (&mut read).take(MAX_REQUEST as u64);
        let verb = match timeout(PATIENCE, bounded.read_until(b'\n', &mut request)).await {
            Ok(Ok(_)) => understand(&request),
            Ok(Err(error)) => return Err(error),
            Err(_) => Err("no request came".to_owned()),
        };
        let answered = match verb {
            Ok(Verb::Show { route }) => self.show(route, &mut to).await?,
            Ok(Verb::Ps(selector)) => self.ps(&selector, &mut to).await?,
            Ok(Verb::Events(follow)) => self.events(&follow, &mut read.into_inner(), &mut to, followers).await?,
            Ok(Verb::Status) => reply(&look::status(&self.roster, &self.standing, &self.config).await),
            Ok(Verb::Kick(kick)) => look::kick(&self.roster, &kick, &by).await.map_or_else(Reply::Failed, |kicked| reply(&kicked)),
            Ok(verb) => self.order(verb, by).await,
            Err(why) => Reply::Failed(why),
        };
        tell(&mut to, &answered).await
    }

    /// Has the keeper do it.
    async fn order(&self, verb: Verb, by: String) -> Reply {
        let (answer, answered) = oneshot::channel();
        let stops = || Reply::Failed("the gateway is stopping".to_owned());
        match self.desk.send(Command { verb, by, answer }).await {
            Ok(()) => answered.await.unwrap_or_else(|_| stops()),
            Err(_) => stops(),
        }
    }

    async fn ps(&self, selector: &Selector, to: &mut WriteHalf<'_>) -> io::Result<Reply> {
        let chosen = match selector.ready() {
            Ok(chosen) => chosen,
            Err(why) => return Ok(Reply::Failed(why)),
        };
        let (mut shown, now) = (0, SystemTime::now());
        for some in self.roster.walk() {
            let mut lines = String::new();
            for record in some.iter().filter(|record| chosen.takes(record)) {
                shown += 1;
                let connection = look::connection(&self.roster, record, now);
                lines += &line(&Reply::Item(serde_json::to_value(connection)?));
            }
            write(to, lines.as_bytes()).await?;
            yield_now().await;
        }
        match chosen.doubt(&self.roster.gateway()).filter(|_| shown == 0) {
            Some(doubt) => Ok(Reply::Failed(doubt)),
            None => Ok(reply(&Shown { shown })),
        }
    }
}

/// The next client of a socket; never where there is none. Cancel-safe.
async fn next(socket: Option<&Socket>, spare: &mut Spare) -> UnixStream {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        match spare.accept(&socket.listener).await {
            Ok(stream) => return stream,
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Tells a client that there is no place for it: the room that this takes in the socket's own buffer is there.
fn turn_away(stream: &UnixStream) {
    let busy = line(&Reply::Failed(format!("the gateway is answering {MAX_CLIENTS} commands already")));
    _ = stream.try_write(busy.as_bytes());
}

/// Reads a request.
///
/// # Errors
/// Says why it cannot be answered.
fn understand(request: &[u8]) -> Result<Verb, String> {
    /// What every version says.
    #[derive(Deserialize)]
    struct Any {
        version: u32,
    }
    if request.len() >= MAX_REQUEST && !request.ends_with(b"\n") {
        return Err(format!("a request has {MAX_REQUEST} bytes at most"));
    }
    let no_request = |error: serde_json::Error| format!("this is no request: {error}");
    let Any { version } = serde_json::from_slice(request).map_err(no_request)?;
    if version != VERSION {
        return Err(format!("the gateway speaks version {VERSION} of the control protocol, and was asked in version {version}"));
    }
    let request: Request = serde_json::from_slice(request).map_err(no_request)?;
    Ok(request.verb)
}

async fn tell(to: &mut WriteHalf<'_>, reply: &Reply) -> io::Result<()> {
    write(to, line(reply).as_bytes()).await
}

/// Writes to a client that takes it in time.
pub(super) async fn write(to: &mut WriteHalf<'_>, bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, to.write_all(bytes)).await?
}

/// A reply on its line.
pub(super) fn line(reply: &Reply) -> String {
    serde_json::to_string(reply).unwrap_or_else(|error| format!("{{\"failed\":{:?}}}", error.to_string())) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_or_told_why_not() {
        let status = br#"{"version":1,"verb":"status"}"#;
        assert!(matches!(understand(status), Ok(Verb::Status)));
        let ps = br#"{"version":1,"verb":{"ps":{"ip":"10.0.0.0/8"}}}"#;
        assert!(matches!(understand(ps), Ok(Verb::Ps(selector)) if selector.route.is_none() && selector.ip.is_some()));
        for (request, said) in [
            (&b""[..], "this is no request"),
            (b"GET / HTTP/1.1", "this is no request"),
            (br#"{"version":2,"speech":"other"}"#, "was asked in version 2"),
            (br#"{"version":1,"verb":"dance"}"#, "unknown variant `dance`"),
            (br#"{"version":1,"verb":{"ps":{"colour":"red"}}}"#, "unknown field `colour`"),
            (br#"{"version":1,"verb":{"ps":{"ip":"10.0.0.1/8"}}}"#, "10.0.0.1/8 is 10.0.0.0/8"),
            (&[b' '; MAX_REQUEST], "a request has 16384 bytes at most"),
        ] {
            let why = understand(request).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
