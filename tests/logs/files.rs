//! Log files: rotation, files that are moved away, places that cannot be a log.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use wsgate::config::units::Size;
use wsgate::observe::logs::Trouble;
use wsgate::observe::rotate::{Period, Rotation};
use wsgate::observe::select::Selection;
use wsgate::observe::sink::{Destination, Format, Place};
use wsgate::observe::{Event, Logs};

use super::support::{self, SOON, noon, with};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A clock that a test sets, in whole seconds after noon.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        noon() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// One log in a folder of its own, with a clock to set.
struct Bench {
    folder: PathBuf,
    hand: Hand,
    logs: Logs,
}

impl Bench {
    fn new(name: &str, rotation: Rotation) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let hand = Hand::default();
        let mut bench = Self { folder, hand, logs: support::logs(noon) };
        bench.restart(rotation);
        bench
    }

    fn destination(&self, rotation: Rotation) -> Destination {
        let place = Place::File { path: self.path("gw"), rotation };
        Destination { name: "file".into(), place, format: Format::Text, selection: Selection::default() }
    }

    /// Opens the log as a new process would.
    fn restart(&mut self, rotation: Rotation) {
        let hand = self.hand.clone();
        self.logs = support::logs(move || hand.now());
        self.logs.swap(vec![self.logs.open(self.destination(rotation)).unwrap()]);
    }

    /// Writes one line for each of these texts, and each before the next is reported.
    fn write(&self, texts: &[&str]) {
        texts.iter().for_each(|text| with(&self.logs, || Event::Warning { text }.emit()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The texts in a file, or that there is none.
    fn texts(&self, name: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.path(name)).ok()?;
        Some(text.lines().map(|line| line.rsplit('=').next().unwrap().to_owned()).collect())
    }

    fn assert(&self, files: &[(&str, &[&str])]) {
        for (name, texts) in files {
            assert_eq!(self.texts(name).as_deref().unwrap_or_default(), *texts, "{name}");
        }
        assert_eq!(fs::read_dir(&self.folder).unwrap().count(), files.len());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A folder that is left behind harms no later run: its name holds this process's id.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The length of a line that [`Bench::write`] writes for a text of one letter: `2026-11-22T15:04:05.123Z  WARN warning text=a\n`.
const LINE: u64 = 46;

fn by_size(lines: u64, keep: u16) -> Rotation {
    Rotation { size: Some(Size::bytes(LINE * lines)), every: None, keep }
}

fn by_day(keep: u16) -> Rotation {
    Rotation { size: None, every: Some(Period::Day), keep }
}

#[test]
fn a_file_is_put_aside_before_a_line_would_make_it_too_large() {
    let bench = Bench::new("size", by_size(2, 2));
    bench.write(&["a", "b", "c", "d", "e"]);
    bench.assert(&[("gw", &["e"]), ("gw.1", &["c", "d"]), ("gw.2", &["a", "b"])]);
    bench.write(&["f", "g"]);
    bench.assert(&[("gw", &["g"]), ("gw.1", &["e", "f"]), ("gw.2", &["c", "d"])]);
}

#[test]
fn many_lines_at_once_are_rotated_between_lines() {
    let bench = Bench::new("batch", by_size(3, 9));
    with(&bench.logs, || ["a", "b", "c", "d", "e", "f", "g"].iter().for_each(|text| Event::Warning { text }.emit()));
    bench.assert(&[("gw", &["g"]), ("gw.1", &["d", "e", "f"]), ("gw.2", &["a", "b", "c"])]);
}

#[test]
fn a_line_longer_than_the_size_gets_a_file_of_its_own() {
    let bench = Bench::new("long", by_size(1, 9));
    let long = "x".repeat(500);
    with(&bench.logs, || ["a", &long, &long, "b"].iter().for_each(|text| Event::Warning { text }.emit()));
    bench.assert(&[("gw", &["b"]), ("gw.1", &[&long]), ("gw.2", &[&long]), ("gw.3", &["a"])]);
}

#[test]
fn without_a_number_to_keep_a_rotation_deletes() {
    let bench = Bench::new("none", by_size(1, 0));
    bench.write(&["a", "b"]);
    bench.assert(&[("gw", &["b"])]);
}

#[test]
fn a_lower_number_to_keep_deletes_the_rest_at_the_next_rotation() {
    let mut bench = Bench::new("fewer", by_size(1, 3));
    bench.write(&["a", "b", "c", "d"]);
    bench.assert(&[("gw", &["d"]), ("gw.1", &["c"]), ("gw.2", &["b"]), ("gw.3", &["a"])]);
    bench.restart(by_size(1, 1));
    bench.write(&["e"]);
    bench.assert(&[("gw", &["e"]), ("gw.1", &["d"])]);
}

#[test]
fn a_file_is_put_aside_at_the_first_line_of_another_day() {
    let bench = Bench::new("day", by_day(7));
    bench.write(&["a"]);
    // From 15:04:05 to 23:59:59.
    bench.hand.advance(Duration::from_secs(8 * 3600 + 55 * 60 + 54));
    bench.write(&["b"]);
    bench.assert(&[("gw", &["a", "b"])]);
    bench.hand.advance(SECOND);
    bench.write(&["c"]);
    bench.assert(&[("gw", &["c"]), ("gw.1", &["a", "b"])]);
    bench.hand.advance(DAY * 3);
    bench.write(&["d"]);
    bench.assert(&[("gw", &["d"]), ("gw.1", &["c"]), ("gw.2", &["a", "b"])]);
}

#[test]
fn a_restart_appends_and_rotates_what_an_earlier_day_left() {
    let mut bench = Bench::new("restart", by_day(7));
    bench.write(&["a"]);
    let last_written = |bench: &Bench, at| fs::File::options().append(true).open(bench.path("gw")).unwrap().set_modified(at).unwrap();
    last_written(&bench, noon());
    bench.restart(by_day(7));
    bench.write(&["b"]);
    bench.assert(&[("gw", &["a", "b"])]);
    last_written(&bench, noon() - DAY);
    bench.restart(by_day(7));
    bench.write(&["c"]);
    bench.assert(&[("gw", &["c"]), ("gw.1", &["a", "b"])]);
}

#[test]
fn a_size_counts_what_an_earlier_run_wrote() {
    let mut bench = Bench::new("grown", by_size(2, 7));
    bench.write(&["a", "b"]);
    bench.restart(by_size(2, 7));
    bench.write(&["c"]);
    bench.assert(&[("gw", &["c"]), ("gw.1", &["a", "b"])]);
}

#[test]
fn a_file_that_was_moved_is_left_after_a_second_or_at_once_when_told() {
    let bench = Bench::new("moved", Rotation::default());
    bench.write(&["a"]);
    fs::rename(bench.path("gw"), bench.path("old")).unwrap();
    bench.write(&["b"]);
    bench.assert(&[("old", &["a", "b"])]);
    bench.hand.advance(SECOND);
    bench.write(&["c"]);
    bench.assert(&[("gw", &["c"]), ("old", &["a", "b"])]);
    fs::remove_file(bench.path("gw")).unwrap();
    bench.logs.reopen();
    bench.write(&["d"]);
    bench.assert(&[("gw", &["d"]), ("old", &["a", "b"])]);
    fs::remove_file(bench.path("gw")).unwrap();
    bench.hand.advance(SECOND);
    bench.write(&["e"]);
    bench.assert(&[("gw", &["e"]), ("old", &["a", "b"])]);
}

#[test]
fn a_file_that_was_emptied_is_as_long_as_it_is() {
    let bench = Bench::new("emptied", by_size(2, 7));
    bench.write(&["a", "b"]);
    fs::File::options().write(true).open(bench.path("gw")).unwrap().set_len(0).unwrap();
    bench.hand.advance(SECOND);
    bench.write(&["c"]);
    bench.assert(&[("gw", &["c"])]);
}

#[test]
fn reopening_needs_no_line_to_happen() {
    let bench = Bench::new("reopen", Rotation::default());
    fs::remove_file(bench.path("gw")).unwrap();
    bench.logs.reopen();
    assert!(bench.logs.flush(SOON));
    bench.assert(&[("gw", &[])]);
}

#[test]
fn a_rotation_that_fails_loses_no_line_is_reported_and_tried_again_after_a_minute() {
    let bench = Bench::new("stuck", by_size(1, 1));
    bench.write(&["a"]);
    fs::create_dir_all(bench.path("gw.1/in the way")).unwrap();
    bench.write(&["b", "c"]);
    bench.assert(&[("gw", &["a", "b", "c"]), ("gw.1", &[])]);
    let [trouble] = bench.logs.troubles().try_into().unwrap();
    let Event::LogFileStuck { sink: "file", error } = Event::from(&trouble) else { panic!("{trouble:?}") };
    assert!(error.starts_with("cannot rotate"), "{error}");
    assert_eq!(bench.logs.troubles(), []);
    fs::remove_dir_all(bench.path("gw.1")).unwrap();
    bench.hand.advance(SECOND * 59);
    bench.write(&["d"]);
    bench.assert(&[("gw", &["a", "b", "c", "d"])]);
    bench.hand.advance(SECOND);
    bench.write(&["e"]);
    bench.assert(&[("gw", &["e"]), ("gw.1", &["a", "b", "c", "d"])]);
    assert_eq!(bench.logs.lost()[0].lines, 0);
}

#[test]
fn a_file_whose_folder_vanished_is_written_on_and_reported() {
    let bench = Bench::new("vanished", Rotation::default());
    fs::remove_dir_all(&bench.folder).unwrap();
    bench.hand.advance(SECOND);
    bench.write(&["a"]);
    assert_eq!(bench.logs.lost()[0].lines, 0);
    assert!(matches!(&bench.logs.troubles()[..], [Trouble { lines: 0, error: Some(_), .. }]));
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_a_log_is_an_error_that_names_it() {
    let bench = Bench::new("place", Rotation::default());
    let error = |path: &str, rotation| {
        let place = Place::File { path: bench.path(path), rotation };
        let error = bench.logs.open(Destination { place, ..bench.destination(rotation) }).err().map(|error| error.to_string());
        error.map(|error| error.replace(bench.folder.to_str().unwrap(), "$"))
    };
    let mkfifo = std::process::Command::new("mkfifo").arg(bench.path("pipe")).status().unwrap();
    assert!(mkfifo.success());
    std::os::unix::fs::symlink("gw", bench.path("link")).unwrap();
    let never = Rotation::default();
    for (path, rotation, expected) in [
        ("no/gw", never, Some("cannot open $/no/gw: the folder $/no does not exist")),
        ("", never, Some("cannot open $/: it is a folder")),
        ("pipe", never, Some("cannot open $/pipe: it is a named pipe, which opens only once somebody reads from it")),
        ("link", by_day(1), Some("cannot open $/link: only a regular file can be rotated, and it is none")),
        ("link", never, None),
        ("gw", by_day(1), None),
    ] {
        assert_eq!(error(path, rotation).as_deref(), expected, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_new_file_is_not_readable_by_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new("mode", Rotation::default());
    assert_eq!(fs::metadata(bench.path("gw")).unwrap().permissions().mode() & 0o027, 0);
}
