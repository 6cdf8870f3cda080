//! What a scrape costs: time at the client and CPU of the gateway, with 1,000 routes whose series are all alive.
//! `cargo bench --bench metrics [-- ROUNDS]`; Linux, loopback only.
//!
//! Each route has an open connection, and has had one that was closed and one that was refused by a stage.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many routes the gateway has.
const ROUTES: usize = 1000;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
    let folder = std::env::temp_dir().join(format!("wsgate-bench-metrics-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for routes in [1, ROUTES] {
        let gateway = Gateway::start(&folder, routes);
        let open: Vec<TcpStream> = (0..routes).map(|route| gateway.use_route(route)).collect();
        for (name, accept) in [("OpenMetrics", "application/openmetrics-text"), ("plain text", "text/plain")] {
            let (page, _) = gateway.scrape(accept);
            let before = gateway.cpu();
            let mut times: Vec<Duration> = (0..rounds).map(|_| gateway.scrape(accept).1).collect();
            let cpu = (gateway.cpu() - before) / f64::from(rounds);
            times.sort_unstable();
            let series = page.lines().filter(|line| !line.starts_with('#')).count();
            println!(
                "{routes:>4} routes, {name:<11}: {series:>6} series, {:>5} KiB, median {:>7.2} ms, slowest {:>7.2} ms, CPU {:>7.2} ms",
                page.len() >> 10,
                milliseconds(times[times.len() / 2]),
                milliseconds(times[times.len() - 1]),
                cpu
            );
        }
        drop(open);
    }
    fs::remove_dir_all(folder).unwrap();
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

struct Gateway {
    child: Child,
    public: SocketAddr,
    metrics: SocketAddr,
}

impl Gateway {
    fn start(folder: &std::path::Path, routes: usize) -> Self {
        let mut config = "[listener.public]\naddress = \"127.0.0.1:0\"\n[metrics.local]\naddress = \"127.0.0.1:0\"\n\
                          [origin.pages]\nallow = [\"https://example.com\"]\n[log.bench]\nconsole = \"stderr\"\nformat = \"json\"\n"
            .to_owned();
        for route in 0..routes {
            writeln!(config, "[route.customer-{route}]\npath = \"/{route}\"\npipeline = [\"origin.pages\"]\nendpoint = \"echo\"").unwrap();
        }
        let path = folder.join("gateway.toml");
        fs::write(&path, config).unwrap();
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_wsgate")).arg("run").arg("--config").arg(&path).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = |of: &str| -> SocketAddr {
            let mut events = lines.by_ref().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
            events.find(|event| event["event"] == "listening" && event[of].is_string()).unwrap()["address"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        };
        let (public, metrics) = (address("listener"), address("metrics"));
        // What it logs is read away, so that it never has to wait.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, public, metrics }
    }

    /// One connection is refused, one opened and closed, and one left open with a message passed.
    fn use_route(&self, route: usize) -> TcpStream {
        let refused = self.connect(route, "Origin: https://evil.example\r\n");
        assert!(refused.0.starts_with("HTTP/1.1 403 "), "{}", refused.0);
        drop(self.connect(route, ""));
        let (head, mut open) = self.connect(route, "");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        open.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).unwrap();
        open.read_exact(&mut [0; 3]).unwrap();
        open
    }

    fn connect(&self, route: usize, more: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(self.public).unwrap();
        let request = format!(
            "GET /{route} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    /// The page, and how long it took from the connect to its last byte.
    fn scrape(&self, accept: &str) -> (String, Duration) {
        let began = Instant::now();
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream
            .write_all(format!("GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let took = began.elapsed();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        (page.to_owned(), took)
    }

    /// CPU of the process so far, in ms.
    fn cpu(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = threads.map(|thread| {
            let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
            stat.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default()
        });
        nanoseconds.sum::<f64>() / 1e6
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
