//! Serves the control socket: one request for each connection to it, from this user or root alone.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tracing::Level;

use crate::observe::feed::{Feed, Line, Next, Reader};

use super::super::keeper::Standing;
use super::super::roster::Roster;
use super::command::{Command, Desk};
use super::facts::Shown;
use super::protocol::{Follow, MAX_REQUEST, Reply, Request, Selector, VERSION, Verb};
use super::selector::bare;
use super::socket::Socket;
use super::{look, place, reply};

/// How many commands are served at a time.
const MAX_CLIENTS: usize = 32;

/// How many of them may be readers of events that stay.
const MAX_FOLLOWERS: usize = 16;

/// How long a client may take to ask, and to take each line of the answer; followers of events may take any time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again where the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What commands are answered from.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) roster: Roster,
    pub(super) standing: Standing,
    pub(super) feed: Feed,
    /// The file or folder that is served.
    pub(super) config: String,
    pub(super) desk: Desk,
}

impl Server {
    /// Answers until it is dropped.
    pub(super) async fn run(self, socket: Socket) {
        let (clients, followers) = (Arc::new(Semaphore::new(MAX_CLIENTS)), Arc::new(Semaphore::new(MAX_FOLLOWERS)));
        let mut tasks = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = socket.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
                Some(_) = tasks.join_next() => continue,
            };
            let Ok(place) = clients.clone().try_acquire_owned() else {
                // The room that an answer takes in the socket's own buffer is there.
                let busy = line(&Reply::Failed(format!("the gateway is answering {MAX_CLIENTS} commands already")));
                _ = stream.try_write(busy.as_bytes());
                continue;
            };
            let (server, followers) = (self.clone(), followers.clone());
            tasks.spawn(async move {
                // A client that goes before its answer is there has no use for it.
                _ = server.answer(stream, &followers).await;
                drop(place);
            });
        }
    }

    async fn answer(&self, stream: UnixStream, followers: &Arc<Semaphore>) -> io::Result<()> {
        let peer = stream.peer_cred();
        let (read, mut to) = stream.into_split();
        let by = match (peer, place::own_uid()) {
            (Ok(peer), Ok(own)) if peer.uid() == own || peer.uid() == 0 => format!("uid {}", peer.uid()),
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
            Ok(Verb::Ps(selector)) => self.ps(&selector, &mut to).await?,
            Ok(Verb::Events(follow)) => self.events(&follow, read.into_inner(), &mut to, followers).await?,
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

    async fn ps(&self, selector: &Selector, to: &mut OwnedWriteHalf) -> io::Result<Reply> {
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

    async fn events(
        &self,
        follow: &Follow,
        mut from: OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        followers: &Arc<Semaphore>,
    ) -> io::Result<Reply> {
        let wanted = match Wanted::of(follow) {
            Ok(wanted) => wanted,
            Err(why) => return Ok(Reply::Failed(why)),
        };
        let place = follow.follow.then(|| followers.clone().try_acquire_owned());
        if matches!(place, Some(Err(_))) {
            return Ok(Reply::Failed(format!("{MAX_FOLLOWERS} others follow the events already")));
        }
        let mut reader = self.feed.reader();
        let mut latest = Vec::new();
        while let Some(next) = reader.try_next() {
            latest.extend(wanted.item(next));
        }
        let skipped = latest.len().saturating_sub(follow.last.unwrap_or(usize::MAX));
        for item in latest.into_iter().skip(skipped) {
            write(to, item.as_bytes()).await?;
        }
        if follow.follow {
            self::follow(&mut reader, &wanted, &mut from, to).await?;
        }
        Ok(Reply::Done(Value::Null))
    }
}

/// Hands on events as they come, until the client goes.
async fn follow(reader: &mut Reader, wanted: &Wanted<'_>, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
    let mut nothing = [0; 1];
    loop {
        tokio::select! {
            next = reader.next() => if let Some(item) = wanted.item(next) {
                to.write_all(item.as_bytes()).await?;
            },
            // It says nothing more until it goes.
            _ = from.read(&mut nothing) => return Ok(()),
        }
    }
}

/// Which events are wanted.
struct Wanted<'a> {
    level: Level,
    route: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(follow: &'a Follow) -> Result<Self, String> {
        let level = match follow.level.as_deref() {
            None | Some("info") => Level::INFO,
            Some("warn") => Level::WARN,
            Some("error") => Level::ERROR,
            Some(other) => return Err(format!("{other:?} is no level; there are error, warn and info")),
        };
        Ok(Self { level, route: follow.route.as_deref().map(bare) })
    }

    /// The line of an item: the event as a log writes it, key for key.
    fn item(&self, next: Next) -> Option<String> {
        match next {
            Next::Missed(events) => Some(format!("{{\"item\":{{\"event\":\"missed\",\"events\":{events}}}}}\n")),
            Next::Line(Line { level, route, text }) => {
                let is_wanted = level <= self.level && self.route.is_none_or(|wanted| route.as_deref() == Some(wanted));
                is_wanted.then(|| format!("{{\"item\":{text}}}\n"))
            }
        }
    }
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

async fn tell(to: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    write(to, line(reply).as_bytes()).await
}

async fn write(to: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, to.write_all(bytes)).await?
}

fn line(reply: &Reply) -> String {
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
