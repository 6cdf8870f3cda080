//! Every `console` block of the pages is typed into a shell, and prints what it says, with the shipped file being served.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::support::Gateway;
use super::{blocks, package, pages};

/// The listeners of the shipped file, with the addresses the pages know them by.
const LISTENERS: [(&str, &str); 2] = [("public", "127.0.0.1:8765"), ("secure", "127.0.0.1:8888")];

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

#[test]
fn every_session_prints_what_it_says() {
    let mut shipped = fs::read_to_string(package().join("gateway.toml")).unwrap();
    for (_, address) in LISTENERS {
        assert!(shipped.contains(&format!("\"{address}\"")), "{address}");
        shipped = shipped.replace(&format!("\"{address}\""), "\"127.0.0.1:0\"");
    }
    let gateway = Gateway::run(&shipped);
    let mut sockets = fs::read_dir(gateway.folder.path().join("wsgate")).unwrap();
    let control = sockets.next().unwrap().unwrap().path();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(package().join("gateway.toml"), folder.path().join("gateway.toml")).unwrap();
    let built = folder.path().join("target/release");
    fs::create_dir_all(&built).unwrap();
    symlink(env!("CARGO_BIN_EXE_wsgate"), built.join("wsgate")).unwrap();
    // Each line has a shell of its own; what a terminal would remember goes from one to the next.
    let session = folder.path().join(".session");
    let mut typed = 0;
    for (page, text) in pages() {
        fs::write(&session, "").unwrap();
        for (line, expected) in blocks(&text, "console").iter().flat_map(|block| steps(block)) {
            typed += 1;
            let there = LISTENERS.iter().fold(line.clone(), |line, (name, known)| line.replace(known, &gateway.address(name).to_string()));
            let mut shell = Command::new("sh");
            shell
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .arg("-c")
                .arg(format!("exec 2>&1; . ./.session; {there}\nexport -p > .session"));
            shell.env("NO_COLOR", "1").env("WSGATE_CONTROL", &control).env_remove("WSGATE_CONFIG").env_remove("WSGATE_JWT_SECRET");
            let seen = String::from_utf8(shell.output().unwrap().stdout).unwrap();
            let seen = LISTENERS.iter().fold(seen, |seen, (name, known)| seen.replace(&gateway.address(name).to_string(), known));
            assert_eq!(seen, expected, "{}: {line}", page.display());
        }
    }
    assert!(typed >= 5, "{typed} commands");
}
