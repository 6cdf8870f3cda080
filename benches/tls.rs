//! What TLS costs: CPU of the gateway for a handshake and for a relayed message, and memory for an idle connection, beside the same
//! without TLS. `cargo bench --bench tls [-- ROUNDS]`; Linux, loopback only.
//!
//! The gateway is a process of its own with one thread, so that its CPU is the kernel's count of its threads. A handshake is all from
//! accept to 101, with nobody to ask behind it; a message goes through to a second gateway, which echoes it, and back. What the client
//! and the second gateway do is not counted.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

mod support;

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

use support::figures::{cpu, quartiles};

/// Handshakes of one round.
const HANDSHAKES: usize = 400;
/// Connections that echo at the same time.
const BUSY: usize = 32;
/// Messages of one round, over all connections.
const MESSAGES: usize = 12_800;
/// Connections that do nothing.
const IDLE: usize = 2_000;

/// What both gateways run on.
const CONFIG: &str = r#"
[gateway]
threads = 1
[gateway.route]
listener = ["plain", "p256", "rsa"]
[listener.plain]
address = "127.0.0.1:0"
[listener.p256]
address = "127.0.0.1:0"
tls = { cert = "p256.pem", key = "p256.key" }
[listener.rsa]
address = "127.0.0.1:0"
tls = { cert = "rsa.pem", key = "rsa.key" }
[route.echo]
endpoint = "echo"
[log.addresses]
file = "addresses.log"
format = "json"
level = "info"
"#;

/// What the one has besides that stands before this other one.
fn before(echo: &Gateway) -> String {
    let (plain, p256, ca) = (echo.addresses["plain"], echo.addresses["p256"], echo.folder.path().join("p256.pem"));
    format!(
        r#"
[route.plain]
path = "/plain"
endpoint = "ws://{plain}"
[route.tls]
path = "/tls"
endpoint = "upstream.tls"
[upstream.tls]
servers = "wss://{p256}"
tls = {{ ca = {ca:?}, server_name = "localhost" }}
"#
    )
}

/// A stream of either kind.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Io for S {}

type Stream = Box<dyn Io>;

/// How a client comes, and where it goes.
struct Way {
    name: &'static str,
    listener: &'static str,
    tls: Option<Arc<ClientConfig>>,
    /// Whether it comes back with a session.
    resumes: bool,
    path: &'static str,
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(11);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let began = Busy::so_far(&[]);
    let echo = Gateway::start("");
    let gateway = Gateway::start(&before(&echo));
    handshakes(&gateway, rounds).await;
    messages(&gateway, rounds).await;
    let elsewhere = Busy::so_far(&[&gateway, &echo]).elsewhere_since(&began);
    idle(&echo).await;
    println!("\nof all cores' time, {:.0} % went to other work while CPU was measured", elsewhere * 100.0);
}

async fn handshakes(gateway: &Gateway, rounds: usize) {
    let classical = Some(aws_lc_rs::kx_group::X25519);
    let tls = |name, listener, group, resumes| Way { name, listener, tls: Some(gateway.client(group, resumes)), resumes, path: "/" };
    let ways = [
        Way { name: "plain", listener: "plain", tls: None, resumes: false, path: "/" },
        tls("TLS 1.3, P-256, X25519MLKEM768", "p256", None, false),
        tls("TLS 1.3, P-256, X25519", "p256", classical, false),
        tls("TLS 1.3, RSA-2048, X25519MLKEM768", "rsa", None, false),
        tls("TLS 1.3, resumed, X25519MLKEM768", "p256", None, true),
        tls("TLS 1.3, resumed, X25519", "p256", classical, true),
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
}

/// With TLS on either side, on both and on none.
fn relayed(gateway: &Gateway) -> [Way; 4] {
    let tls = Some(gateway.client(None, false));
    let way = |name, listener, tls, path| Way { name, listener, tls, resumes: false, path };
    [
        way("plain", "plain", None, "/plain"),
        way("TLS to the client", "p256", tls.clone(), "/plain"),
        way("TLS to the server", "plain", None, "/tls"),
        way("TLS to both", "p256", tls, "/tls"),
    ]
}

async fn messages(gateway: &Gateway, rounds: usize) {
    println!("\nmessages to an echo and back, {BUSY} connections, one outstanding each, {rounds} rounds of {MESSAGES}, interleaved:");
    println!("CPU of the gateway for both ways of one");
    let ways = relayed(gateway);
    for length in [32, 1 << 10, 16 << 10, 64 << 10] {
        let mut busy = Vec::new();
        for way in &ways {
            let mut streams = Vec::new();
            for _ in 0..BUSY {
                streams.push(gateway.connect(way, false).await);
            }
            busy.push((streams, Vec::new()));
        }
        for _ in 0..rounds {
            for (streams, costs) in &mut busy {
                let before = gateway.cpu();
                echo(streams, length).await;
                costs.push((gateway.cpu() - before) / MESSAGES as f64);
            }
        }
        for (way, (_, costs)) in ways.iter().zip(busy) {
            println!("{length:>6} B, {:<30} {:>30} µs", way.name, quartiles(costs));
        }
    }
}

async fn idle(echo: &Gateway) {
    println!();
    for index in 0..relayed(echo).len() {
        let gateway = Gateway::start(&before(echo));
        let way = &relayed(&gateway)[index];
        // What a first connection brings along for all.
        drop(gateway.connect(way, false).await);
        let (empty, mut idle) = (gateway.pss(), Vec::new());
        for _ in 0..IDLE {
            idle.push(gateway.connect(way, false).await);
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

/// Time of all cores, in µs.
struct Busy {
    all: f64,
    total: f64,
    own: f64,
}

impl Busy {
    /// Up to now; what this program and these have used is its own.
    fn so_far(gateways: &[&Gateway]) -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap();
        let fields: Vec<f64> = text.lines().next().unwrap().split_whitespace().skip(1).map(|field| field.parse().unwrap()).collect();
        // A tick is 10 ms; the fourth and the fifth field are idle, and those behind the eighth are part of others.
        let total = fields[..8].iter().sum::<f64>() * 10_000.0;
        let all = total - (fields[3] + fields[4]) * 10_000.0;
        let own = cpu(std::process::id()) + gateways.iter().map(|gateway| gateway.cpu()).sum::<f64>();
        Self { all, total, own }
    }

    /// The part of all that there was since then, and that went to something else.
    fn elsewhere_since(&self, before: &Self) -> f64 {
        (self.all - before.all - (self.own - before.own)) / (self.total - before.total)
    }
}

/// The gateway, and what its clients trust.
struct Gateway {
    child: Child,
    folder: tempfile::TempDir,
    addresses: HashMap<String, SocketAddr>,
}

impl Gateway {
    /// Runs one with these tables more.
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "p256", &KeyPair::generate().unwrap());
        write(&folder, "rsa", &KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
        let config = folder.path().join("gateway.toml");
        fs::write(&config, format!("{CONFIG}{more}")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsgate")).arg("run").arg("--config").arg(&config).spawn().unwrap();
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
            assert!(child.try_wait().unwrap().is_none(), "the gateway has ended");
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
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            way.path
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", way.name);
        stream
    }

    fn cpu(&self) -> f64 {
        cpu(self.child.id())
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
