//! A service that is asked over HTTP, and says what the test has it say: an identity provider, or one that decides.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::in_time;

/// What is said to whoever asks.
#[derive(Clone)]
pub enum Says {
    /// These bytes, and the connection stays.
    Bytes(Vec<u8>),
    /// These, and no more: the connection is closed.
    AndEnds(Vec<u8>),
    /// These once, and then those over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, and the connection stays.
    Nothing,
    /// What this makes of how often it was asked, whatever for.
    Numbered(fn(usize) -> Self),
}

impl Says {
    /// An answer with this status, these header lines and this body.
    pub fn answer(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let mut bytes = format!("HTTP/1.1 {status} X\r\n{lines}content-length: {}\r\n\r\n", body.as_ref().len()).into_bytes();
        bytes.extend_from_slice(body.as_ref());
        Self::Bytes(bytes)
    }

    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::answer(200, &[], body)
    }

    pub fn redirect(to: &str) -> Self {
        Self::answer(302, &[&format!("location: {to}")], "")
    }
}

/// What the service was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which of its connections it came on, from 0.
    pub connection: usize,
    pub target: String,
    /// The head, in lower case but for values.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Script {
    says: HashMap<String, Says>,
    asked: Vec<Asked>,
}

/// The service; it ends with this.
pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Provider {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same over TLS.
    pub async fn start_tls(config: ServerConfig) -> Self {
        Self::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), tls).await
    }

    /// At this address, where another was before.
    pub async fn start_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::default();
        let (counter, count) = watch::channel(0);
        let (counter, shared) = (Arc::new(counter), script.clone());
        let task = tokio::spawn(async move {
            // The connections end with the service.
            let mut all = tokio::task::JoinSet::new();
            for connection in 0.. {
                let Ok((socket, _)) = listener.accept().await else { return };
                let (script, counter, tls) = (shared.clone(), counter.clone(), tls.clone());
                all.spawn(async move {
                    match tls {
                        None => serve(socket, connection, &script, &counter).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, connection, &script, &counter).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, script, count, task }
    }

    /// Has it say this from now on to whoever asks for this target.
    pub fn says(&self, target: &str, says: Says) {
        self.script.lock().unwrap().says.insert(target.to_owned(), says);
    }

    /// All it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// How often it was asked for this target.
    pub fn count(&self, target: &str) -> usize {
        self.asked().iter().filter(|asked| asked.target == target).count()
    }

    /// Waits until it has been asked for this target so often.
    pub async fn is_asked(&self, target: &str, times: usize) {
        let mut count = self.count.clone();
        let asked = async {
            while self.count(target) < times {
                count.changed().await.unwrap();
            }
        };
        in_time(asked).await;
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Ends it: nobody listens there any more.
    pub async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        _ = (&mut self.task).await;
        self.address
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, connection: usize, script: &Mutex<Script>, count: &watch::Sender<usize>) {
    while let Some(asked) = read(&mut socket, connection).await {
        let says = {
            let mut script = script.lock().unwrap();
            let says = script.says.get(&asked.target).cloned().unwrap_or_else(|| Says::answer(404, &[], "nothing here"));
            script.asked.push(asked);
            if let Says::Numbered(says) = says { says(script.asked.len()) } else { says }
        };
        count.send_modify(|count| *count += 1);
        match says {
            Says::Bytes(bytes) if socket.write_all(&bytes).await.is_ok() => {}
            Says::Bytes(_) => return,
            Says::AndEnds(bytes) => {
                _ = socket.write_all(&bytes).await;
                _ = socket.shutdown().await;
                return;
            }
            Says::Endless(head, more) => {
                let mut sent = socket.write_all(&head).await;
                while sent.is_ok() {
                    sent = socket.write_all(&more).await;
                }
                return;
            }
            Says::Nothing | Says::Numbered(_) => drop(socket.read(&mut [0; 1]).await),
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin), connection: usize) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Asked { connection, target, headers })
}
