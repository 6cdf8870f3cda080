//! What the frame layer takes of a message: its head found and checked, at every depth; its payload unmasked, put together and
//! checked, at read depth. `cargo bench --bench frames`.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wsgate::stage::{FrameHead, Pace, Side};
use wsgate::wire::deflate::Inflater;
use wsgate::wire::frame::{Cursor, Step};
use wsgate::wire::message::{Assembler, Item};
use wsgate::wire::tick::Tick;

/// What one read may bring.
const READ: usize = 64 << 10;
const LIMIT: u64 = 1 << 20;

criterion_group! {
    name = frames;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = cursor, assemble, fragments
}
criterion_main!(frames);

/// A client's message in so many frames.
fn message(kind: Data, payload: usize, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..frames {
        let kind = if number == 0 { kind } else { Data::Continue };
        let mut frame = Frame::message(vec![b'x'; payload / frames], OpCode::Data(kind), number + 1 == frames);
        frame.header_mut().mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        frame.format(&mut bytes).unwrap();
    }
    bytes
}

/// A read that is full of messages of one size, a frame each: what forward and count depth do with it.
fn cursor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cursor");
    for payload in [32, 1024] {
        let frame = message(Data::Text, payload, 1);
        let count = READ / frame.len();
        let bytes = frame.repeat(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("frames of bytes", payload), |bencher| {
            bencher.iter(|| assert_eq!(walk(black_box(&bytes)), count));
        });
    }
}

/// Passes all of it; says how many frames it was.
fn walk(bytes: &[u8]) -> usize {
    let (mut cursor, mut at, mut frames) = (Cursor::new(Side::Client, LIMIT, false), 0, 0);
    loop {
        match cursor.next(&bytes[at..], Tick::default()).unwrap() {
            Step::Need => return frames,
            Step::Payload(count) => at += count,
            Step::Head { head, size, .. } => {
                cursor.enter(&head);
                at += size;
                frames += 1;
            }
            Step::Control(_) => panic!("nobody has sent one"),
        }
    }
}

/// A message in one frame: binary is only unmasked, text is checked too.
fn assemble(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assemble");
    for (name, kind) in [("binary", Data::Binary), ("text", Data::Text)] {
        for payload in [32, 1024, 16 << 10, 256 << 10] {
            let bytes = message(kind, payload, 1);
            group.throughput(Throughput::Bytes(payload as u64));
            group.bench_function(BenchmarkId::new(name, payload), |bencher| bencher.iter(|| read(black_box(&bytes))));
        }
    }
}

/// The same text of 64 KiB in a frame, and in 4,096.
fn fragments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fragments");
    for frames in [1, 4096] {
        let bytes = message(Data::Text, 64 << 10, frames);
        group.bench_function(BenchmarkId::new("64 KiB of text in", frames), |bencher| bencher.iter(|| read(black_box(&bytes))));
    }
}

fn read(bytes: &[u8]) {
    let (mut cursor, mut assembler) = (Cursor::new(Side::Client, LIMIT, false), Assembler::default());
    let judge = |_: &Cursor, _: &FrameHead| Ok(Pace::Go);
    let (taken, item) = assembler.read(&mut cursor, bytes, Tick::default(), &mut Inflater::default(), judge).unwrap();
    assert_eq!(taken, bytes.len());
    assert!(matches!(black_box(item), Some(Item::Message(_))));
}
