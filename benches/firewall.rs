//! What long lists cost each connection: a firewall of 100,000 networks, beside a pipeline without stages; and 100,000 revoked
//! tokens, beside a single one.
//! `cargo bench --bench firewall`.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wsgate::config::document::Document;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;
use wsgate::stage::pipeline::Findings;
use wsgate::stage::{Client, Identity, Pipeline, Proof, Stage, sample};

const NETWORKS: usize = 100_000;
/// Revoked tokens.
const TOKENS: usize = 100_000;
const LOOKUPS: u32 = 2_000_000;
const ROUNDS: usize = 7;

fn main() {
    for (name, address) in [("IPv4", v4 as fn(u64) -> IpAddr), ("IPv6", v6)] {
        let bits = if name == "IPv4" { 28 } else { 56 };
        let mut list = String::new();
        for _ in 0..NETWORKS {
            let network = ipnet::IpNet::new(address(rand::random()), bits).unwrap().trunc();
            writeln!(list, "{network}").unwrap();
        }
        let folder = std::env::temp_dir().join(format!("wsgate-firewall-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("deny.txt"), list).unwrap();
        let began = Instant::now();
        let firewall = pipeline(&folder, "[firewall.list]\ndeny_files = [\"deny.txt\"]\n", "\"firewall.list\"");
        let compiled = began.elapsed();
        let nothing = pipeline(&folder, "", "");
        let (with, without) = (0..ROUNDS).map(|_| (cost(&firewall, address), cost(&nothing, address))).unzip();
        println!(
            "{name}: {NETWORKS} networks compiled in {compiled:.0?}; a verdict {:.0} ns, {:.0} ns without stages (medians of {ROUNDS})",
            median(with),
            median(without)
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let folder = std::env::temp_dir().join(format!("wsgate-revoked-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let clients: Vec<Client> = (0..1024).map(|_| client(rand::random())).collect();
    let (one, many) = (revoked(&folder, 1), revoked(&folder, TOKENS));
    let (one, many) = (0..ROUNDS).map(|_| (review(&*one, &clients), review(&*many, &clients))).unzip();
    println!(
        "revoked: a verdict on a token among {TOKENS} {:.0} ns, beside a single one {:.0} ns (medians of {ROUNDS})",
        median(many),
        median(one)
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A list of so many revoked tokens.
fn revoked(folder: &std::path::Path, tokens: usize) -> Arc<dyn Stage> {
    let mut list = String::new();
    for token in 0..tokens {
        writeln!(list, "jti:{token:032x}").unwrap();
    }
    std::fs::write(folder.join("revoked.txt"), list).unwrap();
    let tables = "[jwt.users]\nalgorithms = \"HS256\"\nsecret = { env = \"NOBODY_SETS_THIS\", default = \"for-a-benchmark-only-0123456789abcdef\" }\n\
                  [revoked.list]\nfiles = \"revoked.txt\"\n";
    let pipeline = pipeline(folder, tables, "\"jwt.users\", \"revoked.list\"");
    pipeline.steps().find(|step| &*step.name == "revoked.list").unwrap().stage.clone()
}

/// Nanoseconds for the verdict on one client, its claims read from their text.
fn review(stage: &dyn Stage, clients: &[Client]) -> f64 {
    let now = SystemTime::now();
    let began = Instant::now();
    for client in clients.iter().cycle().take(LOOKUPS as usize) {
        assert!(black_box(stage.review(black_box(client), now)).is_ok());
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKUPS)
}

/// Somebody with a token of this id.
fn client(jti: u128) -> Client {
    let mut client = Client { request: None, ..sample::client(&[]) };
    let claims = format!("{{\"sub\":\"alice\",\"exp\":4102444800,\"jti\":\"{jti:032x}\"}}").into();
    client.prove(Identity {
        by: "jwt.users".into(),
        user: Some("alice".into()),
        claims,
        expires: None,
        proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
    });
    client
}

fn pipeline(folder: &std::path::Path, tables: &str, stages: &str) -> Pipeline {
    let text = format!("{tables}[listener.l]\naddress = \"127.0.0.1:0\"\npipeline = [{stages}]\n[route.r]\nendpoint = \"echo\"\n");
    let (gateway, faults) = Gateway::compile(&Document::parse("bench.toml", text, folder), &Catalog::default(), &Cells::default());
    gateway.unwrap_or_else(|| panic!("{faults:?}")).listeners.values().next().unwrap().pipeline.clone()
}

/// Nanoseconds for the verdict on one client.
fn cost(pipeline: &Pipeline, address: fn(u64) -> IpAddr) -> f64 {
    let mut peer = sample::peer("127.0.0.1");
    let mut findings = Findings::default();
    let mut seed: u64 = rand::random();
    let began = Instant::now();
    for _ in 0..LOOKUPS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        peer.ip = address(seed);
        _ = black_box(pipeline.connect(black_box(&peer), &mut findings));
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKUPS)
}

fn v4(random: u64) -> IpAddr {
    let [a, b, c, d, ..] = random.to_be_bytes();
    Ipv4Addr::new(a, b, c, d).into()
}

fn v6(random: u64) -> IpAddr {
    Ipv6Addr::from(u128::from(random) << 64 | 0x2000 << 112).into()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
