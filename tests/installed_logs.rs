//! Logs as the subscriber of a whole process: a process has one, so this file has one test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use wsgate::observe::select::Selection;
use wsgate::observe::sink::{Format, Sink};
use wsgate::observe::{Event, Logs};

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports an event of each level; true where the lowest is switched off where it is emitted.
fn report() -> bool {
    tracing::debug!(target: "wsgate::gateway", "a detail");
    Event::Stopped.emit();
    !tracing::enabled!(target: "wsgate::gateway", tracing::Level::DEBUG)
}

#[test]
fn a_swap_takes_effect_at_once_on_every_thread_also_for_events_that_were_switched_off() {
    let logs = Logs::default();
    let guard = logs.install().unwrap();
    assert!(logs.install().is_err());
    let files = [LevelFilter::OFF, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::ERROR].map(|level| {
        let (capture, selection) = (Capture::default(), Selection { level, ..Selection::default() });
        logs.swap(vec![Sink::new("captured", Format::Text, selection, capture.clone()).unwrap()]);
        let is_off = std::thread::spawn(report).join().unwrap();
        assert_eq!(is_off, level < LevelFilter::DEBUG);
        assert_eq!(report(), is_off);
        capture
    });
    logs.swap(Vec::new());
    assert!(report());
    assert!(logs.flush(Duration::from_secs(20)));
    drop(guard);
    let lines = files.map(|file| String::from_utf8(file.0.lock().unwrap().clone()).unwrap().lines().count());
    assert_eq!(lines, [0, 2, 4, 0]);
}
