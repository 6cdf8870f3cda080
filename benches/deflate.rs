//! What permessage-deflate costs: a message inflated and deflated, by itself and with a window that is kept, a bomb that is stopped
//! at its limit, and the memory of connections whose windows are full. `cargo bench --bench deflate`; Linux only.
//!
//! Times are the processor's, of the thread that did the work (`schedstat`), so that what else the machine does is not counted. The
//! messages are JSON of an ordinary kind, none like the one before; what is inflated was deflated at level 6, as most peers do.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::fmt::Write;
use std::hint::black_box;

use flate2::{Compress, Compression, FlushCompress};
use wsgate::wire::deflate::{Deflater, InflateError, Inflater, Window};

const ROUNDS: usize = 7;
/// What goes through the codec in each round: enough that the kernel's clock, of some milliseconds, is fine.
const ROUND_MESSAGES: usize = 20_000;
const ROUND_BYTES: usize = 64 << 20;
const CONNECTIONS: usize = 2_000;
const LIMIT: u64 = 1 << 20;

fn main() {
    for length in [100, 1024, 16 << 10, 256 << 10] {
        messages(length);
    }
    choices();
    bomb();
    memory();
}

/// What a message of this length costs.
fn messages(length: usize) {
    let texts = texts(length);
    for (name, is_kept) in [("by itself", false), ("window kept", true)] {
        let window = Window::new(15, is_kept);
        let mut peer = Compress::new(Compression::new(6), false);
        let payloads: Vec<Vec<u8>> = texts.iter().map(|text| compress(&mut peer, is_kept, text)).collect();
        let inflated = cost(&texts, || {
            // The first refers to none before it.
            let mut inflater = Inflater::new(window);
            for payload in &payloads {
                let mut out = Vec::new();
                inflater.inflate(black_box(payload), LIMIT, &mut out).unwrap();
                black_box(out);
            }
        });
        let (mut deflater, mut size) = (Deflater::new(window), 0);
        let deflated = cost(&texts, || {
            size = 0;
            for text in &texts {
                let mut out = Vec::new();
                let is_smaller = deflater.deflate(black_box(text), &mut out);
                size += if is_smaller { out.len() } else { text.len() };
                black_box(out);
            }
        });
        let (from, to) = (payloads.iter().map(Vec::len).sum::<usize>() / texts.len(), size / texts.len());
        println!("{length} bytes, {name}: inflated from {from} in {inflated:.1} µs; deflated to {to} in {deflated:.1} µs");
    }
}

/// What the level and the length of the history were chosen by: a message of 1 KiB at others.
fn choices() {
    let (texts, sent) = (texts(1024), json(32 << 10, u64::MAX));
    for level in [1, 2, 3, 6] {
        for history in [0, 1024, 2048, 4096, 32 << 10] {
            let mut state = Compress::new(Compression::new(level), false);
            let mut size = 0;
            let deflated = cost(&texts, || {
                size = 0;
                for text in &texts {
                    state.reset();
                    if let Some(history) = sent.get(sent.len() - history..).filter(|history| !history.is_empty()) {
                        state.set_dictionary(history).unwrap();
                    }
                    size += compress(&mut state, true, text).len();
                }
            });
            println!("1024 bytes at level {level}, after {history}: deflated to {} in {deflated:.1} µs", size / texts.len());
        }
    }
}

/// A thousand bytes for each of its own, stopped at a mebibyte.
fn bomb() {
    let bomb = compress(&mut Compress::new(Compression::best(), false), false, &vec![0; 64 << 20]);
    // As many bytes as it gives before it is stopped.
    let (mut capacity, texts) = (0, [vec![0; 1 << 20]]);
    let stopped = cost(&texts, || {
        let mut out = Vec::new();
        assert_eq!(Inflater::default().inflate(black_box(&bomb), LIMIT, &mut out), Err(InflateError::TooLarge));
        capacity = out.capacity();
    });
    println!("a bomb of {} bytes for 64 MiB, limit {LIMIT}: {stopped:.0} µs, {capacity} bytes of memory", bomb.len());
}

/// What connections own whose windows are full, beside what the thread has once.
fn memory() {
    let texts: Vec<Vec<u8>> = (0..40).map(|number| json(1024, number)).collect();
    let pass = |window: Window| {
        let mut peer = Compress::new(Compression::new(6), false);
        let (mut inflater, mut deflater) = (Inflater::new(window), Deflater::new(window));
        for text in &texts {
            let payload = compress(&mut peer, window.is_kept(), text);
            inflater.inflate(&payload, LIMIT, &mut Vec::new()).unwrap();
            assert!(deflater.deflate(text, &mut Vec::new()));
        }
        (inflater, deflater)
    };
    pass(Window::new(15, true));
    for (name, window) in [("by itself", Window::new(15, false)), ("window kept", Window::new(15, true))] {
        let before = resident();
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| pass(window)).collect();
        println!("{CONNECTIONS} connections, {name}: {} bytes each, both ways", resident().saturating_sub(before) / connections.len());
    }
}

/// As a peer compresses: flushed, without the tail.
fn compress(state: &mut Compress, is_kept: bool, text: &[u8]) -> Vec<u8> {
    if !is_kept {
        state.reset();
    }
    let mut payload = Vec::with_capacity(text.len() + 1024);
    state.compress_vec(text, &mut payload, FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - 4);
    payload
}

/// Different ones of this length, more than a window of them.
fn texts(length: usize) -> Vec<Vec<u8>> {
    (0..(128 << 10) / length + 2).map(|number| json(length, number as u64)).collect()
}

/// An array of records, cut off at this length.
fn json(length: usize, seed: u64) -> Vec<u8> {
    let names = ["alice", "bob", "carol", "dave", "erin"];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut text = String::from("[");
    while text.len() < length {
        let (id, name, price, tag) = (random(100_000), names.get(random(5)).unwrap(), random(100_000), random(10));
        let (day, hour, minute) = (random(28) + 1, random(24), random(60));
        write!(
            text,
            "{{\"id\":{id},\"user\":\"{name}\",\"price\":{}.{:02},\"tags\":[\"a{tag}\"],\"at\":\"2026-11-{day:02}T{hour:02}:{minute:02}:00Z\"}},",
            price / 100,
            price % 100,
        )
        .unwrap();
    }
    text.truncate(length);
    text.into_bytes()
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

/// Microseconds for each of these texts, where `sweep` goes through them all: the median of all rounds.
fn cost(texts: &[Vec<u8>], mut sweep: impl FnMut()) -> f64 {
    let bytes: usize = texts.iter().map(Vec::len).sum();
    let sweeps = (ROUND_MESSAGES / texts.len()).max(1).min(ROUND_BYTES / bytes + 1);
    median((0..ROUNDS).map(|_| {
        let began = spent();
        (0..sweeps).for_each(|_| sweep());
        (spent() - began) as f64 / (sweeps * texts.len()) as f64 / 1e3
    }))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
