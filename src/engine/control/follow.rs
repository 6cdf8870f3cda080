//! `events`: the latest, and those to come, to whoever looks on.

use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tracing::Level;

use crate::observe::KeptEvent;
use crate::observe::feed::{Next, Reader};

use super::protocol::{Follow, Reply};
use super::selector::{bare, no_route};
use super::server::{Server, write};

/// How many readers of events may stay.
pub(super) const MAX_FOLLOWERS: usize = 16;

/// How many events are looked at before others get their turn: while thousands happen in a second, each is not worth a write.
const AT_A_TIME: usize = 256;

impl Server {
    pub(super) async fn events(
        &self,
        follow: &Follow,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
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
        if let Some(route) = wanted.route.filter(|_| latest.is_empty())
            && let Some(doubt) = no_route(route, &self.roster.gateway(), "no event tells of one")
        {
            return Ok(Reply::Failed(doubt));
        }
        let skipped = latest.len().saturating_sub(follow.last.unwrap_or(usize::MAX));
        for some in latest.split_off(skipped).chunks(AT_A_TIME) {
            write(to, some.concat().as_bytes()).await?;
        }
        if follow.follow {
            self::follow(&mut reader, &wanted, from, to).await?;
        }
        Ok(Reply::Done(Value::Null))
    }
}

/// Hands on events as they come, until the client goes. It may take any time to read them: what it misses meanwhile it is told of.
async fn follow(reader: &mut Reader, wanted: &Wanted<'_>, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> io::Result<()> {
    let mut nothing = [0; 1];
    loop {
        tokio::select! {
            next = reader.next() => {
                let more = std::iter::from_fn(|| reader.try_next()).take(AT_A_TIME);
                let items: String = std::iter::once(next).chain(more).filter_map(|next| wanted.item(next)).collect();
                to.write_all(items.as_bytes()).await?;
                yield_now().await;
            }
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

    fn wants(&self, event: &KeptEvent) -> bool {
        event.level() <= self.level && self.route.is_none_or(|wanted| event.route() == Some(wanted))
    }

    /// The line of an item: the event as a log writes it, key for key.
    fn item(&self, next: Next) -> Option<String> {
        match next {
            Next::Missed(events) => Some(format!("{{\"item\":{{\"event\":\"missed\",\"events\":{events}}}}}\n")),
            Next::Event(event) => self.wants(&event).then(|| format!("{{\"item\":{}}}\n", event.line())),
        }
    }
}
