//! How far an ordinary request has come, for all who wait on it. One task writes and reads; nothing is ordered by it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How far an ordinary request has come.
pub(super) struct Progress {
    began: Instant,
    /// Milliseconds after `began`.
    moved: AtomicU64,
    sends: AtomicBool,
    whole: AtomicBool,
    status: AtomicU16,
    streams: AtomicBool,
    open_ended: AtomicBool,
    last: AtomicBool,
    torn: AtomicBool,
    wanted: Notify,
}

impl Progress {
    /// Nothing has been sent to anybody; a request without a body has been sent when its head has.
    pub(super) fn new(has_body: bool) -> Self {
        Self {
            began: Instant::now(),
            moved: AtomicU64::new(0),
            sends: AtomicBool::new(false),
            whole: AtomicBool::new(!has_body),
            status: AtomicU16::new(0),
            streams: AtomicBool::new(false),
            open_ended: AtomicBool::new(false),
            last: AtomicBool::new(false),
            torn: AtomicBool::new(false),
            wanted: Notify::new(),
        }
    }

    /// Something has moved.
    pub(super) fn note(&self) {
        self.moved.store(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// When something moved last.
    pub(super) fn moved(&self) -> Instant {
        self.began + Duration::from_millis(self.moved.load(Relaxed))
    }

    /// The server asks for the body.
    pub(super) fn want_body(&self) {
        self.wanted.notify_one();
    }

    /// Returns once it has.
    pub(super) async fn body_is_wanted(&self) {
        self.wanted.notified().await;
    }

    /// The client sends its body.
    pub(super) fn begin_to_send(&self) {
        self.sends.store(true, Relaxed);
        self.note();
    }

    /// The server has the whole request, or takes no more of it.
    pub(super) fn stop_sending(&self, is_whole: bool) {
        self.sends.store(false, Relaxed);
        self.whole.store(is_whole, Relaxed);
        self.note();
    }

    /// Whether the client is sending its body.
    pub(super) fn sends(&self) -> bool {
        self.sends.load(Relaxed)
    }

    /// Whether the server has the whole request.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Relaxed)
    }

    /// The answer begins, with this status; from here on the client can be told nothing else. One that streams events has no end of its own.
    pub(super) fn begin_to_answer(&self, status: u16, streams: bool) {
        self.status.store(status, Relaxed);
        self.streams.store(streams, Relaxed);
        self.note();
    }

    /// The client knows the end of the answer by that of its connection.
    pub(super) fn end_with_connection(&self) {
        self.open_ended.store(true, Relaxed);
    }

    /// Whether it does.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.open_ended.load(Relaxed)
    }

    /// The status of the answer, once it has begun.
    pub(super) fn status(&self) -> Option<u16> {
        Some(self.status.load(Relaxed)).filter(|status| *status != 0)
    }

    /// Whether the answer streams events.
    pub(super) fn streams(&self) -> bool {
        self.streams.load(Relaxed)
    }

    /// An informational answer is being written, or is whole.
    pub(super) fn set_torn(&self, is_torn: bool) {
        self.torn.store(is_torn, Relaxed);
    }

    /// Whether the client can still be told anything.
    pub(super) fn can_answer(&self) -> bool {
        self.status().is_none() && !self.torn.load(Relaxed)
    }

    /// The connection is to end with this answer.
    pub(super) fn make_last(&self) {
        self.last.store(true, Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_last(&self) -> bool {
        self.last.load(Relaxed)
    }
}
