//! What an edit costs: from the save of the file until a connection that is open goes by it, and what judging thousands of
//! connections again means for the messages that pass meanwhile. What a kick costs: from the asking until clients have their Close
//! frames. And what a thousand edits leave behind. `cargo bench --bench reload`; Linux, loopback only.
//!
//! Gateway and clients share the machine, so what a client takes to read is part of every time; the load is told beside them.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

mod support;

use std::fmt::Write;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use wsgate::engine::control::protocol::{Selector, Verb};

use support::figures::{load, median, seconds};
use support::gateway::{Gateway, ask, close};

/// Saves of each size of file.
const SAVES: usize = 11;
/// Connections that are judged again, and those among them whose messages are timed.
const OPEN: usize = 5_000;
const BUSY: usize = 16;
const EDITS: usize = 11;
/// Single connections that are kicked, and whole routes.
const KICKS: usize = 51;
const ROUNDS: usize = 7;
/// Edits whose memory is looked at, after some that warm up.
const MANY: usize = 1_000;

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    println!("machine load {} before, on {} processors", load(), std::thread::available_parallelism().unwrap());
    for routes in [10, 1_000, 10_000] {
        save(routes).await;
    }
    judge().await;
    kick_one().await;
    kick_all().await;
    remember().await;
    println!("machine load {} after", load());
}

/// From a save until a connection that was open before answers by it.
async fn save(routes: usize) {
    let file = |edit: usize| {
        let mut text = format!("[echo.edited]\nprefix = \"{edit} \"\n[route.edited]\npath = \"/edited\"\nendpoint = \"echo.edited\"\n");
        for route in 1..routes {
            writeln!(text, "[route.r{route}]\npath = \"/r{route}/*\"\nidle = \"1h\"\nendpoint = \"echo\"").unwrap();
        }
        text
    };
    let gateway = Gateway::run(&file(0));
    let mut socket = gateway.connect("/edited").await;
    let (mut in_force, mut compiled, mut applied) = (Vec::new(), Vec::new(), Vec::new());
    for edit in 1..=SAVES {
        let (text, wanted) = (file(edit), format!("{edit} x"));
        gateway.write(&text);
        let saved = Instant::now();
        while ask(&mut socket).await != wanted {}
        in_force.push(saved.elapsed().as_secs_f64());
        let line = gateway.line("reloaded").await;
        compiled.push(seconds(&line, "compiled"));
        applied.push(seconds(&line, "applied"));
    }
    let [in_force, compiled, applied] = [in_force, compiled, applied].map(|times| median(times) * 1e3);
    println!("{routes:>6} routes: in force {in_force:.0} ms after the save; compiled in {compiled:.1} ms, applied in {applied:.1} ms");
}

/// Judges many connections again while messages pass on some of them.
async fn judge() {
    let file = |edit: usize| {
        let stage = format!("[firewall.f]\ndeny = [\"192.0.2.{}/32\"]\n", edit % 250);
        format!("{stage}[route.all]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"\n")
    };
    let gateway = Gateway::run(&file(0));
    let mut open = Vec::new();
    while open.len() < OPEN - BUSY {
        open.push(gateway.connect("/").await);
    }
    let (edits, is_editing) = watch::channel(false);
    let mut busy = Vec::new();
    for _ in 0..BUSY {
        let (mut socket, is_editing) = (gateway.connect("/").await, is_editing.clone());
        busy.push(tokio::spawn(async move {
            // The longest round trip without and with an edit under way.
            let mut longest = [Duration::ZERO; 2];
            while is_editing.has_changed().is_ok() {
                let with = usize::from(*is_editing.borrow());
                let asked = Instant::now();
                ask(&mut socket).await;
                if let Some(longest) = longest.get_mut(with) {
                    *longest = asked.elapsed().max(*longest);
                }
            }
            longest
        }));
    }
    drop(is_editing);
    let mut applied = Vec::new();
    for edit in 1..=EDITS {
        tokio::time::sleep(Duration::from_millis(200)).await;
        edits.send_replace(true);
        gateway.write(&file(edit));
        applied.push(seconds(&gateway.line("reloaded").await, "applied"));
        edits.send_replace(false);
    }
    drop(edits);
    let mut longest = [Duration::ZERO; 2];
    for task in busy {
        let task = task.await.unwrap();
        longest = [longest[0].max(task[0]), longest[1].max(task[1])];
    }
    println!(
        "{OPEN} connections judged again in {:.1} ms; of {BUSY} busy ones the longest round trip {:.1?} with an edit, {:.1?} between edits",
        median(applied) * 1e3,
        longest[1],
        longest[0]
    );
}

/// Kicks one of many connections by its id, again and again.
async fn kick_one() {
    let gateway = Gateway::run("[route.all]\nendpoint = \"echo\"\n");
    let mut open = Vec::new();
    while open.len() < OPEN {
        open.push(gateway.connect(&format!("/{}", open.len())).await);
    }
    let ids = gateway.ids().await;
    let (mut closed, mut answered) = (Vec::new(), Vec::new());
    for index in (0..KICKS).map(|kick| kick * OPEN / KICKS) {
        let selector = Selector { id: Some(ids.get(&format!("/{index}")).unwrap().clone()), ..Selector::default() };
        let socket = open.get_mut(index).unwrap();
        let asked = Instant::now();
        let (at, answer) = tokio::join!(close(socket), gateway.kick(selector));
        closed.push((at - asked).as_secs_f64());
        answered.push((answer - asked).as_secs_f64());
    }
    let [closed, answered] = [closed, answered].map(|times| median(times) * 1e3);
    println!("one of {OPEN} connections kicked by its id: closed {closed:.2} ms after it was asked, answered {answered:.2} ms after");
}

/// Kicks all connections of a route, each of which is read by a task of its own.
async fn kick_all() {
    let gateway = Gateway::run("[route.all]\nendpoint = \"echo\"\n");
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let mut open = JoinSet::new();
        for _ in 0..OPEN {
            let mut socket = gateway.connect("/").await;
            open.spawn(async move { close(&mut socket).await });
        }
        // The last of them is counted where the gateway counts them.
        while gateway.ask(Verb::Status).await.1.last().unwrap().pointer("/done/connections").unwrap() != OPEN {}
        let asked = Instant::now();
        let answered = gateway.kick(Selector { route: Some("all".to_owned()), ..Selector::default() }).await;
        let closed = open.join_all().await;
        let ends = [closed.iter().min().unwrap(), closed.iter().max().unwrap(), &answered];
        times.iter_mut().zip(ends).for_each(|(times, end)| times.push((*end - asked).as_secs_f64()));
        while gateway.ask(Verb::Status).await.1.last().unwrap().pointer("/done/connections").unwrap() != 0 {}
    }
    let [first, last, answered] = times.map(|times| median(times) * 1e3);
    println!(
        "all {OPEN} of a route kicked: the first closed {first:.2} ms after it was asked, the last {last:.0} ms; answered {answered:.1} ms after"
    );
}

/// Edits a config of a hundred routes with connections on them, and looks at the memory before and after.
async fn remember() {
    let file = |edit: usize| {
        let mut text = format!("[echo.edited]\nprefix = \"{edit} \"\n");
        for route in 0..100 {
            writeln!(text, "[route.r{route}]\npath = \"/{route}\"\nendpoint = \"echo.edited\"").unwrap();
        }
        text
    };
    let gateway = Gateway::run(&file(0));
    let mut open = Vec::new();
    for index in 0..MANY {
        open.push(gateway.connect(&format!("/{}", index % 100)).await);
    }
    let mut resident = Vec::new();
    for edit in 1..=2 * MANY {
        gateway.write(&file(edit));
        let (_, answer) = gateway.ask(Verb::Reload { force: false }).await;
        assert!(answer.last().unwrap().get("done").is_some(), "{answer:?}");
        gateway.line("reloaded").await;
        if edit % MANY == 0 {
            resident.push(gateway.resident());
        }
    }
    let &[before, after] = resident.as_slice() else { panic!("{resident:?}") };
    println!("{MANY} edits of 100 routes under {MANY} connections: {before:.1} MiB resident before, {after:.1} MiB after");
}
