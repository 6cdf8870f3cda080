//! What a proxied connection costs: CPU for an echoed message and memory for an idle connection, beside direct traffic and a plain
//! byte relay measured in the same run. `cargo bench --bench proxied [-- ROUNDS]`; Linux, loopback only.
//!
//! The gateway runs with one thread and a firewall; backend, byte relay and gateway are processes of their own, so that each one's
//! CPU is the kernel's count of its threads.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Connections that echo at the same time.
const BUSY: usize = 64;
/// Messages of one round, over all connections.
const MESSAGES: usize = 64_000;
/// Connections that do nothing.
const IDLE: usize = 2_000;
/// Payload of a message in bytes: short enough for a head without an extended length.
const LENGTH: u8 = 32;
/// The same, as lengths are counted.
const PAYLOAD: usize = LENGTH as usize;
/// A client's frame: head, mask, payload. The mask is zero, so the backend need not unmask.
const FRAME: usize = 6 + PAYLOAD;
/// A backend's frame.
const ANSWER: usize = 2 + PAYLOAD;

/// What the gateway runs on.
const CONFIG: &str = r#"
[gateway]
threads = 1
[listener.bench]
address = "127.0.0.1:0"
[firewall.local]
allow = ["127.0.0.0/8"]
[route.bench]
pipeline = ["firewall.local"]
endpoint = "BACKEND"
[log.bench]
file = "bench.log"
format = "json"
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("backend") => on_one_thread(backend()),
        Some("relay") => on_one_thread(relay(arguments[2].parse().unwrap())),
        rounds => on_one_thread(measure(rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(15))),
    }
}

fn on_one_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

async fn measure(rounds: usize) {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let me = std::env::current_exe().unwrap();
    let backend = Peer::start(Command::new(&me).arg("backend"), Stdio::piped());
    let relay = Peer::start(Command::new(&me).args(["relay", &backend.address.to_string()]), Stdio::piped());
    let gateway = Peer::gateway(backend.address);
    let routes = [("direct", None, backend.address), ("relay", Some(&relay), relay.address), ("wsgate", Some(&gateway), gateway.address)];

    let mut busy = Vec::new();
    for (name, peer, address) in &routes {
        busy.push((*name, *peer, connect(*address, BUSY).await));
    }
    let mut costs: Vec<Vec<(f64, f64)>> = vec![Vec::new(); routes.len()];
    for _ in 0..rounds {
        for (at, (_, peer, sockets)) in busy.iter_mut().enumerate() {
            let all = [Some(&backend), *peer].into_iter().flatten();
            let before = (all.clone().map(Peer::cpu).sum::<f64>() + own_cpu(), peer.map_or(0.0, Peer::cpu));
            echo(sockets).await;
            let after = (all.map(Peer::cpu).sum::<f64>() + own_cpu(), peer.map_or(0.0, Peer::cpu));
            costs[at].push(((after.0 - before.0) / MESSAGES as f64, (after.1 - before.1) / MESSAGES as f64));
        }
    }
    println!("{PAYLOAD}-byte messages, {BUSY} connections, one outstanding each, {rounds} rounds of {MESSAGES}, interleaved");
    println!("{:<8} {:>26} {:>26}", "", "CPU/message, all ends", "of it, the one between");
    for (at, (name, ..)) in routes.iter().enumerate() {
        let (all, own): (Vec<f64>, Vec<f64>) = costs[at].iter().copied().unzip();
        println!("{name:<8} {:>23.2} µs {:>23.2} µs", median(all), median(own));
    }
    for (name, over) in
        [("all ends: wsgate ÷ direct", (2, 0, 0)), ("all ends: wsgate ÷ relay", (2, 1, 0)), ("between: wsgate ÷ relay", (2, 1, 1))]
    {
        let part = |cost: &(f64, f64)| if over.2 == 0 { cost.0 } else { cost.1 };
        let ratios: Vec<f64> = costs[over.0].iter().zip(&costs[over.1]).map(|(a, b)| part(a) / part(b)).collect();
        println!("{name:<28} {}", quartiles(ratios));
    }
    drop(busy);
    for (name, peer) in [
        ("relay", Peer::start(Command::new(&me).args(["relay", &backend.address.to_string()]), Stdio::piped())),
        ("wsgate", Peer::gateway(backend.address)),
    ] {
        let empty = peer.pss();
        let idle = connect(peer.address, IDLE).await;
        let full = peer.pss();
        println!(
            "{name}: PSS empty {empty} KiB, with {IDLE} idle connections {full} KiB: {:.2} KiB each",
            (full - empty) as f64 / IDLE as f64
        );
        drop(idle);
    }
}

/// Every connection sends a message and waits for its echo, again and again.
async fn echo(sockets: &mut [TcpStream]) {
    let each = MESSAGES / sockets.len();
    let loops = sockets.iter_mut().map(|socket| async move {
        let frame = frame();
        let mut answer = [0; ANSWER];
        for _ in 0..each {
            socket.write_all(&frame).await.unwrap();
            socket.read_exact(&mut answer).await.unwrap();
        }
    });
    futures_util::future::join_all(loops).await;
}

fn frame() -> [u8; FRAME] {
    let mut frame = [b'x'; FRAME];
    frame[0] = 0x82;
    frame[1] = 0x80 | LENGTH;
    frame[2..6].fill(0);
    frame
}

async fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let request = "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        read_head(&mut socket).await;
        sockets.push(socket);
    }
    sockets
}

async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A process between or behind.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    /// Starts it; the first line it writes names its address.
    fn start(command: &mut Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }

    fn gateway(backend: SocketAddr) -> Self {
        let folder = std::env::temp_dir().join(format!("wsgate-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("gateway.toml");
        // The log goes to a file; its first lines name the address.
        let log = folder.join("bench.log");
        _ = fs::remove_file(&log);
        fs::write(&config, CONFIG.replace("BACKEND", &format!("ws://{backend}"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wsgate")).arg("run").arg("--config").arg(&config).spawn().unwrap();
        let address = loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let listening = text
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .find(|event| event["event"] == "listening");
            if let Some(event) = listening {
                break event["address"].as_str().unwrap().parse().unwrap();
            }
            std::thread::yield_now();
        };
        Self { child, address }
    }

    /// CPU of all its threads so far, in µs.
    fn cpu(&self) -> f64 {
        cpu_of(&self.child.id().to_string())
    }

    /// Its proportional set size, in KiB.
    fn pss(&self) -> i64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn own_cpu() -> f64 {
    cpu_of("self")
}

fn cpu_of(process: &str) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = tasks.map(|task| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanos.sum::<f64>() / 1000.0
}

/// Echoes every frame of the one size this bench sends.
async fn backend() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    while let Ok((mut socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut byte = Vec::new();
            while !byte.ends_with(b"\r\n\r\n") {
                let Ok(next) = socket.read_u8().await else { return };
                byte.push(next);
            }
            let head = String::from_utf8(byte).unwrap();
            let key = head
                .lines()
                .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")))
                .unwrap()
                .1;
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
            let mut frame = [0; FRAME];
            let mut answer = [0; ANSWER];
            answer[0] = 0x82;
            answer[1] = LENGTH;
            while socket.read_exact(&mut frame).await.is_ok() {
                answer[2..].copy_from_slice(&frame[6..]);
                if socket.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Copies bytes both ways and looks at none: the limit of what a gateway of this design can reach.
async fn relay(backend: SocketAddr) {
    use std::io::{Read, Write};
    use std::task::Poll;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    while let Ok((client, _)) = listener.accept().await {
        client.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let upstream = TcpStream::connect(backend).await.unwrap();
            upstream.set_nodelay(true).unwrap();
            std::future::poll_fn(move |cx| {
                thread_local!(static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; 64 << 10]));
                BUFFER.with_borrow_mut(|buffer| {
                    for (from, to) in [(&client, &upstream), (&upstream, &client)] {
                        while from.poll_read_ready(cx).is_ready() {
                            match from.try_io(tokio::io::Interest::READABLE, || (&*socket2::SockRef::from(from)).read(buffer)) {
                                Ok(0) => return Poll::Ready(()),
                                Ok(count) => {
                                    // Messages of this bench always fit into the socket's buffer.
                                    if (&*socket2::SockRef::from(to)).write_all(&buffer[..count]).is_err() {
                                        return Poll::Ready(());
                                    }
                                }
                                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                                Err(_) => return Poll::Ready(()),
                            }
                        }
                    }
                    Poll::Pending
                })
            })
            .await;
        });
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn quartiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    format!("{:.2} ({:.2} … {:.2})", at(2), at(1), at(3))
}
