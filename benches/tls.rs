//! What TLS costs: CPU of the gateway for a handshake and for an echoed message, and memory for an idle connection, beside the same
//! without TLS. `cargo bench --bench tls [-- ROUNDS]`; Linux, loopback only.
//!
//! The gateway is a process of its own with one thread and an echo behind it, so that its CPU is the kernel's count of its threads. A
//! handshake is all from accept to 101; whatever the client does is not counted.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, crypto::aws_lc_rs};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Handshakes of one round.
const HANDSHAKES: usize = 400;
/// Connections that echo at the same time.
const BUSY: usize = 32;
/// Messages of one round, over all connections.
const MESSAGES: usize = 12_800;
/// Connections that do nothing.
const IDLE: usize = 2_000;

/// What the gateway runs on.
const CONFIG: &str = r#"
[gateway]
threads = 1
[listener.plain]
address = "127.0.0.1:0"
[listener.p256]
address = "127.0.0.1:0"
tls = { cert = "p256.pem", key = "p256.key" }
[listener.rsa]
address = "127.0.0.1:0"
tls = { cert = "rsa.pem", key = "rsa.key" }
[route.bench]
listener = ["plain", "p256", "rsa"]
endpoint = "echo"
[log.addresses]
file = "addresses.log"
format = "json"
level = "info"
"#;

/// A stream of either kind.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Io for S {}

type Stream = Box<dyn Io>;

/// How a client comes.
struct Way {
    name: &'static str,
    listener: &'static str,
    tls: Option<Arc<ClientConfig>>,
    /// Whether it comes back with a session.
    resumes: bool,
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(11);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let gateway = Gateway::start();
    let classical = aws_lc_rs::kx_group::X25519;
    let way = |name, listener, tls, resumes| Way { name, listener, tls, resumes };
    let ways = [
        way("plain", "plain", None, false),
        way("TLS 1.3, P-256, X25519MLKEM768", "p256", Some(gateway.client(None, false)), false),
        way("TLS 1.3, P-256, X25519", "p256", Some(gateway.client(Some(classical), false)), false),
        way("TLS 1.3, RSA-2048, X25519MLKEM768", "rsa", Some(gateway.client(None, false)), false),
        way("TLS 1.3, resumed, X25519MLKEM768", "p256", Some(gateway.client(None, true)), true),
        way("TLS 1.3, resumed, X25519", "p256", Some(gateway.client(Some(classical), true)), true),
    ];
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        for (way, costs) in ways.iter().zip(&mut costs) {
            let before = gateway.cpu();
            for _ in 0..HANDSHAKES {
                drop(gateway.connect(way, round > 0).await);
            }
            // The first round warms caches, and begins sessions.
            if round > 0 {
                costs.push((gateway.cpu() - before) / HANDSHAKES as f64);
            }
        }
    }
    println!("handshakes, one after the other, {rounds} rounds of {HANDSHAKES}, interleaved: CPU of the gateway each");
    for (way, costs) in ways.iter().zip(costs) {
        println!("{:<36} {:>32} µs", way.name, quartiles(costs));
    }
    println!("\nechoed messages, {BUSY} connections, one outstanding each, {rounds} rounds of {MESSAGES}: CPU of the gateway each");
    for length in [32, 1 << 10, 16 << 10, 64 << 10] {
        for way in &ways[..2] {
            let mut busy = Vec::new();
            for _ in 0..BUSY {
                busy.push(gateway.connect(way, false).await);
            }
            let mut costs = Vec::new();
            for _ in 0..rounds {
                let before = gateway.cpu();
                echo(&mut busy, length).await;
                costs.push((gateway.cpu() - before) / MESSAGES as f64);
            }
            println!("{length:>6} B, {:<30} {:>30} µs", way.name, quartiles(costs));
        }
    }
    println!();
    for way in &ways[..2] {
        let gateway = Gateway::start();
        // What a first connection brings along for all.
        let way = Way { tls: way.tls.as_ref().map(|_| gateway.client(None, false)), ..*way };
        drop(gateway.connect(&way, false).await);
        let (empty, mut idle) = (gateway.pss(), Vec::new());
        for _ in 0..IDLE {
            idle.push(gateway.connect(&way, false).await);
        }
        let each = (gateway.pss() - empty) as f64 / IDLE as f64;
        println!("{}: PSS with {IDLE} idle connections, {each:.2} KiB each", way.name);
    }
}

/// Every connection sends a message and waits for its echo, again and again.
async fn echo(streams: &mut [Stream], length: usize) {
    let each = MESSAGES / streams.len();
    let loops = streams.iter_mut().map(|stream| async move {
        let mut frame = head(0x82, 0x80, length);
        frame.extend_from_slice(&[0; 4]);
        frame.resize(frame.len() + length, b'x');
        let mut answer = vec![0; head(0x82, 0, length).len() + length];
        for _ in 0..each {
            stream.write_all(&frame).await.unwrap();
            stream.flush().await.unwrap();
            stream.read_exact(&mut answer).await.unwrap();
        }
    });
    futures_util::future::join_all(loops).await;
}

/// The head of a frame, up to its mask.
fn head(first: u8, mask: u8, length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => vec![first, mask | short],
        (_, Ok(length)) => [&[first, mask | 126][..], &length.to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// The gateway, and what its clients trust.
struct Gateway {
    child: Child,
    folder: tempfile::TempDir,
    addresses: HashMap<String, SocketAddr>,
}

impl Gateway {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "p256", &KeyPair::generate().unwrap());
        write(&folder, "rsa", &KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
        let config = folder.path().join("gateway.toml");
        fs::write(&config, CONFIG).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wsgate")).arg("run").arg("--config").arg(&config).spawn().unwrap();
        let log = folder.path().join("addresses.log");
        let addresses = loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let events: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            if events.iter().any(|event| event["event"] == "started") {
                let listening = events.iter().filter(|event| event["event"] == "listening");
                break listening
                    .map(|event| (event["listener"].as_str().unwrap().to_owned(), event["address"].as_str().unwrap().parse().unwrap()))
                    .collect();
            }
            std::thread::yield_now();
        };
        Self { child, folder, addresses }
    }

    /// A client that trusts it, by this key exchange alone where one is given.
    fn client(&self, group: Option<&'static dyn rustls::crypto::SupportedKxGroup>, resumes: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for name in ["p256.pem", "rsa.pem"] {
            roots.add(CertificateDer::from_pem_file(self.folder.path().join(name)).unwrap()).unwrap();
        }
        let all = aws_lc_rs::default_provider();
        let provider = CryptoProvider { kx_groups: group.map_or_else(|| all.kx_groups.clone(), |group| vec![group]), ..all };
        let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = if resumes { Resumption::in_memory_sessions(16) } else { Resumption::disabled() };
        config.into()
    }

    /// A connection, upgraded; `is_warm` where a way that resumes has to have.
    async fn connect(&self, way: &Way, is_warm: bool) -> Stream {
        let tcp = TcpStream::connect(self.addresses[way.listener]).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut stream: Stream = match &way.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                let stream = TlsConnector::from(config.clone()).connect(name, tcp).await.unwrap();
                let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                assert!(resumed == way.resumes || !is_warm, "{}", way.name);
                Box::new(stream)
            }
        };
        let request = "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream
    }

    /// CPU of all its threads so far, in µs.
    fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.map(|task| {
            let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap()
        });
        nanos.sum::<f64>() / 1000.0
    }

    /// Its proportional set size, in KiB.
    fn pss(&self) -> i64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A certificate for localhost, of its own making.
fn write(folder: &tempfile::TempDir, name: &str, key: &KeyPair) {
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = params.self_signed(key).unwrap();
    fs::write(folder.path().join(name).with_extension("pem"), cert.pem()).unwrap();
    fs::write(folder.path().join(name).with_extension("key"), key.serialize_pem()).unwrap();
}

fn quartiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    format!("{:.2} ({:.2} … {:.2})", at(2), at(1), at(3))
}
