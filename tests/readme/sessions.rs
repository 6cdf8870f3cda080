//! Every `console` block of the pages is typed into a shell, and prints what it says, with the page's config being served.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::served::{Served, config, folder};
use super::{blocks, pages};

/// Lines that begin with `$ ` are typed, those after them are what is to be seen.
fn steps(block: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_owned(), String::new())),
            (None, Some((_, seen))) => *seen += &format!("{line}\n"),
            (None, None) => panic!("nothing was typed before {line:?}"),
        }
    }
    steps
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

#[tokio::test(flavor = "multi_thread")]
async fn every_session_prints_what_it_says() {
    let (mut typed_in, mut wrong) = (0, String::new());
    for (page, text) in pages() {
        let steps: Vec<_> = blocks(&text, "console").iter().flat_map(|block| steps(block)).collect();
        if steps.is_empty() {
            continue;
        }
        let (config, folder) = (config(&page, &text), folder());
        let served = Served::new(&config).await;
        fs::write(folder.path().join("gateway.toml"), &config).unwrap();
        let built = folder.path().join("target/release");
        fs::create_dir_all(&built).unwrap();
        symlink(env!("CARGO_BIN_EXE_wsgate"), built.join("wsgate")).unwrap();
        let path = format!("PATH='{}':\"$PATH\"; export PATH\n", built.display());
        // The README says itself how the program gets onto the path.
        fs::write(folder.path().join(".session"), if page.ends_with("README.md") { "" } else { &path }).unwrap();
        for (line, expected) in steps {
            typed_in += 1;
            let seen = served.here(&typed(folder.path(), &served.there(&line)));
            if seen != expected {
                write!(wrong, "{}\n$ {line}\n{seen}and not\n{expected}\n", page.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(typed_in >= 20, "{typed_in} commands");
}
