//! A gateway as a process of its own, with one listener, one log and a control socket.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use http::header::AUTHORIZATION;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wsgate::engine::control::protocol::{Kick, Request, Selector, VERSION, Verb};

use super::figures;

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Gateway {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    lines: tokio::sync::Mutex<tokio::sync::mpsc::Receiver<String>>,
}

impl Gateway {
    pub fn run(config: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wsgate-bench-{}-{}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gateway.toml"), whole(config)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsgate"));
        let mut child = command.arg("run").current_dir(&folder).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("\"listening\"")).unwrap();
        let address = listening.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        std::thread::spawn(move || {
            for line in lines.filter(|line| line.contains("\"event\":\"reload")) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, folder, address, lines: tokio::sync::Mutex::new(receiver) }
    }

    /// Saves as editors do: beside it, then renamed.
    pub fn write(&self, config: &str) {
        let beside = self.folder.join(".gateway.toml.new");
        std::fs::write(&beside, whole(config)).unwrap();
        std::fs::rename(beside, self.folder.join("gateway.toml")).unwrap();
    }

    pub async fn connect(&self, path: &str) -> Socket {
        self.connect_with(path, None).await
    }

    /// Connects with this as its `Authorization: Bearer`.
    pub async fn connect_with(&self, path: &str, token: Option<&str>) -> Socket {
        // Thousands of them fit into memory.
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        tokio_tungstenite::connect_async_with_config(request, Some(config), true).await.unwrap().0
    }

    /// CPU of all its threads so far, in µs.
    pub fn cpu(&self) -> f64 {
        figures::cpu(self.child.id())
    }

    /// Asks over the control socket, as commands do; gives when it was answered, and every line of that.
    pub async fn ask(&self, verb: Verb) -> (Instant, Vec<Value>) {
        let mut stream = UnixStream::connect(self.folder.join("control.sock")).await.unwrap();
        let request = serde_json::to_string(&Request { version: VERSION, verb }).unwrap() + "\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut lines, mut answer) = (tokio::io::BufReader::new(stream).lines(), Vec::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            answer.push(serde_json::from_str(&line).unwrap());
        }
        (Instant::now(), answer)
    }

    pub async fn kick(&self, selector: Selector) -> Instant {
        let (at, answer) = self.ask(Verb::Kick(Kick { selector, all: false, dry_run: false, code: None, reason: None })).await;
        assert!(answer.last().unwrap().pointer("/done/connections").unwrap().as_u64() > Some(0), "{answer:?}");
        at
    }

    /// The connections' ids by the paths they asked for.
    pub async fn ids(&self) -> HashMap<String, String> {
        let (_, answer) = self.ask(Verb::Ps(Selector::default())).await;
        let text = |item: &Value, key: &str| item.get(key).unwrap().as_str().unwrap().to_owned();
        answer.iter().filter_map(|line| line.get("item")).map(|item| (text(item, "path"), text(item, "id"))).collect()
    }

    /// What the kernel says is resident of it, in MiB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// The next line of an edit, which has to be of this event.
    pub async fn line(&self, event: &str) -> String {
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
    let frame = "[gateway]\ncontrol = \"control.sock\"\nmax_connections = \"off\"\nroute = { ping = \"off\" }\n[listener.bench]\naddress = \"127.0.0.1:0\"\n";
    format!("{frame}{config}[log.bench]\nconsole = \"stderr\"\nformat = \"json\"\n")
}

/// Sends a message, and gives the answer.
pub async fn ask(socket: &mut Socket) -> String {
    socket.send(Message::text("x")).await.unwrap();
    socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

/// When a client has its Close frame.
pub async fn close(socket: &mut Socket) -> Instant {
    while !matches!(socket.next().await, Some(Ok(Message::Close(_)))) {}
    Instant::now()
}
