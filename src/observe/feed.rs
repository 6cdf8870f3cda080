//! The feed: the latest events, for whoever looks on while they happen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::kept::KeptEvent;

/// The most events that are kept.
pub const MAX_EVENTS: usize = 1024;

/// The most bytes that they take.
pub const MAX_BYTES: usize = 1 << 20;

/// The latest events. Clones are the same feed.
///
/// Whoever reads too slowly misses some, and is told how many; the threads that emit never wait.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    ring: Mutex<Ring>,
    /// Tells readers that there is another event.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<KeptEvent>,
    bytes: usize,
    /// The number of the first that is kept; the first of all is 0.
    first: u64,
}

/// Reads a feed from some event on.
pub struct Reader {
    feed: Feed,
    at: u64,
    news: watch::Receiver<()>,
}

/// What a reader meets next.
#[derive(Debug)]
pub enum Next {
    /// An event.
    Event(KeptEvent),
    /// So many events that came and went before they could be read.
    Missed(u64),
}

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), news: watch::Sender::new(()) }))
    }
}

impl Feed {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    pub(super) fn push(&self, event: KeptEvent) {
        let mut ring = self.ring();
        ring.bytes += event.size();
        // The oldest go first, so that the ring never has room for one more than is kept.
        while ring.events.len() >= MAX_EVENTS || ring.bytes > MAX_BYTES {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= oldest.size();
            ring.first += 1;
        }
        ring.events.push_back(event);
        drop(ring);
        // A reader that subscribes from here on finds it there.
        if self.0.news.receiver_count() > 0 {
            self.0.news.send_replace(());
        }
    }

    /// Reads on from the first event that is kept.
    pub fn reader(&self) -> Reader {
        let news = self.0.news.subscribe();
        let at = self.ring().first;
        Reader { feed: self.clone(), at, news }
    }
}

impl Reader {
    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<Next> {
        let ring = self.feed.ring();
        let missed = ring.first.saturating_sub(self.at);
        if missed > 0 {
            self.at = ring.first;
            return Some(Next::Missed(missed));
        }
        let index = usize::try_from(self.at - ring.first).ok()?;
        let event = ring.events.get(index)?.clone();
        self.at += 1;
        Some(Next::Event(event))
    }

    /// The next event, when it is there. Cancel-safe: what has not been given is given next time.
    pub async fn next(&mut self) -> Next {
        loop {
            self.news.mark_unchanged();
            if let Some(next) = self.try_next() {
                return next;
            }
            // The feed lives as long as its reader, so there is news or this never returns.
            _ = self.news.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::tests::kept;
    use super::*;

    /// What an event was made of, or how many were missed.
    fn said(next: Option<Next>) -> String {
        match next {
            Some(Next::Event(event)) => serde_json::from_str::<serde_json::Value>(&event.line()).unwrap()["text"].as_str().unwrap().into(),
            Some(Next::Missed(missed)) => format!("missed {missed}"),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_reader_gets_what_is_kept_and_then_what_comes() {
        let feed = Feed::default();
        feed.push(kept("one"));
        let mut reader = feed.reader();
        feed.push(kept("two"));
        assert_eq!([(); 3].map(|()| said(reader.try_next())), ["one", "two", "nothing"]);
        feed.push(kept("three"));
        assert_eq!(said(reader.try_next()), "three");
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_how_many_events_it_has_missed() {
        let feed = Feed::default();
        let mut reader = feed.reader();
        for number in 0..MAX_EVENTS + 7 {
            feed.push(kept(&number.to_string()));
        }
        assert_eq!([(); 2].map(|()| said(reader.try_next())), ["missed 7", "7"]);
    }

    #[test]
    fn events_are_kept_while_they_take_no_more_than_they_may() {
        let feed = Feed::default();
        let mut reader = feed.reader();
        let long = KeptEvent::large(MAX_BYTES / 4);
        for _ in 0..6 {
            feed.push(long.clone());
        }
        assert!(feed.ring().bytes <= MAX_BYTES);
        assert_eq!(said(reader.try_next()), "missed 3");
    }

    #[tokio::test]
    async fn a_reader_waits_for_the_next_event() {
        let feed = Feed::default();
        let mut reader = feed.reader();
        let (next, ()) = tokio::join!(reader.next(), async { feed.push(kept("late")) });
        assert_eq!(said(Some(next)), "late");
    }
}
