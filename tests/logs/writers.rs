//! Writers: that nobody waits for a disk, and that every lost line is counted.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsgate::observe::Event;
use wsgate::observe::logs::Trouble;
use wsgate::observe::rotate::Rotation;
use wsgate::observe::select::Selection;
use wsgate::observe::sink::{Destination, Format, Place, QUEUE_MAX, Sink};

use super::support::{self, Capture, SOON, noon, reporting, with};

/// A disk that takes no byte until it is told to, and says when it is asked.
struct Stuck {
    asked: SyncSender<()>,
    go: Receiver<()>,
    then: Capture,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The test is over once either end is gone.
        let _ = self.asked.try_send(());
        let _ = self.go.recv();
        self.then.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_hangs_loses_the_lines_beyond_its_queue_and_nobody_waits() {
    let (asked, is_asked) = sync_channel(1);
    let (go, wait) = sync_channel(1);
    let (logs, written) = (support::logs(noon), Capture::default());
    let stuck = Stuck { asked, go: wait, then: written.clone() };
    logs.swap(vec![Sink::new("stuck", Format::Text, Selection::default(), stuck).unwrap()]);
    let text = "x".repeat(1000);
    let line = "2026-11-22T15:04:05.123Z  WARN warning text=\n".len() + text.len();
    let fit = QUEUE_MAX / line;
    reporting(&logs, || {
        Event::Stopped.emit();
        is_asked.recv_timeout(SOON).unwrap();
        // The writer holds the first line and its queue is empty: so many fit, and five do not.
        (0..fit + 5).for_each(|_| Event::Warning { text: &text }.emit());
    });
    assert_eq!(logs.lost()[0].lines, 5);
    assert!(!logs.flush(Duration::ZERO));
    drop(go);
    assert!(logs.flush(SOON));
    assert_eq!(written.text().lines().count(), 1 + fit);
    assert_eq!(logs.troubles(), [Trouble { sink: "stuck".into(), lines: 5, error: None }]);
    assert_eq!(logs.troubles(), []);
}

/// A disk that fails as often as told.
struct Failing {
    times: Arc<Mutex<u32>>,
    then: Capture,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut times = self.times.lock().unwrap();
        if *times == 0 {
            return self.then.write(bytes);
        }
        *times -= 1;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted_but_for_those_that_say_so() {
    let (logs, written) = (support::logs(noon), Capture::default());
    let failing = Failing { times: Arc::new(Mutex::new(2)), then: written.clone() };
    logs.swap(vec![Sink::new("failing", Format::Text, Selection::default(), failing).unwrap()]);
    with(&logs, || Event::Stopped.emit());
    let [trouble] = logs.troubles().try_into().unwrap();
    assert_eq!((trouble.lines, trouble.error.is_some()), (1, true));
    with(&logs, || Event::from(&trouble).emit());
    assert_eq!(logs.lost()[0].lines, 1);
    with(&logs, || Event::from(&trouble).emit());
    assert_eq!(written.names(), ["log_lines_lost"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_and_what_was_lost_outlives_a_reload_of_the_same_place() {
    let logs = support::logs(noon);
    let place = Place::File { path: "/dev/full".into(), rotation: Rotation::default() };
    let full = Destination { name: "full".into(), place, format: Format::Text, selection: Selection::default() };
    logs.swap(vec![logs.open(full.clone()).unwrap()]);
    with(&logs, || Event::Stopped.emit());
    assert_eq!(logs.lost()[0].lines, 1);
    logs.swap(vec![logs.open(Destination { name: "renamed".into(), format: Format::Json, ..full }).unwrap()]);
    with(&logs, || Event::Stopped.emit());
    assert_eq!((&*logs.lost()[0].sink, logs.lost()[0].lines), ("renamed", 2));
    let [trouble] = logs.troubles().try_into().unwrap();
    assert!(matches!(Event::from(&trouble), Event::LogLinesLost { sink: "renamed", lines: 2, error: Some(_) }));
}

#[test]
fn a_sink_that_is_swapped_out_writes_what_it_had_queued() {
    let (asked, is_asked) = sync_channel(1);
    let (go, wait) = sync_channel(1);
    let (logs, written) = (support::logs(noon), Capture::default());
    logs.swap(vec![Sink::new("old", Format::Text, Selection::default(), Stuck { asked, go: wait, then: written.clone() }).unwrap()]);
    reporting(&logs, || {
        Event::Stopped.emit();
        is_asked.recv_timeout(SOON).unwrap();
        Event::Stopped.emit();
    });
    logs.swap(Vec::new());
    assert!(!logs.flush(Duration::ZERO));
    drop(go);
    assert!(logs.flush(SOON));
    assert_eq!(written.names(), ["stopped", "stopped"]);
}
