//! A gateway run as its users run it, and the peers it meets: real sockets, port 0, nothing that sleeps to wait.

#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

pub mod backend;
pub mod provider;
pub mod raw;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long anything may take before a test gives up on it: a bound, never a measure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The secret the configs of tests sign with.
pub const SECRET: &str = "a-secret-for-tests-only-0123456789abcdef";

/// Whether the kernel will ask after the other end of a connection that is made to this address: its keepalive timer runs (proc(5),
/// `/proc/net/tcp`: the peer, the state, and the timer).
#[cfg(target_os = "linux")]
pub fn is_asked_after(server: SocketAddr) -> bool {
    let port = format!(":{:04X}", server.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.any(|row| row[2].ends_with(&port) && row[3] == "01" && row[5].starts_with("02:"))
}

/// What a WebSocket is spoken over.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Io for S {}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running gateway.
pub struct Gateway {
    child: Child,
    /// By listener, and by `metrics.NAME`.
    pub addresses: HashMap<String, SocketAddr>,
    events: Receiver<Value>,
    seen: Vec<Value>,
    pub folder: TempDir,
}

impl Gateway {
    /// Runs the release of the day on this file; `address = "127.0.0.1:0"` is how its listeners get their ports.
    pub fn run(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::run_in(folder, config)
    }

    /// The same, in a folder that holds other files already.
    pub fn run_in(folder: TempDir, config: &str) -> Self {
        Self::run_by(Path::new(env!("CARGO_BIN_EXE_wsgate")), folder, config)
    }

    /// The same, by another program that has the command line.
    pub fn run_by(program: &Path, folder: TempDir, config: &str) -> Self {
        let mut run = command_of(program, folder.path());
        run.arg("run");
        Self::run_with(run, folder, config)
    }

    /// The same, by a line of the shell, in which `wsgate` is the release of the day.
    pub fn run_as(line: &str, folder: TempDir, config: &str) -> Self {
        let mut shell = command_of(Path::new("sh"), folder.path());
        shell.arg("-c").arg(format!("wsgate() {{ exec '{}' \"$@\"; }}; {line}", env!("CARGO_BIN_EXE_wsgate")));
        Self::run_with(shell, folder, config)
    }

    fn run_with(mut run: Command, folder: TempDir, config: &str) -> Self {
        std::fs::write(folder.path().join("gateway.toml"), logged(config)).unwrap();
        let mut child = run.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, events) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let mut gateway = Self { child, addresses: HashMap::new(), events, seen: Vec::new(), folder };
        gateway.event("started");
        for event in &gateway.seen {
            let name = match (event["event"].as_str(), event["listener"].as_str(), event["metrics"].as_str()) {
                (Some("listening"), Some(listener), _) => listener.to_owned(),
                (Some("listening"), _, Some(page)) => format!("metrics.{page}"),
                _ => continue,
            };
            gateway.addresses.entry(name).or_insert_with(|| event["address"].as_str().unwrap().parse().unwrap());
        }
        gateway
    }

    /// Writes its file anew and asks it to read that; gives what came of it.
    pub fn reload(&mut self, config: &str) -> Value {
        std::fs::write(self.folder.path().join("gateway.toml"), logged(config)).unwrap();
        self.signal("HUP");
        self.reloaded()
    }

    /// Waits for what came of reading its file again.
    pub fn reloaded(&mut self) -> Value {
        self.event_of(&["reloaded", "reload_unchanged", "reload_refused"], |_| true)
    }

    /// Waits for the next event of this name.
    pub fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true)
    }

    /// Waits for the next event of this name that is the one meant.
    pub fn event_where(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        self.event_of(&[name], is_meant)
    }

    /// Waits for the next event of one of these names that is the one meant.
    pub fn event_of(&mut self, names: &[&str], is_meant: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Ok(event) = self.events.recv_timeout(PATIENCE) else {
                panic!("no event {names:?}; there were: {:#?}", self.seen);
            };
            self.seen.push(event.clone());
            if names.iter().any(|name| event["event"] == *name) && is_meant(&event) {
                return event;
            }
        }
    }

    /// Every event so far, those not waited for included.
    pub fn events(&mut self) -> &[Value] {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        &self.seen
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        *self.addresses.get(listener).unwrap_or_else(|| panic!("no listener {listener:?} among {:?}", self.addresses))
    }

    pub fn url(&self, listener: &str, path: &str) -> String {
        format!("ws://{}{path}", self.address(listener))
    }

    pub async fn connect(&self, listener: &str, path: &str) -> Socket {
        connect(self.url(listener, path)).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The status and body a client gets that is turned away.
    pub async fn refusal(&self, request: impl IntoClientRequest + Unpin) -> (u16, String) {
        match connect(request).await {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
                (response.status().as_u16(), body.unwrap_or_default())
            }
            Err(error) => panic!("not refused but: {error}"),
            Ok(_) => panic!("let in"),
        }
    }

    /// Sends the gateway a signal: `"TERM"`, `"INT"`, `"HUP"`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end, which is when its standard error does.
    pub fn wait(&mut self) -> ExitStatus {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) => self.seen.push(event),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it runs on; there were: {:#?}", self.seen),
            }
        }
        self.child.wait().unwrap()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many descriptors the process holds.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Waits until the process holds this many descriptors: a client that was refused is shown out behind its `refused` event.
    pub async fn settles_at(&self, descriptors: usize) {
        let settled = async {
            while self.descriptors() != descriptors {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settled).await;
        assert!(settled.is_ok(), "{} descriptors, and not {descriptors}", self.descriptors());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The file as it is written, with a log that the test reads.
pub fn logged(config: &str) -> String {
    format!("{config}\n[log.for-the-test]\nconsole = \"stderr\"\nformat = \"json\"\nlevel = \"info\"\n")
}

/// The `wsgate` command, run in a folder and without this machine's own settings.
pub fn command(folder: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_wsgate")), folder)
}

/// The same of another program.
pub fn command_of(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_remove("WSGATE_CONFIG").env_remove("WSGATE_JWT_SECRET").env("NO_COLOR", "1").stdin(Stdio::null());
    // Its control socket is there and nowhere else.
    command.env_remove("WSGATE_CONTROL").env("XDG_RUNTIME_DIR", folder);
    command
}

pub async fn connect(request: impl IntoClientRequest + Unpin) -> Result<Socket, tungstenite::Error> {
    in_time(tokio_tungstenite::connect_async(request)).await.map(|(socket, _)| socket)
}

/// A request with a header.
pub fn request(url: &str, headers: &[(&'static str, &str)]) -> http::Request<()> {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A request with a token where tokens belong.
pub fn with_token(url: &str, token: &str) -> http::Request<()> {
    request(url, &[("authorization", &format!("Bearer {token}"))])
}

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("within the bound")
}

/// Sends a text and gives the text that comes back.
pub async fn ask<S: Io>(socket: &mut WebSocketStream<S>, text: &str) -> String {
    socket.send(Message::text(text)).await.unwrap();
    next_text(socket).await
}

pub async fn next_text<S: Io>(socket: &mut WebSocketStream<S>) -> String {
    match in_time(socket.next()).await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Reads until the Close frame and gives its code and reason; 1005 where it has none, 1006 where none comes.
pub async fn closed<S: Io>(socket: &mut WebSocketStream<S>) -> (u16, String) {
    let last = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None))) => return (1005, String::new()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (1006, String::new()),
            }
        }
    };
    in_time(last).await
}

/// A token with these claims, signed with [`SECRET`].
pub fn token(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
