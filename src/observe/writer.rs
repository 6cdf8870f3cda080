//! Writers: a bounded queue of lines, and the thread that writes them, so that no disk or terminal ever makes traffic wait.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::rotate::LogFile;

/// The most that lines waiting for one writer take, in bytes; what does not fit is dropped and counted.
pub const QUEUE_MAX: usize = 4 << 20;
/// What a writer keeps allocated for its next batch after a larger one, in bytes.
const BATCH_KEPT: usize = 64 << 10;

/// What tells the time: the system, or a test.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A running writer. Dropped, its thread writes what is queued and ends; nobody waits for it.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
}

/// Lines on their way to one writer thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to do.
    work: Condvar,
    /// Everything is done.
    rest: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines, one after the other.
    lines: Vec<u8>,
    /// How many of them report lost lines.
    reports: u64,
    reopen: bool,
    is_closing: bool,
    is_busy: bool,
    lost: u64,
    /// How many of the lost have been told of.
    told: u64,
    /// Why the last write, rotation or reopening that failed since the last telling did.
    error: Option<String>,
}

/// What went wrong with a writer since it was last asked.
pub(super) struct Trouble {
    pub(super) lines: u64,
    pub(super) error: Option<String>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line that ends in its only newline; never waits for the thread. A line that reports losses is not counted when it is lost
    /// itself: a log that cannot be written would otherwise be reported for ever.
    pub(super) fn push(&self, line: &str, is_report: bool) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > QUEUE_MAX {
            state.lost += u64::from(!is_report);
            return;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line.as_bytes());
        state.reports += u64::from(is_report);
        drop(state);
        if was_empty {
            self.work.notify_one();
        }
    }

    /// Has the file reopened by its path before the next line is written.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.work.notify_one();
    }

    /// Waits until everything queued is written or lost; false where that took longer than `within`.
    pub(super) fn drain(&self, within: Duration) -> bool {
        let waited = self.rest.wait_timeout_while(self.lock(), within, |state| !state.is_done());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Whether everything queued is written or lost.
    pub(super) fn is_done(&self) -> bool {
        self.lock().is_done()
    }

    /// How many lines were lost since it was opened.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// What went wrong since this was last asked, if anything did.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let mut state = self.lock();
        let lines = state.lost - state.told;
        state.told = state.lost;
        let error = state.error.take();
        (lines > 0 || error.is_some()).then_some(Trouble { lines, error })
    }
}

impl State {
    fn is_done(&self) -> bool {
        !self.is_busy && !self.has_work()
    }

    fn has_work(&self) -> bool {
        self.reopen || !self.lines.is_empty()
    }
}

impl Writer {
    /// Starts a thread that writes to `output`.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub(super) fn start(output: Output, clock: Clock) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("wsgate-log".to_owned()).spawn(move || write_all(&of_thread, output, &clock))?;
        Ok(Self { queue })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().is_closing = true;
        self.queue.work.notify_one();
    }
}

/// The thread: takes all that is queued, writes it, until the writer is dropped and the queue is empty.
fn write_all(queue: &Queue, mut output: Output, clock: &Clock) {
    let mut batch = Vec::new();
    loop {
        let mut state = queue.lock();
        state.is_busy = false;
        queue.rest.notify_all();
        let idle = |state: &mut State| !state.has_work() && !state.is_closing;
        state = queue.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        if !state.has_work() {
            return;
        }
        state.is_busy = true;
        mem::swap(&mut batch, &mut state.lines);
        let (reopen, reports) = (mem::take(&mut state.reopen), mem::take(&mut state.reports));
        drop(state);

        let written = output.write(&batch, reopen, clock());
        batch.clear();
        batch.shrink_to(BATCH_KEPT);
        let mut state = queue.lock();
        state.lost += written.lost.saturating_sub(reports);
        if written.error.is_some() {
            state.error = written.error;
        }
    }
}

/// Where a writer's lines go.
pub(super) enum Output {
    File(LogFile),
    Stream(Lines<Box<dyn Write + Send>>),
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Lines that were not written, or not to their end.
    pub(super) lost: u64,
    /// What the system said, also where it refused no line but a rotation.
    pub(super) error: Option<String>,
}

impl Output {
    fn write(&mut self, lines: &[u8], reopen: bool, now: SystemTime) -> Written {
        match self {
            Self::File(file) => {
                if reopen {
                    file.reopen(now);
                }
                file.write(lines, now)
            }
            Self::Stream(stream) => match stream.write(lines) {
                Ok(()) => Written::default(),
                Err((at, error)) => Written { lost: count_lines(lines, at), error: Some(error.to_string()) },
            },
        }
    }
}

/// How many lines end after the first `at` bytes.
pub(super) fn count_lines(lines: &[u8], at: usize) -> u64 {
    lines.iter().skip(at).map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Writes whole lines, and ends a line that an error broke off before it begins the next.
pub(super) struct Lines<W> {
    pub(super) out: W,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, is_torn: false }
    }

    /// Writes all of `lines`.
    ///
    /// # Errors
    /// How many of their bytes were written, and why no more.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            self.out.write_all(b"\n").map_err(|error| (0, error))?;
            self.is_torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let error = match self.out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    rest = rest.get(n..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let at = lines.len() - rest.len();
            self.is_torn = at > 0 && lines.get(at - 1) != Some(&b'\n');
            return Err((at, error));
        }
        self.out.flush().map_err(|error| (lines.len(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails until it has more room.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room - self.bytes.len());
            if n == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_takes_no_more_of_are_lost_and_the_next_begins_on_its_own() {
        let mut lines = Lines::new(Disk { bytes: Vec::new(), room: 6 });
        let batch = b"one\ntwo\nthree\n";
        let (at, error) = lines.write(batch).unwrap_err();
        assert_eq!((at, error.kind(), count_lines(batch, at)), (6, io::ErrorKind::StorageFull, 2));
        let (at, _) = lines.write(b"four\n").unwrap_err();
        assert_eq!(count_lines(b"four\n", at), 1);
        lines.out.room = 100;
        lines.write(b"five\n").unwrap();
        assert_eq!(lines.out.bytes, b"one\ntw\nfive\n");
    }

    #[test]
    fn a_disk_that_fills_up_between_two_lines_tears_none() {
        let mut lines = Lines::new(Disk { bytes: Vec::new(), room: 4 });
        assert_eq!(lines.write(b"one\ntwo\n").unwrap_err().0, 4);
        lines.out.room = 100;
        lines.write(b"three\n").unwrap();
        assert_eq!(lines.out.bytes, b"one\nthree\n");
    }
}
