//! A watch over real files: what the kernel tells of, what only a poll finds, what is told and what is not.

mod paused;
mod saves;

use std::fs;
use std::future::Future;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::eye::{self, Open};
use super::print::Print;
use super::{Polls, Watch};

/// Longer than anything here takes unless it is stuck.
const SOON: Duration = Duration::from_secs(20);

/// So rarely that nothing is found by it.
const NEVER: Duration = Duration::from_secs(1 << 20);

/// Files in a folder of their own, and a watch over some of them.
struct Bench {
    folder: TempDir,
    watch: Watch,
}

impl Bench {
    /// Puts these files and links into a folder, and watches some of them. A content that begins with `->` is where a link points.
    async fn new(files: &[(&str, &str)], watched: &[&str]) -> Self {
        Self::with(files, watched, eye::open, NEVER).await
    }

    async fn with(files: &[(&str, &str)], watched: &[&str], open: Open, every: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            put(&folder.path().join(name), content);
        }
        let watched = watched.iter().map(|name| folder.path().join(name)).collect::<Vec<_>>();
        let watch = Watch::start(watched, open, Polls { beside: every, alone: every }).await;
        Self { folder, watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        put(&self.path(name), content);
    }

    fn paths(&self, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| self.path(name)).collect()
    }

    /// Waits for a change to be told, and sees that there is nothing more to tell: it was told with what the files hold now.
    async fn expect_change(&mut self, what: &str) {
        soon(self.watch.changed(), what).await;
        self.expect_nothing_more(what).await;
    }

    /// Waits until what has stirred is over, and sees that it is nothing to tell.
    async fn expect_stir_only(&mut self, what: &str) {
        soon(self.watch.settled(), what).await;
        self.expect_nothing_more(what).await;
    }

    async fn expect_nothing_more(&mut self, what: &str) {
        assert!(!self.watch.has_news().await, "{what} is told more than once");
        for (path, told) in &self.watch.told {
            assert_eq!(*told, Print::take(path), "{what}: {}", path.display());
        }
    }
}

async fn soon<T>(future: impl Future<Output = T>, what: &str) -> T {
    timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what} is not noticed"))
}

/// Writes a file, or makes a link, with the folders above it.
fn put(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match content.strip_prefix("->") {
        Some(target) => symlink(target, path).unwrap(),
        None => fs::write(path, content).unwrap(),
    }
}
