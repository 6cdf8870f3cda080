//! The README and the pages in docs/, held to the code: their tables, their TOML, their sessions, their links.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod cookbook;
mod dependencies;
mod keys;
mod kinds;
mod links;
mod reload;
mod served;
mod sessions;
mod snippets;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, by its path within the package, with its text: the README, then those in docs/.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = below(Path::new("docs"));
    pages.sort();
    pages.insert(0, "README.md".into());
    pages.into_iter().map(|path| (path.clone(), fs::read_to_string(package().join(path)).unwrap())).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(package().join(folder)).unwrap().map(|entry| entry.unwrap());
    let found = entries.flat_map(|entry| {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() { below(&path) } else { vec![path] }
    });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Whether pages are to be written anew where they are wrong.
fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Edits a page: tests run beside each other, and more than one has something to write in it.
fn edit(page: &Path, change: impl FnOnce(String) -> String) {
    static WRITING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = WRITING.lock().unwrap();
    let page = package().join(page);
    fs::write(&page, change(fs::read_to_string(&page).unwrap())).unwrap();
}

/// The fenced blocks of a page, each with its language.
fn fenced(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (None, None) => {}
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

/// The fenced blocks of this language in a page.
fn blocks(text: &str, language: &str) -> Vec<String> {
    fenced(text).into_iter().filter(|(of, _)| of == language).map(|(_, block)| block).collect()
}
