//! What proving an identity adds to a handshake: a token of each algorithm, by a key of the file and by one of a key set.
//! `cargo bench --bench jwt`; Linux only.
//!
//! Times are the processor's, of the thread that did the work (`schedstat`): of seven rounds the fastest, and how it stands to HS256's.

#![allow(missing_docs, reason = "a program, not an interface")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use wsgate::config::fault::KeyPath;
use wsgate::stage::cells::Cells;
use wsgate::stage::jwt::{Jwt, Table};
use wsgate::stage::{Build, Configure, Judgement, Stage, sample};

const ROUNDS: usize = 7;
const HANDSHAKES: u32 = 2000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Keys of a large set: what the largest providers publish is a dozen.
const MANY: usize = 100;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let pem = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (rsa, ec, ed) = (
        EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap(),
        EncodingKey::from_ec_pem(&pem("p256.pem")).unwrap(),
        EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap(),
    );
    let sets = tempfile::tempdir().unwrap();
    let set = |name: &str, keys: Vec<Value>| {
        let path = sets.path().join(name);
        std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
        format!("algorithms = [\"ES256\"]\njwks = {{ file = {path:?} }}")
    };
    let jwk: Value = serde_json::from_slice(&pem("p256.jwk.json")).unwrap();
    let named = |kid: usize| {
        let mut jwk = jwk.clone();
        jwk["kid"] = kid.to_string().into();
        jwk
    };
    let one = set("one.json", vec![named(MANY - 1)]);
    let many = set("many.json", (0..MANY).map(named).collect());
    let key = |algorithm: &str, file: &str| format!("algorithms = \"{algorithm}\"\nkey = {{ file = \"{file}\" }}");
    let rows = [
        ("HS256", format!("algorithms = \"HS256\"\nsecret = \"{SECRET}\""), Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes())),
        ("RS256", key("RS256", "rsa.pub.pem"), Algorithm::RS256, &rsa),
        ("PS256", key("PS256", "rsa.pub.pem"), Algorithm::PS256, &rsa),
        ("ES256", key("ES256", "p256.pub.pem"), Algorithm::ES256, &ec),
        ("EdDSA", key("EdDSA", "ed25519.pub.pem"), Algorithm::EdDSA, &ed),
        ("ES256, of a set of 1", one, Algorithm::ES256, &ec),
        ("ES256, of a set of 100", many, Algorithm::ES256, &ec),
    ];
    let (mut base, nothing) = (None, measure(None, ""));
    println!("{:<24}{:>10}{:>10}", "", "µs", "ratio");
    for (name, table, algorithm, key) in rows {
        let header = Header { kid: Some((MANY - 1).to_string()), ..Header::new(algorithm) };
        let token = encode(&header, &json!({ "sub": "alice", "exp": 4_102_444_800_u64 }), key).unwrap();
        let took = measure(Some(&stage(&table, &folder)), &token) - nothing;
        println!("{name:<24}{took:>10.1}{:>10.2}", took / *base.get_or_insert(took));
    }
}

fn stage(table: &str, folder: &Path) -> Jwt {
    let table: Table = toml::from_str(table).unwrap();
    let cells = Cells::default();
    let built = Jwt::configure(table, &mut Build::new(KeyPath::table("jwt", "users"), folder, &cells));
    built.unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Microseconds of a handshake with this token; of making the client alone where there is no stage.
fn measure(stage: Option<&Jwt>, token: &str) -> f64 {
    let bearer = format!("Bearer {token}");
    let round = || {
        let begun = spent();
        for _ in 0..HANDSHAKES {
            let mut client = sample::client(&[("authorization", &bearer)]);
            if let Some(stage) = stage {
                let Judgement::Now(Ok(())) = stage.handshake(&mut client) else { panic!("it is good") };
            }
            std::hint::black_box(&client);
        }
        (spent() - begun) / f64::from(HANDSHAKES) / 1000.0
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds that this thread has had of a processor.
fn spent() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}
