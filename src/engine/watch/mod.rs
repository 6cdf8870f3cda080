//! When files are to be read again: they hold something else than before, and whoever wrote it is done.
//!
//! ```text
//! kernel ─▶ notify's thread ─▶ Ear (is it one of our names?) ─▶ Stir (is it quiet again?) ─▶ Eye (is it other contents?) ─▶ changed
//!                                                         poll ──────────────────────────────▲
//! ```
//!
//! Events only say that it may be worth looking; what counts is what the files hold. So a save that changes nothing is not told, and
//! a save that takes an editor six events is told once.

mod ear;
mod eye;
mod print;
mod stir;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::observe::event::Event;

use ear::Ear;
use eye::{Eye, Open, Sight};
use print::Print;
use stir::Stir;

/// How often everything is read where events tell of changes: they do not for network file systems, for some mounts of container
/// runtimes, and for folders further up that are renamed.
pub const POLL: Duration = Duration::from_secs(5);

/// How often everything is read where the system refuses to watch some of it.
pub const POLL_ALONE: Duration = Duration::from_secs(1);

/// A file's times come from the kernel's tick, and may lie so far before the clock that this process reads.
const TICK: Duration = Duration::from_millis(10);

/// Tells when files hold something else than they did.
///
/// A path may lead through symbolic links, which may be pointed elsewhere; nothing need exist yet. A folder stands for every `*.toml`
/// in it, dotfiles left out. Only fingerprints of contents are kept. One is enough for a process: its events come by one thread.
///
/// A file that is mounted by itself into a container is pinned to what it was when it was mounted: a save that replaces it, as most
/// editors do, is not seen in there by anybody. Its folder has to be mounted.
///
/// ```no_run
/// # use wsgate::engine::watch::Watch;
/// # fn read() -> Vec<std::path::PathBuf> { Vec::new() }
/// # async fn serve() {
/// let mut watch = Watch::new(["gateway.toml".into()]).await;
/// loop {
///     // Reads `gateway.toml`, and gives it and the files that it names.
///     watch.rearm(read()).await;
///     watch.changed().await;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    ear: Arc<Ear>,
    eye: Arc<Mutex<Eye>>,
    polls: Polls,
    /// What the files held when it was last told.
    told: BTreeMap<PathBuf, Print>,
    /// When one of them had been saved last then.
    told_saved: Option<SystemTime>,
    /// When that look at them began.
    told_at: SystemTime,
    stir: Option<Stir>,
    /// What a poll found of which no event has told.
    found: Option<BTreeMap<PathBuf, Print>>,
    next_poll: Instant,
    limit: Option<String>,
    /// Whether a save counts that leaves everything as it was.
    is_wary: bool,
}

/// How often everything is read, beside events and without them.
#[derive(Clone, Copy, Debug)]
struct Polls {
    beside: Duration,
    alone: Duration,
}

impl Watch {
    /// Watches these files and folders. To be made before they are read, so that no edit falls between.
    ///
    /// It never fails: what the system refuses to watch is polled, and that is reported once. Needs a tokio runtime with time, as the
    /// other methods do; files are read on its threads for blocking work.
    pub async fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::start(files, eye::open, Polls { beside: POLL, alone: POLL_ALONE }).await
    }

    async fn start(files: impl IntoIterator<Item = PathBuf>, open: Open, polls: Polls) -> Self {
        let ear = Arc::new(Ear::default());
        let eye = Arc::new(Mutex::new(Eye::new(ear.clone(), open)));
        let (told, told_at, next_poll) = (BTreeMap::new(), SystemTime::now(), Instant::now() + polls.alone);
        let mut watch =
            Self { ear, eye, polls, told, told_saved: None, told_at, stir: None, found: None, next_poll, limit: None, is_wary: false };
        watch.point(files).await;
        watch.catch_up().await;
        watch
    }

    /// Watches these files and folders from now on: to be called after a reload that reads others than before.
    ///
    /// What was watched already is told if it has changed since it was last told, even if that was during the reload. What is new is
    /// told if it has changed since then by its time stamps.
    pub async fn rearm(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.point(files).await;
        let since = self.told_at.checked_sub(TICK).unwrap_or(self.told_at);
        let look = self.with_eye(move |eye| (eye.look(), eye.written_since(since))).await;
        let Some((sight, written)) = look else { return };
        self.told.retain(|path, _| sight.prints.contains_key(path));
        for (path, print) in &sight.prints {
            if !written.contains(path) {
                self.told.entry(path.clone()).or_insert(*print);
            }
        }
        // Another set of files has another last save.
        self.told_saved = sight.saved;
        if self.told != sight.prints {
            stir::note(&mut self.stir, Instant::now());
        }
        self.report(sight.limit);
    }

    /// Takes what the files hold for told. To be called before they are read for another reason than [`changed`](Self::changed), as
    /// for a SIGHUP, so that an edit which that reload takes in is not told again. Cancel-safe.
    pub async fn catch_up(&mut self) {
        if let Some((sight, at)) = self.look().await {
            self.tell(sight, at);
        }
    }

    /// Resolves when the files hold something else than they did when it last resolved, and writing is over: nothing has stirred for
    /// 100 ms, or something has for 2 s; a file that is open for writing is waited for up to 5 s. Each change is told once, with
    /// what it ended in. Cancel-safe: what has changed meanwhile is told by the next call.
    pub async fn changed(&mut self) {
        loop {
            self.settled().await;
            if self.has_news().await {
                return;
            }
        }
    }

    /// Whether from now on a save counts, too, that leaves the contents as they were. While an edit is refused it does: what was in its
    /// way may be gone, and who saves it once more means that.
    pub fn be_wary(&mut self, is_wary: bool) {
        self.is_wary = is_wary;
    }

    /// Why files are polled, where the system refuses to watch some of them.
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Waits until what stirs has settled, or the next poll is due.
    async fn settled(&mut self) {
        loop {
            let is_being_written = self.ear.is_being_written();
            let until = self.stir.map_or(self.next_poll, |stir| stir.over(is_being_written));
            tokio::select! {
                biased;
                () = self.ear.stirred() => stir::note(&mut self.stir, Instant::now()),
                () = sleep_until(until) => return,
            }
        }
    }

    /// Looks whether there is something to tell.
    async fn has_news(&mut self) -> bool {
        self.ear.wait_no_longer();
        let look = self.look().await;
        let is_news = |sight: &Sight| sight.prints != self.told || self.is_wary && sight.saved != self.told_saved;
        let Some((sight, at)) = look.filter(|(sight, _)| is_news(sight)) else {
            (self.stir, self.found) = (None, None);
            return false;
        };
        // Of what a poll finds no event says when it is complete: it has to be the same at two looks.
        let is_same = self.found.as_ref().is_none_or(|found| *found == sight.prints);
        if !self.stir.is_some_and(|stir| is_same || stir.latest(false) <= Instant::now()) {
            stir::note(&mut self.stir, Instant::now());
            self.found = Some(sight.prints);
            return false;
        }
        self.tell(sight, at);
        true
    }

    /// What was seen at that time counts as told.
    fn tell(&mut self, sight: Sight, at: SystemTime) {
        (self.told, self.told_saved, self.told_at) = (sight.prints, sight.saved, at);
        (self.stir, self.found) = (None, None);
    }

    /// What the files hold, and when this look at them began. None where looking itself failed, which has been reported then.
    async fn look(&mut self) -> Option<(Sight, SystemTime)> {
        let look = self.with_eye(|eye| (SystemTime::now(), eye.look())).await;
        self.next_poll = Instant::now() + self.polls.alone;
        let (at, sight) = look?;
        self.report(sight.limit.clone());
        Some((sight, at))
    }

    async fn point(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files = files.into_iter().collect::<Vec<_>>();
        self.with_eye(|eye| eye.point(files)).await;
    }

    /// Does something that may wait for a disk.
    async fn with_eye<T: Send + 'static>(&self, f: impl FnOnce(&mut Eye) -> T + Send + 'static) -> Option<T> {
        let eye = self.eye.clone();
        spawn_blocking(move || f(&mut eye.lock().unwrap_or_else(PoisonError::into_inner))).await.ok()
    }

    /// Sets when to poll by whether there is a limit, and reports one that is new.
    fn report(&mut self, limit: Option<String>) {
        let every = if limit.is_some() { self.polls.alone } else { self.polls.beside };
        self.next_poll = Instant::now() + every;
        if let Some(error) = limit.as_deref().filter(|_| self.limit != limit) {
            Event::WatchLimited { error, every }.emit();
        }
        self.limit = limit;
    }
}
