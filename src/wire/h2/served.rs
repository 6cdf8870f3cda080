//! How many streams of a connection somebody serves, and that the last of them has been let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};

use futures_util::task::AtomicWaker;

/// The streams of a connection that are served. What HTTP/2 still has to say of one is another matter: a client may never take it.
#[derive(Debug, Default)]
pub(super) struct Served {
    count: AtomicUsize,
    waker: AtomicWaker,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Serving(Arc<Served>);

impl Served {
    /// One more.
    pub(super) fn begin(self: &Arc<Self>) -> Serving {
        self.count.fetch_add(1, Relaxed);
        Serving(self.clone())
    }

    /// Whether there is none; otherwise the task is woken once there is none.
    pub(super) fn is_none(&self, cx: &mut Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.count.load(Relaxed) == 0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Relaxed) == 1 {
            self.0.waker.take().iter().for_each(Waker::wake_by_ref);
        }
    }
}
