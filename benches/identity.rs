//! What identity costs: CPU of a handshake by how the client proves who it is, beside one that asks for nothing; how many tokens are
//! renewed in a second; and how long it takes to end ten thousand connections whose tokens end in the same second, and what that means
//! for the messages of others.
//! `cargo bench --bench identity [-- ROUNDS]`; Linux, loopback only.
//!
//! The gateway is a process of its own, whose CPU is the kernel's count. Gateway and clients share the machine, so
//! what a client takes to read is part of every time.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SignatureAlgorithm};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use support::figures::{load, quartiles};
use support::gateway::{Gateway, ask, close};

/// Handshakes of one round.
const HANDSHAKES: usize = 400;
/// Connections whose tokens end together, and others whose messages are timed meanwhile.
const OPEN: usize = 10_000;
const BUSY: usize = 16;
/// Connections that renew their tokens, and how many tokens each shows: no more than are taken at once.
const RENEWING: usize = 1_000;
const RENEWALS: u64 = 10;
/// How long the tokens live, at the most: all of them connect within.
const LIVES: Duration = Duration::from_secs(40);
/// For how long before the end round trips are timed to compare with.
const CALM: Duration = Duration::from_secs(5);

const SECRET: &[u8] = b"a-secret-of-a-benchmark-32-bytes";

#[tokio::main]
async fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(11);
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    println!("machine load {} before, on {} processors", load(), std::thread::available_parallelism().unwrap());
    handshakes(rounds).await;
    renew().await;
    expire().await;
    println!("machine load {} after", load());
}

/// How a client proves who it is.
struct Proof {
    name: &'static str,
    token: Option<String>,
}

async fn handshakes(rounds: usize) {
    let mut config = "[route.nothing]\npath = \"/nothing\"\nendpoint = \"echo\"\n".to_owned();
    let mut proofs = vec![Proof { name: "nothing", token: None }];
    let mut prove = |name, algorithm, table: &str, key: &EncodingKey| {
        let stage = format!("[jwt.{name}]\nalgorithms = \"{algorithm:?}\"\n{table}\n");
        config += &format!("{stage}[route.{name}]\npath = \"/{name}\"\npipeline = [\"jwt.{name}\"]\nendpoint = \"echo\"\n");
        proofs.push(Proof { name, token: Some(token(algorithm, key, "bench", SystemTime::now() + Duration::from_hours(1))) });
    };
    let secret = std::str::from_utf8(SECRET).unwrap();
    prove("HS256", Algorithm::HS256, &format!("secret = \"{secret}\""), &EncodingKey::from_secret(SECRET));
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let of = |algorithm: &'static SignatureAlgorithm| KeyPair::generate_for(algorithm).unwrap();
    let [p256, p384, ed25519] = [of(&PKCS_ECDSA_P256_SHA256), of(&PKCS_ECDSA_P384_SHA384), of(&PKCS_ED25519)];
    for (name, algorithm, pair, key) in [
        ("RS256", Algorithm::RS256, &rsa, EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes())),
        ("PS256", Algorithm::PS256, &rsa, EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes())),
        ("ES256", Algorithm::ES256, &p256, EncodingKey::from_ec_pem(p256.serialize_pem().as_bytes())),
        ("ES384", Algorithm::ES384, &p384, EncodingKey::from_ec_pem(p384.serialize_pem().as_bytes())),
        ("EdDSA", Algorithm::EdDSA, &ed25519, EncodingKey::from_ed_pem(ed25519.serialize_pem().as_bytes())),
    ] {
        prove(name, algorithm, &format!("key = \"\"\"\n{}\"\"\"", pair.public_key_pem()), &key.unwrap());
    }
    let gateway = Gateway::run(&config);
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); proofs.len()];
    for round in 0..=rounds {
        for (proof, costs) in proofs.iter().zip(&mut costs) {
            let (path, before) = (format!("/{}", proof.name), gateway.cpu());
            for _ in 0..HANDSHAKES {
                drop(gateway.connect_with(&path, proof.token.as_deref()).await);
            }
            // The first round warms caches.
            if round > 0 {
                costs.push((gateway.cpu() - before) / HANDSHAKES as f64);
            }
        }
    }
    println!("from accept to 101 and the end, one after the other, {rounds} rounds of {HANDSHAKES}, interleaved: CPU of the gateway each,");
    println!("and paired within a round what it is more than with nothing to prove");
    for (proof, own) in proofs.iter().zip(&costs) {
        let more = own.iter().zip(&costs[0]).map(|(own, nothing)| own - nothing).collect();
        println!("{:<8} {:>28} µs {:>28} µs more", proof.name, quartiles(own.clone()), quartiles(more));
    }
}

/// Connections that are open renew their tokens in messages, all at once and as fast as they are answered.
async fn renew() {
    let secret = std::str::from_utf8(SECRET).unwrap();
    let message = "renew.message = { match = { type = \"auth\" }, field = \"token\", reply = \"renewed\", refused = \"refused\" }";
    let gateway = Gateway::run(&format!(
        "[jwt.j]\nalgorithms = \"HS256\"\nsecret = \"{secret}\"\n{message}\n[route.r]\npipeline = [\"jwt.j\"]\nendpoint = \"echo\"\n"
    ));
    let key = EncodingKey::from_secret(SECRET);
    let mut ready = Vec::new();
    for user in 0..RENEWING {
        let mut tokens = (0..RENEWALS).map(|later| {
            let end = SystemTime::now() + Duration::from_hours(1 + later);
            token(Algorithm::HS256, &key, &format!("user-{user}"), end)
        });
        let socket = gateway.connect_with("/", Some(&tokens.next().unwrap())).await;
        ready.push((socket, tokens.map(|token| json!({ "type": "auth", "token": token }).to_string()).collect::<Vec<_>>()));
    }
    let (cpu, began) = (gateway.cpu(), Instant::now());
    let mut busy = JoinSet::new();
    for (mut socket, messages) in ready {
        busy.spawn(async move {
            for message in messages {
                socket.send(Message::text(message)).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), "renewed");
            }
            socket
        });
    }
    let renewed = RENEWING as f64 * (RENEWALS - 1) as f64;
    let open = busy.join_all().await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), gateway.cpu() - cpu);
    println!(
        "{renewed} renewals of {} connections: {:.0} a second, {:.1} µs of the gateway's CPU each",
        open.len(),
        renewed / took,
        cpu / renewed
    );
}

/// Ten thousand tokens end in one second.
async fn expire() {
    let secret = std::str::from_utf8(SECRET).unwrap();
    let gateway = Gateway::run(&format!(
        "[jwt.j]\nalgorithms = \"HS256\"\nsecret = \"{secret}\"\n[route.ends]\npath = \"/ends\"\npipeline = [\"jwt.j\"]\nendpoint = \"echo\"\n\
         [route.stays]\npath = \"/stays\"\nendpoint = \"echo\"\n"
    ));
    // Tokens know whole seconds.
    let end = UNIX_EPOCH + Duration::from_secs((SystemTime::now() + LIVES).duration_since(UNIX_EPOCH).unwrap().as_secs());
    let key = EncodingKey::from_secret(SECRET);
    let mut open = JoinSet::new();
    for user in 0..OPEN {
        let token = token(Algorithm::HS256, &key, &format!("user-{user}"), end);
        let mut socket = gateway.connect_with("/ends", Some(&token)).await;
        open.spawn(async move { close(&mut socket).await });
    }
    let left = end.duration_since(SystemTime::now()).expect("they connect before their tokens end");
    let ends = Instant::now() + left;
    let (phase, is_ending) = watch::channel(None);
    let mut busy = JoinSet::new();
    for _ in 0..BUSY {
        let (mut socket, is_ending) = (gateway.connect("/stays").await, is_ending.clone());
        busy.spawn(async move {
            // The longest round trip before and while they end.
            let mut longest = [Duration::ZERO; 2];
            while is_ending.has_changed().is_ok() {
                let now: Option<usize> = *is_ending.borrow();
                let asked = Instant::now();
                ask(&mut socket).await;
                if let Some(longest) = now.and_then(|phase| longest.get_mut(phase)) {
                    *longest = asked.elapsed().max(*longest);
                }
            }
            longest
        });
    }
    drop(is_ending);
    tokio::time::sleep_until((ends - CALM.min(left)).into()).await;
    phase.send_replace(Some(0));
    tokio::time::sleep_until(ends.into()).await;
    phase.send_replace(Some(1));
    let closed = open.join_all().await;
    drop(phase);
    let after = |at: &Instant| at.saturating_duration_since(ends);
    let (first, last) = (after(closed.iter().min().unwrap()), after(closed.iter().max().unwrap()));
    let longest = busy.join_all().await.into_iter().fold([Duration::ZERO; 2], |all, one| [all[0].max(one[0]), all[1].max(one[1])]);
    println!("{OPEN} tokens end in one second: the first has its Close {first:.1?} after that, the last {last:.1?};");
    println!("of {BUSY} busy others the longest round trip {:.1?} meanwhile, {:.1?} in the seconds before", longest[1], longest[0]);
}

fn token(algorithm: Algorithm, key: &EncodingKey, user: &str, end: SystemTime) -> String {
    let exp = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    encode(&Header::new(algorithm), &json!({ "sub": user, "exp": exp }), key).unwrap()
}
