//! The stage, at a time that the tests tell.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::config::fault::KeyPath;
use crate::config::units::Count;
use crate::stage::cells::Cells;
use crate::stage::holders::{Holder, Slot};
use crate::stage::{FrameHead, FrameInspector, Opcode, Pace, Refusal, Side, sample};

const SECOND: u64 = 1_000_000_000;

/// Stages over the same buckets, one after another, as reloads make them.
struct Bench {
    buckets: Arc<Buckets>,
    time: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        Self { buckets: Arc::default(), time: Arc::new(AtomicU64::new(SECOND)) }
    }

    fn stage(&self, table: &str) -> RateLimit {
        let clock = Clock::Told(self.time.clone());
        RateLimit::over(toml::from_str(table).unwrap(), "rate_limit.x", self.buckets.clone(), clock)
    }

    fn pass(&self, time: Duration) {
        self.time.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

fn client(id: u64, ip: &str, tenant: &str) -> Client {
    let mut client = sample::client(&[("x-tenant", tenant)]);
    (client.id, client.peer) = (id, sample::peer(ip));
    client
}

fn judged(stage: &RateLimit, client: &mut Client) -> Verdict {
    stage.connect(&client.peer)?;
    match stage.handshake(client) {
        Judgement::Now(verdict) => verdict,
        _ => panic!("it answers at once"),
    }
}

/// The outcome and rule of a refusal.
fn told<T>(verdict: Result<T, Box<Refusal>>) -> Option<(&'static str, String)> {
    verdict.err().map(|refusal| (refusal.outcome.id, refusal.rule.unwrap().into()))
}

fn inspector(stage: &RateLimit, client: &Client) -> Box<dyn FrameInspector> {
    match stage.inspect(client) {
        Inspect::Frames(inspector) => inspector,
        _ => panic!("it looks at frames"),
    }
}

fn head(opcode: Opcode, length: u64) -> FrameHead {
    let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    FrameHead { opcode, is_final: true, is_compressed: false, starts_message, length, message_length: length }
}

#[test]
fn a_connection_keeps_no_bucket_of_another_key_however_that_is_written() {
    let bench = Bench::new();
    let held_as = |key: &str| bench.stage(&format!("key = {key}\nmessages = \"1/s\"")).held_as;
    assert_ne!(held_as(r#"["claim:a", "claim:b"]"#), held_as(r#"["claim:a claim:b"]"#));
    assert_eq!(held_as(r#"["claim:a", "claim:b"]"#), held_as(r#"[ "claim:a","claim:b" ]"#));
}

#[test]
fn a_key_of_the_address_alone_counts_before_the_request_is_read_and_once() {
    let bench = Bench::new();
    let stage = bench.stage("key = \"ip\"\nconnect = \"2/s\"\nmessages = \"1/s\"");
    for _ in 0..2 {
        assert_eq!(told(judged(&stage, &mut client(1, "192.0.2.7", ""))), None);
    }
    let refusal = stage.connect(&sample::peer("192.0.2.7")).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(500)));
    assert_eq!(told(Verdict::Err(refusal)), Some(("rate_limited", "connect 2/s".to_owned())));
    assert_eq!(told(stage.connect(&sample::peer("192.0.2.8"))), None);
    bench.pass(Duration::from_millis(500));
    assert_eq!(told(stage.connect(&sample::peer("192.0.2.7"))), None);
}

#[test]
fn another_key_counts_once_the_request_is_read() {
    let bench = Bench::new();
    let stage = bench.stage("key = [\"route\", \"header:x-tenant\"]\nconnect = \"1/m\"");
    assert_eq!(told(judged(&stage, &mut client(1, "192.0.2.7", "acme"))), None);
    assert_eq!(told(judged(&stage, &mut client(2, "192.0.2.8", "acme"))), Some(("rate_limited", "connect 1/m".to_owned())));
    assert_eq!(told(judged(&stage, &mut client(3, "192.0.2.7", "other"))), None);
}

#[test]
fn connections_at_a_time_are_counted_by_what_they_hold() {
    let bench = Bench::new();
    let stage = bench.stage("key = \"ip\"\nconcurrent = 2");
    let mut clients: Vec<_> = (0..3).map(|id| client(id, "192.0.2.7", "")).collect();
    assert_eq!(told(judged(&stage, &mut clients[0])), None);
    assert_eq!(told(judged(&stage, &mut clients[1])), None);
    assert_eq!(told(judged(&stage, &mut clients[2])), Some(("too_many_connections", "concurrent 2".to_owned())));
    assert_eq!(told(judged(&bench.stage("key = \"ip\"\nconcurrent = 3"), &mut clients[2])), None, "a reload forgets nobody");
    drop(clients.remove(0));
    assert!(judged(&stage, &mut client(4, "192.0.2.7", "")).is_err());
    clients.clear();
    assert_eq!(told(judged(&stage, &mut client(4, "192.0.2.7", ""))), None);
}

/// Connections that note whether they were replaced.
#[derive(Default)]
struct Inside(AtomicU64);

impl Holder for Inside {
    fn replaced(&self, refusal: Refusal) {
        assert!(!refusal.report);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The connections' slots go live; what holds them, and whether each has been replaced, by and by.
fn live(clients: &mut [Client]) -> Vec<(Arc<Inside>, Box<[Slot]>)> {
    let go = |client: &mut Client| {
        let inside = Arc::<Inside>::default();
        let holder: Arc<dyn Holder> = inside.clone();
        let mut slots = client.holdings.take_slots();
        slots.iter_mut().for_each(|slot| assert!(slot.go_live(&holder)));
        (inside, slots)
    };
    clients.iter_mut().map(go).collect()
}

#[test]
fn connections_let_in_before_a_reload_are_replaced_by_newcomers_after_it() {
    let bench = Bench::new();
    let mut clients: Vec<_> = (0..2).map(|id| client(id, "192.0.2.7", "")).collect();
    for client in &mut clients {
        assert_eq!(told(judged(&bench.stage("key = \"ip\"\nconcurrent = 2"), client)), None);
    }
    let before = live(&mut clients);
    let replacing = bench.stage("key = \"ip\"\nconcurrent = { max = 2, on_excess = \"close_oldest\" }");
    let mut newcomers = [client(2, "192.0.2.7", ""), client(3, "192.0.2.8", "")];
    for newcomer in &mut newcomers {
        assert_eq!(told(judged(&replacing, newcomer)), None);
    }
    let _after = live(&mut newcomers);
    assert_eq!(before.iter().map(|(inside, _)| inside.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn keys_that_share_a_bucket_for_want_of_room_do_not_replace_each_other() {
    let concurrent = Concurrent { max: Count::of(1), on_excess: OnFull::CloseOldest };
    let shared = Bucket::shared();
    assert_eq!(told(concurrent.admit(&mut client(1, "192.0.2.7", ""), &shared)), None);
    let mut clients = [client(2, "192.0.2.8", ""), client(3, "192.0.2.9", "")];
    assert_eq!(told(concurrent.admit(&mut clients[0], &shared)), None, "the first has left");
    assert_eq!(told(concurrent.admit(&mut clients[1], &shared)), Some(("too_many_connections", "concurrent 1".to_owned())));
}

#[test]
fn messages_bytes_and_frames_of_all_connections_with_a_key_count_together() {
    for (table, frames, rule) in [
        ("messages = \"2/s\"", [head(Opcode::Text, 5), head(Opcode::Continuation, 5), head(Opcode::Ping, 0)], "messages 2/s"),
        ("bytes = \"8B/s\"", [head(Opcode::Text, 3), head(Opcode::Continuation, 1), head(Opcode::Ping, 100)], "bytes 8B/s"),
        ("frames = \"6/s\"", [head(Opcode::Text, 5), head(Opcode::Continuation, 5), head(Opcode::Ping, 0)], "frames 6/s"),
    ] {
        let bench = Bench::new();
        let stage = bench.stage(&format!("key = \"ip\"\n{table}"));
        let mut inspectors: Vec<_> = (0..2)
            .map(|id| {
                let mut client = client(id, "192.0.2.7", "");
                judged(&stage, &mut client).unwrap();
                inspector(&stage, &client)
            })
            .collect();
        for inspector in &mut inspectors {
            for frame in &frames {
                assert_eq!(told(inspector.begin(Side::Client, frame)), None, "{table}");
            }
        }
        assert_eq!(told(inspectors[0].begin(Side::Client, &frames[0])), Some(("rate_limited", rule.to_owned())));
        assert_eq!(told(inspectors[0].begin(Side::Client, &head(Opcode::Close, 2))), None, "whoever says goodbye may");
        assert_eq!(told(inspectors[0].begin(Side::Upstream, &frames[0])), None, "backends are not limited");
        let stranger = client(3, "192.0.2.8", "");
        assert_eq!(told(inspector(&stage, &stranger).begin(Side::Client, &frames[0])), None);
    }
}

#[test]
fn what_is_over_its_rate_is_left_out_message_by_message() {
    for (excess, told) in [
        ("\"drop\"", None),
        ("\"notify\"", Some("too many requests")),
        ("\"notify\"\nnotify = '{\"error\":\"{id}\",\"code\":{code}}'", Some(r#"{"error":"rate_limited","code":1008}"#)),
    ] {
        let bench = Bench::new();
        let stage = bench.stage(&format!("key = \"ip\"\nmessages = \"2/s\"\nbytes = \"8B/s\"\non_excess = {excess}"));
        assert!(stage.bars_takeover());
        let mut inspector = inspector(&stage, &client(1, "192.0.2.7", ""));
        let mut begin = |opcode, length| match inspector.begin(Side::Client, &head(opcode, length)).unwrap() {
            Pace::Go => "goes on".to_owned(),
            Pace::Skip(why) => format!("{} {:?}", why.unwrap().rule.unwrap(), None::<&str>),
            Pace::SkipAndTell(text, why) => format!("{} {:?}", why.unwrap().rule.unwrap(), Some(text)),
            Pace::HoldUntil(_) => "waits".to_owned(),
        };
        assert_eq!(begin(Opcode::Text, 8), "goes on");
        assert_eq!(begin(Opcode::Continuation, 8), "goes on", "what has begun goes on, and is owed");
        assert_eq!(begin(Opcode::Ping, 0), "goes on");
        bench.pass(Duration::from_millis(1000));
        assert_eq!(begin(Opcode::Text, 1), format!("bytes 8B/s {told:?}"), "of 16 bytes 8 are paid for");
        bench.pass(Duration::from_millis(125));
        assert_eq!(begin(Opcode::Text, 1), "goes on");
        assert_eq!(begin(Opcode::Text, 0), format!("messages 2/s {told:?}"), "the third message in a second");
    }
}

#[test]
fn what_is_over_its_rate_waits_its_turn_and_no_longer_than_a_minute() {
    let bench = Bench::new();
    let stage = bench.stage("key = \"ip\"\nmessages = \"3/m\"\nframes = \"100/s\"\nbytes = \"64KiB/s\"\non_excess = \"delay\"");
    let mut inspector = inspector(&stage, &client(1, "192.0.2.7", ""));
    let before = std::time::Instant::now();
    let mut begin = |opcode| inspector.begin(Side::Client, &head(opcode, 5));
    assert_eq!(begin(Opcode::Text).unwrap(), Pace::Go);
    assert_eq!(begin(Opcode::Continuation).unwrap(), Pace::Go);
    for seconds in [20, 40, 60] {
        match begin(Opcode::Text).unwrap() {
            Pace::HoldUntil(until) => assert!(until >= before + Duration::from_secs(seconds)),
            pace => panic!("{pace:?}"),
        }
    }
    assert_eq!(told(begin(Opcode::Text)), Some(("rate_limited", "messages 3/m".to_owned())));
    bench.pass(Duration::from_secs(80));
    assert_eq!(begin(Opcode::Text).unwrap(), Pace::Go);
}

#[test]
fn a_connection_keeps_its_bucket_when_its_stage_is_made_anew_and_its_request_is_gone() {
    let bench = Bench::new();
    let table = "key = \"header:x-tenant\"\nmessages = \"1/m\"";
    let stage = bench.stage(table);
    let mut client = client(1, "192.0.2.7", "acme");
    judged(&stage, &mut client).unwrap();
    client.request = None;
    let text = head(Opcode::Text, 1);
    assert_eq!(told(inspector(&stage, &client).begin(Side::Client, &text)), None);
    for table in [table, "key = \"header:x-tenant\"\nmessages = \"1/h\""] {
        assert!(inspector(&bench.stage(table), &client).begin(Side::Client, &text).is_err(), "spent stays spent");
    }
    let other_key = bench.stage("key = \"ip\"\nmessages = \"1/m\"");
    assert_eq!(told(inspector(&other_key, &client).begin(Side::Client, &text)), None);
}

#[test]
fn tidying_leaves_what_is_spent_and_what_is_held() {
    let bench = Bench::new();
    let stage = bench.stage("key = \"ip\"\nconnect = \"1/s\"\nconcurrent = 1");
    let mut inside = client(1, "192.0.2.7", "");
    judged(&stage, &mut inside).unwrap();
    stage.tidy();
    assert!(stage.connect(&inside.peer).is_err());
    bench.pass(Duration::from_secs(2));
    stage.tidy();
    assert_eq!(told(judged(&stage, &mut client(2, "192.0.2.7", ""))), Some(("too_many_connections", "concurrent 1".to_owned())));
}

#[test]
fn a_table_that_limits_nothing_is_a_fault_that_says_so() {
    let cells = Cells::default();
    for (table, said) in [
        ("key = \"ip\"", "limits nothing"),
        ("key = []\nconnect = \"1/s\"", "`key` is empty"),
        ("key = \"connection\"\nconnect = \"1/s\"", "every connection is the first of its key: `connect`"),
        ("key = [\"ip\", \"connection\"]\nconcurrent = 1\nmessages = \"1/s\"", "`concurrent` limits nothing"),
        ("key = \"ip\"\nconnect = \"1/s\"\non_excess = \"close\"", "limits no traffic"),
        ("key = \"ip\"\nframes = \"1/s\"\non_excess = \"drop\"", "cannot be left out"),
        ("key = \"ip\"\nmessages = \"1/s\"\nnotify = \"slower\"", "nobody is told"),
    ] {
        let mut build = Build::new(KeyPath::table("rate_limit", "x"), Path::new("."), &cells);
        let faults = RateLimit::configure(toml::from_str(table).unwrap(), &mut build).err().unwrap();
        assert!(faults.0[0].message.contains(said), "{table}: {faults:?}");
    }
}
