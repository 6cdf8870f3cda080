//! Connections to servers that have answered and wait for the next request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::wire::fields::elements;

/// How long a connection may wait; shorter where its server says so.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// A server that says for how long it waits is left so much earlier: what is sent as it hangs up is lost.
const MARGIN: Duration = Duration::from_secs(1);
/// The most that wait for one server.
pub(super) const MAX_IDLE: usize = 256;

/// The connections to one server that wait.
#[derive(Debug)]
pub(super) struct Pool<S> {
    idle: Mutex<Vec<Idle<S>>>,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Idle<S> {
    stream: S,
    /// A stream stays with the thread that watches it.
    thread: ThreadId,
    until: Instant,
}

impl<S> Default for Pool<S> {
    fn default() -> Self {
        Self { idle: Mutex::default(), is_closed: AtomicBool::new(false) }
    }
}

impl<S: AsyncRead + Unpin> Pool<S> {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle<S>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this thread that was used last, and is open still as far as one can see from here.
    pub(super) fn take(&self, now: Instant) -> Option<S> {
        let own = thread::current().id();
        let mut idle = self.idle();
        loop {
            let at = idle.iter().rposition(|idle| idle.thread == own)?;
            let mut found = idle.remove(at);
            if found.until > now && is_open(&mut found.stream) {
                return Some(found.stream);
            }
        }
    }

    /// Keeps one that has nothing more to read and whose server waits for as long.
    pub(super) fn keep(&self, stream: S, lasts: Duration) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE && !self.is_closed.load(Ordering::Relaxed) {
            idle.push(Idle { stream, thread: thread::current().id(), until: Instant::now() + lasts });
        }
    }

    /// Nobody asks for one any more.
    pub(super) fn close(&self) {
        let mut idle = self.idle();
        self.is_closed.store(true, Ordering::Relaxed);
        idle.clear();
    }

    /// Lets go of those that have waited for too long or were hung up on.
    pub(super) fn tidy(&self, now: Instant) {
        self.idle().retain_mut(|idle| idle.until > now && is_open(&mut idle.stream));
    }
}

/// Whether a stream to which nobody owes anything is silent, as it should be: an end, an error and a byte nobody asked for all mean that
/// it cannot be used.
fn is_open<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut byte = [0];
    let look = poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()));
    // A task that has used up its time would find everything silent.
    matches!(pin!(unconstrained(look)).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(true))
}

/// How long a server that answers so waits for the next request: `Keep-Alive: timeout=5`, or as long as we do.
pub(super) fn lasts(headers: &HeaderMap) -> Duration {
    let parameter = |element: &[u8]| str::from_utf8(element).ok()?.trim().strip_prefix("timeout=")?.parse().ok().map(Duration::from_secs);
    let told = elements(headers, &http::HeaderName::from_static("keep-alive")).find_map(parameter);
    told.map_or(IDLE, |told| told.saturating_sub(MARGIN).min(IDLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    fn pair() -> (DuplexStream, DuplexStream) {
        duplex(16)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_was_used_last_and_is_still_open() {
        let pool = Pool::default();
        let (first, mut of_first) = pair();
        let (hung_up, its_end) = pair();
        let (spoken_to, mut speaks) = pair();
        for stream in [first, hung_up, spoken_to] {
            pool.keep(stream, IDLE);
        }
        drop(its_end);
        speaks.write_all(b"?").await.unwrap();
        let mut taken = pool.take(Instant::now()).unwrap();
        taken.write_all(b"!").await.unwrap();
        assert_eq!(tokio::io::AsyncReadExt::read_u8(&mut of_first).await.unwrap(), b'!');
        assert!(pool.take(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn none_waits_for_longer_than_it_may_and_none_is_another_thread_s() {
        let pool = Pool::default();
        let (stream, _end) = pair();
        pool.keep(stream, IDLE);
        thread::scope(|scope| assert!(scope.spawn(|| pool.take(Instant::now())).join().unwrap().is_none()));
        pool.tidy(Instant::now());
        assert_eq!(pool.idle().len(), 1);
        pool.tidy(Instant::now() + IDLE);
        assert_eq!(pool.idle().len(), 0);
        for _ in 0..=MAX_IDLE {
            pool.keep(pair().0, IDLE);
        }
        assert_eq!(pool.idle().len(), MAX_IDLE);
    }

    #[test]
    fn a_server_that_says_how_long_it_waits_is_believed_where_that_is_shorter() {
        for (said, lasting) in [("timeout=5, max=100", 4), ("max=100, timeout=5", 4), ("timeout=1", 0), ("timeout=600", 30), ("x", 30)] {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static("keep-alive"), said.parse().unwrap())]);
            assert_eq!(lasts(&headers), Duration::from_secs(lasting), "{said}");
        }
        assert_eq!(lasts(&HeaderMap::new()), IDLE);
    }
}
