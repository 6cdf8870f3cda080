//! Logs: the subscriber that writes events to sinks, which can be swapped while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event as TracingEvent, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::emit::LOG_LINES_LOST;
use super::event::Event;
use super::feed::Feed;
use super::format::{Look, line};
use super::kept::KeptEvent;
use super::select::Selection;
use super::sink::{Destination, OpenError, Sink};
use super::writer::{Clock, Queue};

/// How long a [`Guard`] waits for the last lines.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Every log of the gateway. Clones are the same logs.
#[derive(Clone)]
pub struct Logs(Arc<Router>);

struct Router {
    sinks: ArcSwap<Vec<Sink>>,
    /// Queues of sinks that were swapped out and still have lines to write; at most one for each writer that is stuck.
    retired: Mutex<Vec<Arc<Queue>>>,
    /// Where somebody may look on.
    feed: OnceLock<Feed>,
    clock: Clock,
}

/// How many lines of one log were lost since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The log's name.
    pub sink: Arc<str>,
    /// Lines that found its queue full, or that could not be written.
    pub lines: u64,
}

/// What went wrong with one log since this was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The log's name.
    pub sink: Arc<str>,
    /// Lines that found its queue full, or that could not be written; 0 where only rotating or reopening failed.
    pub lines: u64,
    /// What the system said last.
    pub error: Option<String>,
}

impl<'a> From<&'a Trouble> for Event<'a> {
    fn from(trouble: &'a Trouble) -> Self {
        let (sink, error) = (&*trouble.sink, trouble.error.as_deref());
        match (trouble.lines, error) {
            (0, Some(error)) => Self::LogFileStuck { sink, error },
            (lines, error) => Self::LogLinesLost { sink, lines, error },
        }
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Default for Logs {
    /// Logs without a sink, by the system's clock.
    fn default() -> Self {
        Self::with_clock(SystemTime::now)
    }
}

impl Logs {
    /// Logs without a sink; lines and rotations go by this clock.
    pub fn with_clock(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(Router { sinks: ArcSwap::default(), retired: Mutex::default(), feed: OnceLock::new(), clock: Arc::new(clock) }))
    }

    /// Makes them the subscriber of the whole process, which then spends nothing on events that no sink takes. The guard writes the last
    /// lines when it is dropped.
    ///
    /// # Errors
    /// The process has a subscriber already; [`Logs::layer`] may be added to that when it is built.
    pub fn install(&self) -> Result<Guard, SetGlobalDefaultError> {
        let lines = Lines { router: Arc::clone(&self.0), is_alone: true };
        tracing::subscriber::set_global_default(Registry::default().with(lines))?;
        Ok(Guard(self.clone()))
    }

    /// The layer that writes to these logs, to stand beside others in a subscriber. It takes nothing away from those, so it switches no
    /// event off where it is emitted.
    pub fn layer<S: Subscriber>(&self) -> impl Layer<S> + use<S> {
        Lines { router: Arc::clone(&self.0), is_alone: false }
    }

    /// Opens a destination. Nothing is written to it before it is swapped in, and dropping it instead undoes all but the creation of the
    /// file.
    ///
    /// # Errors
    /// Why it cannot be opened; the running logs are as they were.
    pub fn open(&self, destination: Destination) -> Result<Sink, OpenError> {
        Sink::open(destination, &self.0.sinks.load(), &self.0.clock)
    }

    /// Writes to these sinks from now on. Those that are left out write what is queued, then close.
    pub fn swap(&self, sinks: Vec<Sink>) {
        let old = self.0.sinks.swap(Arc::new(sinks));
        // Interest in events is cached where they are emitted: without this, levels switched on now would stay silent.
        tracing::callsite::rebuild_interest_cache();
        let now = self.0.queues();
        let mut retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|queue| !queue.is_done());
        retired.extend(old.iter().map(|sink| Arc::clone(&sink.writer.queue)).filter(|queue| !holds(&now, queue)));
    }

    /// The latest events of level `info` and above, kept from the first call on; without it nothing is spent on them.
    pub fn feed(&self) -> Feed {
        let feed = self.0.feed.get_or_init(Feed::default).clone();
        tracing::callsite::rebuild_interest_cache();
        feed
    }

    /// Reopens every log file by its path, after something else has moved them: logrotate, with SIGHUP.
    pub fn reopen(&self) {
        self.0.queues().iter().for_each(|queue| queue.reopen());
    }

    /// Waits until every line reported so far is written or lost, but no longer than `within`; blocks the thread. False where time ran out.
    pub fn flush(&self, within: Duration) -> bool {
        let begun = Instant::now();
        let mut queues = self.0.queues();
        queues.extend(self.0.retired.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        queues.iter().all(|queue| queue.drain(within.saturating_sub(begun.elapsed())))
    }

    /// How many lines each log has lost since it was opened, for metrics; logs that write to one place count together.
    pub fn lost(&self) -> Vec<Lost> {
        let sinks = self.0.sinks.load();
        sinks.iter().map(|sink| Lost { sink: Arc::clone(&sink.name), lines: sink.writer.queue.lost() }).collect()
    }

    /// What went wrong since this was last asked; each becomes an [`Event`]. To be asked every few seconds.
    pub fn troubles(&self) -> Vec<Trouble> {
        let sinks = self.0.sinks.load();
        let trouble = |sink: &Sink| {
            let trouble = sink.writer.queue.trouble()?;
            Some(Trouble { sink: Arc::clone(&sink.name), lines: trouble.lines, error: trouble.error })
        };
        sinks.iter().filter_map(trouble).collect()
    }
}

/// Writes the last lines when it is dropped, for at most [`FLUSH`]; to be held by `main`.
#[must_use]
pub struct Guard(Logs);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.flush(FLUSH);
    }
}

impl Router {
    /// The queues written to, each once.
    fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues = Vec::new();
        for sink in self.sinks.load().iter() {
            if !holds(&queues, &sink.writer.queue) {
                queues.push(Arc::clone(&sink.writer.queue));
            }
        }
        queues
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.feed_wants(metadata) || self.sinks.load().iter().any(|sink| sink.selection.wants(metadata))
    }

    fn feed_wants(&self, metadata: &Metadata<'_>) -> bool {
        self.feed.get().is_some() && Selection::default().wants(metadata)
    }
}

fn holds(queues: &[Arc<Queue>], queue: &Arc<Queue>) -> bool {
    queues.iter().any(|other| Arc::ptr_eq(other, queue))
}

/// Writes each event to the sinks that take it, formatted once for each look that any of them has.
struct Lines {
    router: Arc<Router>,
    /// Whether no other layer is there that would miss what no sink takes.
    is_alone: bool,
}

impl Lines {
    fn lets_pass(&self, metadata: &Metadata<'_>) -> bool {
        !self.is_alone || self.router.wants(metadata)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets_pass(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.lets_pass(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let sinks = self.router.sinks.load();
        let feed = if self.router.feed.get().is_some() { LevelFilter::INFO } else { LevelFilter::OFF };
        self.is_alone.then(|| sinks.iter().map(|sink| sink.selection.level).fold(feed, Ord::max))
    }

    fn on_event(&self, event: &TracingEvent<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let is_report = metadata.name() == LOG_LINES_LOST;
        let sinks = self.router.sinks.load();
        let now = (self.router.clock)();
        // First of all: whoever has read a line in a log finds it there.
        if let Some(feed) = self.router.feed.get().filter(|_| self.router.feed_wants(metadata)) {
            feed.push(KeptEvent::of(event, now));
        }
        for look in Look::ALL {
            let mut text = None;
            let takes = |sink: &&Sink| sink.look == look && sink.selection.wants(metadata) && sink.selection.takes(event);
            for sink in sinks.iter().filter(takes) {
                sink.writer.queue.push(text.get_or_insert_with(|| line(look, now, event)), is_report);
            }
        }
    }
}
