//! What an edit costs: from the save of the file until a connection that is open goes by it, and what judging thousands of
//! connections again means for the messages that pass meanwhile. `cargo bench --bench reload`; Linux, loopback only.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Saves of each size of file.
const SAVES: usize = 11;
/// Connections that are judged again, and those among them whose messages are timed.
const OPEN: usize = 5_000;
const BUSY: usize = 16;
const EDITS: usize = 11;

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    for routes in [10, 1_000, 10_000] {
        save(routes).await;
    }
    judge().await;
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

struct Gateway {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    lines: tokio::sync::Mutex<tokio::sync::mpsc::Receiver<String>>,
}

impl Gateway {
    fn run(config: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wsgate-reload-{}-{}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gateway.toml"), whole(config)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsgate"));
        let mut child = command.arg("run").current_dir(&folder).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("\"listening\"")).unwrap();
        let address = listening.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        std::thread::spawn(move || {
            for line in lines.filter(|line| line.contains("\"reload")) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, folder, address, lines: tokio::sync::Mutex::new(receiver) }
    }

    /// Saves as editors do: beside it, then renamed.
    fn write(&self, config: &str) {
        let beside = self.folder.join(".gateway.toml.new");
        std::fs::write(&beside, whole(config)).unwrap();
        std::fs::rename(beside, self.folder.join("gateway.toml")).unwrap();
    }

    async fn connect(&self, path: &str) -> Socket {
        tokio_tungstenite::connect_async(format!("ws://{}{path}", self.address)).await.unwrap().0
    }

    /// The next line of an edit, which has to be of this event.
    async fn line(&self, event: &str) -> String {
        let line = self.lines.lock().await.recv().await.unwrap();
        assert!(line.contains(&format!("\"{event}\"")), "{line}");
        line
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn whole(config: &str) -> String {
    let frame = "[gateway]\nmax_connections = \"off\"\nroute = { ping = \"off\" }\n[listener.bench]\naddress = \"127.0.0.1:0\"\n";
    format!("{frame}{config}[log.bench]\nconsole = \"stderr\"\nformat = \"json\"\n")
}

async fn ask(socket: &mut Socket) -> String {
    socket.send(Message::text("x")).await.unwrap();
    socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

fn seconds(line: &str, field: &str) -> f64 {
    let value = line.split(&format!("\"{field}\":")).nth(1).unwrap();
    value.split([',', '}']).next().unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
