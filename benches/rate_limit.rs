//! What limits cost: each message of a key, a key that is new and one that is known, a connection that takes another's place; and
//! the memory of a million keys, which comes back. `cargo bench --bench rate_limit`; Linux only.
//!
//! Times are the processor's, of the thread that did the work (`schedstat`), so that what else the machine does is not counted.
//! Memory is what the kernel says is resident (`VmRSS`), allocator and all: what an operator's graph shows. Keys come on two threads,
//! as workers bring them, and the tidying up runs on a third, as in the gateway.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use wsgate::config::document::Document;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;
use wsgate::stage::holders::{Holder, Slot};
use wsgate::stage::pipeline::{Findings, Resume};
use wsgate::stage::{Client, FrameHead, Inspector, Opcode, Peer, Pipeline, Refusal, Side, sample};

const ROUNDS: usize = 7;
const MESSAGES: u32 = 2_000_000;
const KEYS: u32 = 1_000_000;
const CONNECTIONS: u32 = 100_000;

/// Set where this process is to tell the memory of connections under this limit and nothing else: what one has freed another would
/// be given.
const ASKED: &str = "WSGATE_BENCH_LIMIT";

fn main() {
    if let Ok(limit) = std::env::var(ASKED) {
        return println!("{}", memory(&limit));
    }
    messages();
    keys();
    connections();
    newcomers();
}

/// A pipeline of one limit by this key, or of nothing.
fn pipeline(limit: &str) -> Pipeline {
    let (table, stages) = if limit.is_empty() { (String::new(), "") } else { (format!("[rate_limit.x]\n{limit}\n"), "\"rate_limit.x\"") };
    let text = format!("{table}[listener.l]\naddress = \"127.0.0.1:0\"\npipeline = [{stages}]\n[route.r]\nendpoint = \"echo\"\n");
    let (gateway, faults) = Gateway::compile(&Document::parse("bench.toml", text, "."), &Catalog::default(), &Cells::default());
    gateway.unwrap_or_else(|| panic!("{faults:?}")).listeners.values().next().unwrap().pipeline.clone()
}

/// What a limit adds to a message of 32 bytes that passes it, for one connection and for two of a key on two threads.
fn messages() {
    let (messages, frames) =
        ("messages = { rate = \"1000000/s\", burst = 4000000000 }", "frames = { rate = \"1000000/s\", burst = 4000000000 }");
    let bytes = "bytes = \"1024GiB/s\"";
    for (name, limits) in [
        ("messages", messages.to_owned()),
        ("bytes", bytes.to_owned()),
        ("messages, delayed", format!("{messages}\non_excess = \"delay\"")),
        ("messages, bytes and frames", format!("{messages}\n{bytes}\n{frames}")),
    ] {
        let pipeline = pipeline(&format!("key = [\"ip\", \"route\"]\n{limits}"));
        let mut client = client(1);
        admit(&pipeline, &mut client);
        let alone = median((0..ROUNDS).map(|_| charge(&mut pipeline.inspect(&client, &mut Vec::new()))));
        let together = median((0..ROUNDS).map(|_| {
            let mut inspectors = [pipeline.inspect(&client, &mut Vec::new()), pipeline.inspect(&client, &mut Vec::new())];
            let costs: Vec<f64> = thread::scope(|scope| {
                let threads: Vec<_> = inspectors.iter_mut().map(|each| scope.spawn(|| charge(each))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            costs.iter().sum::<f64>() / 2.0
        }));
        println!("{name}: {alone:.0} ns a message, {together:.0} ns where two threads share the key (medians of {ROUNDS})");
    }
}

/// Nanoseconds for a message.
fn charge(inspectors: &mut [Inspector]) -> f64 {
    let head =
        FrameHead { opcode: Opcode::Text, is_final: true, is_compressed: false, starts_message: true, length: 32, message_length: 32 };
    let began = spent();
    for _ in 0..MESSAGES {
        for inspector in &mut *inspectors {
            assert!(black_box(inspector.begin(Side::Client, black_box(&head))).is_ok());
        }
    }
    nanos(began, MESSAGES)
}

/// A million keys that come once, come again, and are forgotten.
fn keys() {
    let pipeline = pipeline("key = \"ip\"\nconnect = \"1000000/s\"");
    for pass in 1..=2 {
        let before = resident();
        let new = on_two_threads(&pipeline, KEYS);
        let full = resident();
        let known = on_two_threads(&pipeline, KEYS);
        let stage = pipeline.steps().next().unwrap().stage.clone();
        let tidied = thread::spawn(move || {
            let began = spent();
            stage.tidy();
            nanos(began, 1_000_000)
        });
        let (tidied, after) = (tidied.join().unwrap(), resident());
        println!(
            "{KEYS} keys, pass {pass}: {new:.0} ns for one that is new, {known:.0} ns for one that is known, by two threads at a time; \
             {:.0} bytes a key; resident {} MiB before, {} MiB full, {} MiB after {tidied:.0} ms of tidying",
            per(full.saturating_sub(before), KEYS),
            before >> 20,
            full >> 20,
            after >> 20,
        );
    }
}

/// Nanoseconds for the verdict on an address, half of the keys on each of two threads.
fn on_two_threads(pipeline: &Pipeline, keys: u32) -> f64 {
    let costs: Vec<f64> = thread::scope(|scope| {
        let half = |from: u32| {
            let pipeline = pipeline.clone();
            move || {
                let (mut peer, mut findings) = (peer(0), Findings::default());
                let began = spent();
                for key in (from..keys).step_by(2) {
                    peer.ip = address(key);
                    assert!(black_box(pipeline.connect(black_box(&peer), &mut findings)).is_ok());
                }
                nanos(began, keys / 2)
            }
        };
        let threads = [scope.spawn(half(0)), scope.spawn(half(1))];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    costs.iter().sum::<f64>() / 2.0
}

/// What a limit adds to the memory of each connection, where each is a key of its own.
fn connections() {
    let asked = |limit: &str| {
        let told = Command::new(std::env::current_exe().unwrap()).env(ASKED, limit).output().unwrap().stdout;
        String::from_utf8(told).unwrap().trim().parse::<f64>().unwrap()
    };
    let without = asked("");
    for (name, limit) in [
        ("messages", "key = \"ip\"\nmessages = \"10/s\""),
        ("concurrent", "key = \"ip\"\nconcurrent = 1"),
        ("messages and concurrent", "key = \"ip\"\nmessages = \"10/s\"\nconcurrent = { max = 1, on_excess = \"close_oldest\" }"),
    ] {
        println!("{name}: {:.0} bytes a connection with a key of its own", asked(limit) - without);
    }
}

/// Bytes for a connection under this limit, and for the facts of it that are there anyway.
fn memory(limit: &str) -> f64 {
    let pipeline = pipeline(limit);
    let mut live = Vec::with_capacity(CONNECTIONS as usize);
    let before = resident();
    for number in 0..CONNECTIONS {
        let mut client = client(number);
        let held = admit(&pipeline, &mut client);
        let inspectors = pipeline.inspect(&client, &mut Vec::new());
        live.push((client, held, inspectors));
    }
    per(resident() - before, CONNECTIONS)
}

/// What it costs to let a newcomer in and tell the oldest, by how many there are of the key.
fn newcomers() {
    for live in [1, 1_000, CONNECTIONS] {
        let pipeline = pipeline(&format!("key = \"route\"\nconcurrent = {{ max = {live}, on_excess = \"close_oldest\" }}"));
        let mut inside: std::collections::VecDeque<_> = (0..live)
            .map(|number| {
                let mut client = client(number);
                admit(&pipeline, &mut client)
            })
            .collect();
        let mut newcomers: Vec<Client> = (0..CONNECTIONS).map(client).collect();
        let began = spent();
        for client in &mut newcomers {
            inside.push_back(admit(&pipeline, client));
            inside.pop_front();
        }
        println!("close_oldest with {live} of a key: {:.0} ns a newcomer", nanos(began, CONNECTIONS));
    }
}

/// Whoever is replaced, without a socket to close.
struct Nobody;

impl Holder for Nobody {
    fn replaced(&self, refusal: Refusal) {
        black_box(refusal);
    }
}

/// Takes a client through the handshake, and has it go live.
fn admit(pipeline: &Pipeline, client: &mut Client) -> (Box<[Slot]>, Arc<dyn Holder>) {
    let mut findings = Findings::default();
    let judged = pipeline.handshake(Resume::default(), client, &mut findings).now_or_never();
    assert!(judged.unwrap().is_ok());
    let holder: Arc<dyn Holder> = Arc::new(Nobody);
    let mut slots = client.holdings.take_slots();
    slots.iter_mut().for_each(|slot| assert!(slot.go_live(&holder)));
    (slots, holder)
}

fn client(number: u32) -> Client {
    Client { id: number.into(), peer: peer(number), request: None, ..sample::client(&[]) }
}

fn peer(number: u32) -> Peer {
    Peer { ip: address(number), ..sample::peer("127.0.0.1") }
}

/// An address for each number below 2^24, in no order.
fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(10 << 24 | number.wrapping_mul(0x9E_3779) & 0xFF_FFFF).into()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Nanoseconds this thread has had of a processor.
fn spent() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

/// Nanoseconds for each of so many, since then.
fn nanos(began: u64, number: u32) -> f64 {
    (spent() - began) as f64 / f64::from(number)
}

fn per(bytes: usize, number: u32) -> f64 {
    bytes as f64 / f64::from(number)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
