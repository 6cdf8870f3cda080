//! A whole run in which everything that authenticates is used, and every command asked: whatever was written anywhere, by whichever of
//! them, is searched for all of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

#[path = "../support/mod.rs"]
mod support;

mod others;
mod rotation;
mod tokens;

use std::fmt::Write;

use futures_util::StreamExt;

use support::{Gateway, command, raw};

/// A secret that a variable holds.
const OF_A_VARIABLE: &str = "secret-in-a-variable-0123456789abcdef";

/// What every file of these tests begins with: whoever writes does so where it is searched.
const FRAME: &str = r#"
[gateway]
control = "control.sock"
reload = { watch = false, spread = "1ms", rate = "10000/s" }
[log.text]
file = "all.log"
level = "info"
[log.json]
file = "all.jsonl"
format = "json"
[metrics.page]
address = "127.0.0.1:0"
[listener.public]
address = "127.0.0.1:0"
"#;

/// Everything that was used to prove something, and what was written.
#[derive(Default)]
struct Run {
    used: Vec<String>,
    written: String,
}

impl Run {
    /// Types a command; what it prints is written.
    fn typed(&mut self, gateway: &Gateway, arguments: &[&str]) {
        let mut command = command(gateway.folder.path());
        let output = command.env("WSGATE_TEST_SECRET", OF_A_VARIABLE).args(arguments).output().unwrap();
        for printed in [output.stdout, output.stderr] {
            writeln!(self.written, "$ {}\n{}", arguments[0], String::from_utf8(printed).unwrap()).unwrap();
        }
    }

    /// Reads the page of metrics; what it says is written.
    async fn scrapes(&mut self, gateway: &Gateway) {
        let asks = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        self.written += &raw::exchange(gateway.address("metrics.page"), asks).await;
    }

    /// Adds what the gateway has logged, which has ended, and looks for everything that proves something in everything that was written.
    fn search(&mut self, gateway: &mut Gateway, signs: &[&str], secrets: &[&str]) {
        gateway.events().iter().for_each(|event| writeln!(self.written, "{event}").unwrap());
        for file in ["all.log", "all.jsonl"] {
            self.written += &std::fs::read_to_string(gateway.folder.path().join(file)).unwrap();
        }
        for sign in signs {
            assert!(self.written.contains(sign), "the run was to have {sign}");
        }
        for secret in self.used.iter().map(String::as_str).chain(secrets.iter().copied()) {
            // Nor the part of a token that proves anything.
            for part in [secret, secret.rsplit('.').next().unwrap()] {
                let Some(at) = self.written.find(part) else { continue };
                let before = self.written[..at].rfind("$ ").unwrap_or(0);
                panic!("{part} was written: {}", &self.written[before..(at + part.len()).min(before + 2000)]);
            }
        }
    }
}

/// Ends a connection in order.
async fn leave(mut socket: support::Socket) {
    _ = socket.close(None).await;
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
}
