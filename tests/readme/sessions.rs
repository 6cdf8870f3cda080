//! Every `console` block of the pages is typed into a shell, and prints what it says, with the page's config being served. `UPDATE=1`
//! writes down what is printed; read it.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::served::{Served, config, folder};
use super::{blocks, edit, is_update, pages};

/// What is typed: the lines that begin with `$ `; those after them are what is to be seen.
fn commands(session: &str) -> impl Iterator<Item = &str> {
    assert!(session.starts_with("$ "), "nothing was typed before {session}");
    session.lines().filter_map(|line| line.strip_prefix("$ "))
}

/// What a shell in this folder prints for this line. Each line has a shell of its own; what a terminal would remember goes from one to
/// the next.
fn typed(folder: &Path, line: &str) -> String {
    let mut shell = Command::new("sh");
    let script = format!("exec 2>&1; . ./.session; {line}\nexport -p > .session");
    shell.current_dir(folder).stdin(Stdio::null()).arg("-c").arg(script);
    shell.env("NO_COLOR", "1").env_remove("WSGATE_CONFIG").env_remove("WSGATE_JWT_SECRET");
    String::from_utf8(shell.output().unwrap().stdout).unwrap()
}

/// The control socket of a gateway that runs in this folder: its runtime folder is there too, and some files name a place beside them.
fn socket(folder: &Path) -> PathBuf {
    let folders = [folder.join("wsgate"), folder.to_owned()];
    let paths = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "sock")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_prints_what_it_says() {
    let (mut typed_in, mut wrong) = (0, String::new());
    for (page, text) in pages() {
        let sessions = blocks(&text, "console");
        if sessions.is_empty() {
            continue;
        }
        let (config, folder) = (config(&page, &text), folder());
        let served = Served::new(&config).await;
        fs::write(folder.path().join("gateway.toml"), &config).unwrap();
        let built = folder.path().join("target/release");
        fs::create_dir_all(&built).unwrap();
        symlink(env!("CARGO_BIN_EXE_wsgate"), built.join("wsgate")).unwrap();
        let path = format!("PATH='{}':\"$PATH\"; export PATH\n", built.display());
        let control = format!("WSGATE_CONTROL='{}'; export WSGATE_CONTROL\n", socket(served.gateway.folder.path()).display());
        // The README says itself how the program gets onto the path.
        let path = if page.ends_with("README.md") { "" } else { &path };
        fs::write(folder.path().join(".session"), format!("{control}{path}")).unwrap();
        for session in sessions {
            let mut right = String::new();
            for line in commands(&session) {
                typed_in += 1;
                right += &format!("$ {line}\n{}", served.here(&typed(folder.path(), &served.there(line))));
            }
            if is_update() {
                edit(&page, |text| text.replace(&format!("```console\n{session}```"), &format!("```console\n{right}```")));
            } else if right != session {
                write!(wrong, "{}:\n{session}\nprints\n\n{right}\n", page.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(typed_in >= 20, "{typed_in} commands");
}
