//! Time: quiet periods, polls, and waits that are given up, on a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use notify::event::{AccessKind, AccessMode, DataChange, EventKind, ModifyKind};
use notify::{ErrorKind, RecommendedWatcher};
use tokio::time::{Instant, advance, timeout};

use super::super::ear::Ear;
use super::super::eye;
use super::super::eye::MAX_FOLDERS;
use super::{Bench, NEVER};

const MS: Duration = Duration::from_millis(1);

const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

/// A system that has no watcher left to give.
fn refuse(_: Arc<Ear>) -> notify::Result<RecommendedWatcher> {
    Err(notify::Error::new(ErrorKind::MaxFilesWatch))
}

/// A watch over two files that hears what a test tells it.
async fn bench() -> Bench {
    Bench::with(&[("gw.toml", "old"), ("deny", "old")], &["gw.toml", "deny"], refuse, NEVER).await
}

impl Bench {
    fn write(&self, name: &str, content: &str) {
        self.put(name, content);
        self.tell(name, WRITTEN);
    }

    fn save(&self, name: &str, content: &str) {
        self.write(name, content);
        self.tell(name, CLOSED);
    }

    fn tell(&self, name: &str, kind: EventKind) {
        let path = self.folder.path().canonicalize().unwrap().join(name);
        self.watch.ear.hear(Ok(notify::Event::new(kind).add_path(path)));
    }

    /// Whether a change is told in that time.
    async fn is_told_within(&mut self, time: Duration) -> bool {
        timeout(time, self.watch.changed()).await.is_ok()
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_is_told_once_nothing_has_stirred_for_a_tenth_of_a_second() {
    let mut bench = bench().await;
    for number in 0..9 {
        bench.save("gw.toml", &format!("part {number}"));
        assert!(!bench.is_told_within(99 * MS).await, "{number}");
    }
    assert!(bench.is_told_within(2 * MS).await);
    bench.expect_nothing_more("a save in parts").await;
}

#[tokio::test(start_paused = true)]
async fn writing_that_does_not_end_is_told_after_two_seconds_and_then_again() {
    let mut bench = bench().await;
    for _ in 0..2 {
        let begun = Instant::now();
        let mut number = 0;
        loop {
            bench.save("gw.toml", &format!("{begun:?} {number}"));
            number += 1;
            if bench.is_told_within(50 * MS).await {
                break;
            }
        }
        assert!((2000 * MS..2100 * MS).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_file_is_waited_for_and_after_five_seconds_it_is_not() {
    let mut bench = bench().await;
    bench.write("deny", "");
    assert!(!bench.is_told_within(4900 * MS).await);
    bench.save("deny", "new");
    assert!(bench.is_told_within(101 * MS).await);
    bench.expect_nothing_more("a slow save").await;

    bench.write("deny", "a line");
    assert!(!bench.is_told_within(4900 * MS).await);
    assert!(bench.is_told_within(101 * MS).await);
    // Nobody else has to wait for it.
    bench.save("gw.toml", "new");
    assert!(bench.is_told_within(101 * MS).await);
}

#[tokio::test(start_paused = true)]
async fn waits_that_are_given_up_lose_nothing() {
    let mut bench = bench().await;
    bench.save("gw.toml", "new");
    assert!(bench.watch.changed().now_or_never().is_none(), "it is not quiet yet");
    advance(100 * MS).await;
    let eye = bench.watch.eye.clone();
    let look = eye.lock().unwrap();
    for _ in 0..3 {
        assert!(bench.watch.changed().now_or_never().is_none(), "it is looking");
    }
    drop(look);
    bench.expect_change("a save").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_watcher_files_are_polled() {
    let every = Duration::from_secs(1);
    let mut bench = Bench::with(&[("gw.toml", "old"), ("deny", "old")], &["gw.toml", "deny"], refuse, every).await;
    assert_eq!(bench.watch.limit(), Some("fs.inotify.max_user_instances is reached"));
    assert!(!bench.is_told_within(10 * every).await);
    for (name, content) in [("gw.toml", "new"), ("deny", "other"), ("deny", "same length")] {
        bench.put(name, content);
        assert!(bench.is_told_within(every + 101 * MS).await, "{name}");
        bench.expect_nothing_more(name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_poll_finds_is_told_when_it_is_the_same_a_moment_later() {
    let every = Duration::from_secs(1);
    let mut bench = Bench::with(&[("gw.toml", "old")], &["gw.toml"], refuse, every).await;
    bench.put("gw.toml", "");
    assert!(!bench.is_told_within(every + 50 * MS).await, "it was found just now");
    for part in ["half", "more than half"] {
        bench.put("gw.toml", part);
        assert!(!bench.is_told_within(100 * MS).await, "{part}");
    }
    assert!(bench.is_told_within(every).await);
    bench.expect_nothing_more("a slow save").await;
}

#[tokio::test(start_paused = true)]
async fn what_keeps_changing_is_told_all_the_same() {
    let mut bench = Bench::with(&[("gw.toml", "old")], &["gw.toml"], refuse, Duration::from_secs(1)).await;
    let (begun, mut number) = (Instant::now(), 0);
    loop {
        bench.put("gw.toml", &number.to_string());
        number += 1;
        if bench.is_told_within(50 * MS).await {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn beyond_a_number_of_folders_files_are_polled() {
    let names = (0..=MAX_FOLDERS).map(|number| format!("{number:03}/list")).collect::<Vec<_>>();
    let watched = names.iter().map(String::as_str).collect::<Vec<_>>();
    let files = watched.iter().map(|name| (*name, "old")).collect::<Vec<_>>();
    let mut bench = Bench::with(&files, &watched, eye::open, Duration::from_secs(1)).await;
    assert_eq!(bench.watch.limit(), Some("the files are in more than 128 folders"));
    bench.put(watched[MAX_FOLDERS], "new");
    bench.expect_change("a save in the last folder").await;
    bench.watch.rearm(bench.paths(&watched[1..])).await;
    assert_eq!(bench.watch.limit(), None);
}

#[tokio::test(start_paused = true)]
async fn what_no_event_tells_of_is_found_by_a_poll() {
    let mut bench = Bench::with(&[("gw.toml", "old")], &["gw.toml"], eye::open, Duration::from_secs(1)).await;
    assert_eq!(bench.watch.limit(), None);
    // The same file by another name: the kernel tells of that name alone.
    std::fs::hard_link(bench.path("gw.toml"), bench.path("twin")).unwrap();
    bench.put("twin", "new");
    bench.expect_change("writing under another name").await;
}
