//! Tokens of every make, judged at the handshake and under the live connection.

mod connections;
mod sources;
mod tables;

use std::path::Path;
use std::time::UNIX_EPOCH;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::config::fault::{KeyPath, Place, Severity};
use crate::stage::cells::Cells;
use crate::stage::pipeline::{Entry, Findings, Mode, Named, Pipeline, Progress, Resume, Step};
use crate::stage::sample;
use crate::stage::traffic::Message;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
/// A table for HS256 that further keys may be added to.
const SHARED: &str = "algorithms = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n";

impl Jwt {
    /// The identity that a token proves by the keys that there are.
    fn identify(&self, token: &str, now: SystemTime) -> Result<Identity, Box<Refusal>> {
        match self.try_identify(token, now) {
            Identified::Now(identity) => identity,
            Identified::ByMore(_) => panic!("it waits for keys"),
        }
    }
}

fn build(name: &str, text: &str) -> (Result<Jwt, Faults>, Faults) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("jwt", name), Path::new(KEYS), &cells);
    let built = match toml::from_str(text) {
        Ok(table) => Jwt::configure(table, &mut build),
        Err(error) => Err(Fault::new(build.at().clone(), error.message()).into()),
    };
    (built, build.warnings)
}

fn jwt(text: &str) -> Jwt {
    build("users", text).0.unwrap()
}

/// The stage of [`SHARED`] and these keys besides.
fn shared(more: &str) -> Jwt {
    jwt(&format!("{SHARED}{more}"))
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(KEYS).join(name)).unwrap()
}

/// Seconds since 1970, so many from now.
fn from_now(seconds: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + seconds
}

fn sign(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// `outcome: rule` of a judgement, or nothing where it passes.
fn said<T>(judged: Result<T, Box<Refusal>>) -> String {
    judged.map_or_else(|refusal| format!("{}: {}", refusal.outcome.id, refusal.rule.unwrap_or_default()), |_| String::new())
}

fn judged(jwt: &Jwt, token: &str) -> String {
    said(jwt.identify(token, SystemTime::now()))
}

/// A client that a token of these claims has authenticated.
fn authenticated(jwt: &Jwt, claims: &Value) -> Client {
    let mut client = sample::client(&[("authorization", &format!("Bearer {}", sign(claims)))]);
    let Judgement::Now(verdict) = jwt.handshake(&mut client) else { panic!("it was to answer at once") };
    verdict.unwrap();
    client
}

fn base64url(text: &str) -> String {
    let token = encode(&Header::default(), &serde_json::from_str::<Value>(text).unwrap(), &EncodingKey::from_secret(b"x")).unwrap();
    token.split('.').nth(1).unwrap().to_owned()
}

#[test]
fn every_algorithm_verifies_its_own_tokens_and_no_others() {
    use Algorithm::*;
    let hmac = |bytes: &str| EncodingKey::from_secret(bytes.as_bytes());
    let rsa = || EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap();
    let makers = [
        (HS256, hmac(SECRET), format!("secret = {SECRET:?}")),
        (HS384, hmac(SECRET), format!("secret = {SECRET:?}")),
        (HS512, hmac(SECRET), format!("secret = {SECRET:?}")),
        (RS256, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (RS384, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (RS512, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (PS256, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (PS384, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (PS512, rsa(), "key = { file = \"rsa.pub.pem\" }".to_owned()),
        (ES256, EncodingKey::from_ec_pem(&pem("p256.pem")).unwrap(), "key = { file = \"p256.pub.pem\" }".to_owned()),
        (ES384, EncodingKey::from_ec_pem(&pem("p384.pem")).unwrap(), "key = { file = \"p384.pub.pem\" }".to_owned()),
        (EdDSA, EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap(), "key = { file = \"ed25519.pub.pem\" }".to_owned()),
    ];
    let claims = json!({ "sub": "alice", "exp": from_now(60) });
    let tokens: Vec<_> = makers.iter().map(|(algorithm, key, _)| encode(&Header::new(*algorithm), &claims, key).unwrap()).collect();
    for (at, (algorithm, _, source)) in makers.iter().enumerate() {
        let stage = jwt(&format!("algorithms = \"{}\"\n{source}", algorithm::name(*algorithm)));
        for (from, token) in tokens.iter().enumerate() {
            let expected = if from == at { "" } else { "token_invalid: algorithm not allowed" };
            assert_eq!(judged(&stage, token), expected, "{:?} by {algorithm:?}", makers[from].0);
        }
    }
}

#[test]
fn algorithms_of_several_families_may_be_mixed() {
    let mixed = jwt(&format!(
        "algorithms = [\"HS256\", \"RS256\", \"PS256\", \"ES256\"]\nsecret = {SECRET:?}\nkey = [{{ file = \"rsa.pub.pem\" }}, {{ file = \"p256.pub.pem\" }}]"
    ));
    let claims = json!({ "exp": from_now(60) });
    let rsa = EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap();
    for token in [
        sign(&claims),
        encode(&Header::new(Algorithm::PS256), &claims, &rsa).unwrap(),
        encode(&Header::new(Algorithm::ES256), &claims, &EncodingKey::from_ec_pem(&pem("p256.pem")).unwrap()).unwrap(),
    ] {
        assert_eq!(judged(&mixed, &token), "");
    }
    assert_eq!(judged(&mixed, &encode(&Header::new(Algorithm::RS512), &claims, &rsa).unwrap()), "token_invalid: algorithm not allowed");
}

#[test]
fn a_public_key_is_no_secret_and_no_signature_is_none() {
    let claims = json!({ "exp": from_now(60) });
    let confused = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&pem("rsa.pub.pem"))).unwrap();
    let body = confused.split('.').nth(1).unwrap();
    let unsigned = format!("{}.{body}.", base64url(r#"{"alg":"none","typ":"JWT"}"#));
    let rs256 = jwt("algorithms = \"RS256\"\nkey = { file = \"rsa.pub.pem\" }");
    let mixed = jwt(&format!("algorithms = [\"RS256\", \"HS256\"]\nkey = {{ file = \"rsa.pub.pem\" }}\nsecret = {SECRET:?}"));
    assert_eq!(judged(&rs256, &confused), "token_invalid: algorithm not allowed");
    assert_eq!(judged(&mixed, &confused), "token_invalid: bad signature");
    assert_eq!(judged(&mixed, &unsigned), "token_invalid: malformed token");
}

#[test]
fn a_token_that_was_tampered_with_is_invalid_and_never_expired() {
    let stage = shared("");
    let token = sign(&json!({ "sub": "alice", "exp": from_now(-3600) }));
    assert_eq!(judged(&stage, &token), "token_expired: exp is past");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let forged = base64url(&json!({ "sub": "root", "exp": from_now(60) }).to_string());
    for (forgery, rule) in [
        (format!("{header}.{forged}.{signature}"), "bad signature"),
        (format!("{signed}."), "bad signature"),
        (format!("{signed}.!"), "malformed token"),
        (signed.to_owned(), "malformed token"),
        (format!("{token}.x"), "malformed token"),
        (String::new(), "malformed token"),
        ("..".to_owned(), "malformed token"),
        ("a".repeat(100_000), "malformed token"),
    ] {
        assert_eq!(judged(&stage, &forgery), format!("token_invalid: {rule}"));
    }
    let other = encode(&Header::new(Algorithm::HS256), &json!({ "exp": from_now(-60) }), &EncodingKey::from_secret(b"other")).unwrap();
    assert_eq!(judged(&stage, &other), "token_invalid: bad signature");
    let not_claims = encode(&Header::new(Algorithm::HS256), &json!(["exp"]), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    assert_eq!(judged(&stage, &not_claims), "token_invalid: malformed token");
}

#[test]
fn a_critical_header_is_refused_as_we_understand_none() {
    let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &json!({ "exp": from_now(60) }), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    assert_eq!(judged(&shared(""), &token), "token_invalid: critical header");
}

#[test]
fn claims_that_are_configured_must_be_there_and_right() {
    let strict = shared("issuer = [\"https://id\", \"https://id2\"]\naudience = [\"chat\", \"feed\"]\nrequire = [\"exp\", \"tenant\"]");
    let good = json!({ "exp": from_now(60), "iss": "https://id2", "aud": "chat", "tenant": "a" });
    assert_eq!(judged(&strict, &sign(&good)), "");
    for (claim, value, rule) in [
        ("exp", Value::Null, "exp is no date in seconds"),
        ("exp", json!("2999"), "exp is no date in seconds"),
        ("exp", json!(-1), "exp is no date in seconds"),
        ("exp", json!(from_now(60) * 1000), "exp is no date in seconds"),
        ("nbf", json!("now"), "nbf is no date in seconds"),
        ("iat", json!([1]), "iat is no date in seconds"),
        ("nbf", json!(from_now(3600)), "nbf is in the future"),
        ("iss", json!("https://evil"), "iss is none of `issuer`"),
        ("iss", json!(["https://id"]), "iss is none of `issuer`"),
        ("iss", Value::Null, "iss is none of `issuer`"),
        ("aud", json!("other"), "aud names none of `audience`"),
        ("aud", json!([]), "aud names none of `audience`"),
        ("aud", json!({ "chat": true }), "aud names none of `audience`"),
        ("tenant", Value::Null, "tenant is missing"),
    ] {
        let mut claims = good.clone();
        claims[claim] = value;
        assert_eq!(judged(&strict, &sign(&claims)), format!("token_invalid: {rule}"), "{claims}");
    }
    for claim in ["exp", "iss", "aud", "tenant"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(judged(&strict, &sign(&claims)), format!("token_invalid: {claim} is missing"));
    }
    for (claim, value) in [("aud", json!(["x", "feed"])), ("exp", json!(from_now(60) as f64 + 0.5))] {
        let mut claims = good.clone();
        claims[claim] = value;
        assert_eq!(judged(&strict, &sign(&claims)), "", "{claims}");
    }
    let rule = "token_invalid: aud is there, and no `audience` is configured";
    assert_eq!(judged(&shared(""), &sign(&json!({ "exp": from_now(60), "aud": "chat" }))), rule);
}

#[test]
fn a_required_claim_is_named_as_user_names_one_by_its_dotted_path_too() {
    let stage = shared("require = [\"realm.roles\", \"https://example.com/role\"]");
    let named = "https://example.com/role";
    for (claims, expected) in [
        (json!({ "realm": { "roles": ["a"] }, named: "admin" }), ""),
        (json!({ "realm.roles": ["a"], named: "admin" }), ""),
        (json!({ "realm": { "roles": null }, named: "admin" }), "token_invalid: realm.roles is missing"),
        (json!({ "realm": "roles", named: "admin" }), "token_invalid: realm.roles is missing"),
        (json!({ "realm": { "roles": [] } }), "token_invalid: https://example.com/role is missing"),
    ] {
        assert_eq!(judged(&stage, &sign(&claims)), expected, "{claims}");
    }
}

#[test]
fn leeway_bounds_both_ends_of_a_tokens_time() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for (leeway, claims, expected) in [
        ("30s", json!({ "exp": 1_000_000 - 29 }), ""),
        ("30s", json!({ "exp": 1_000_000 - 30 }), "token_expired: exp is past"),
        ("off", json!({ "exp": 1_000_001 }), ""),
        ("off", json!({ "exp": 1_000_000 }), "token_expired: exp is past"),
        ("30s", json!({ "exp": 2_000_000, "nbf": 1_000_030 }), ""),
        ("30s", json!({ "exp": 2_000_000, "nbf": 1_000_031 }), "token_invalid: nbf is in the future"),
        ("off", json!({ "exp": 2_000_000, "nbf": 1_000_001 }), "token_invalid: nbf is in the future"),
    ] {
        let stage = shared(&format!("leeway = {leeway:?}"));
        assert_eq!(said(stage.identify(&sign(&claims), now)), expected, "{claims} with {leeway}");
    }
}

#[test]
fn an_identity_lives_until_its_token_ends_and_for_grace_or_leeway_after() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    for (keys, exp, expires) in [
        ("", 1_000_100, at(1_000_100)),
        ("grace = \"off\"", 1_000_100, at(1_000_100)),
        ("grace = \"5m\"", 1_000_100, at(1_000_400)),
        ("leeway = \"30s\"", 999_990, at(1_000_020)),
        ("leeway = \"30s\"\ngrace = \"5s\"", 999_990, at(1_000_020)),
        ("leeway = \"30s\"\ngrace = \"20s\"", 999_990, at(1_000_010)),
    ] {
        let identity = shared(keys).identify(&sign(&json!({ "exp": exp })), at(1_000_000)).unwrap();
        assert_eq!(identity.expires, Some(expires), "{keys}");
    }
    assert_eq!(shared("require = []").identify(&sign(&json!({})), at(1_000_000)).unwrap().expires, None);
}

#[test]
fn an_identity_bears_what_stages_and_logs_need_and_nothing_of_the_token() {
    let stage = shared("user = [\"name\", \"realm.id\", \"sub\"]");
    for (claims, user) in [
        (json!({ "exp": from_now(60), "sub": "alice", "name": "" }), Some("alice")),
        (json!({ "exp": from_now(60), "sub": "alice", "realm": { "id": 7 } }), Some("7")),
        (json!({ "exp": from_now(60), "sub": true }), None),
    ] {
        let client = authenticated(&stage, &claims);
        let identity = client.identity("jwt.users").unwrap();
        assert_eq!(identity.user.as_deref(), user, "{claims}");
        assert_eq!((&*identity.by, identity.proof.algorithm), ("jwt.users", "HS256"));
        assert_eq!(client.claim("exp"), Some(claims["exp"].clone()));
        assert_eq!(serde_json::from_str::<Value>(&identity.claims).unwrap(), claims);
        assert!(identity.proof.key.starts_with("secret:") && !identity.proof.key.contains(SECRET));
    }
    assert_eq!(authenticated(&stage, &json!({ "exp": from_now(60), "realm": { "id": "x" } })).claim("realm.id"), Some(json!("x")));
    let large = sign(&json!({ "exp": from_now(60), "x": "x".repeat(MAX_CLAIMS) }));
    assert_eq!(judged(&stage, &large), "token_invalid: claims over 4096 bytes");
}

#[test]
fn the_kid_narrows_the_keys_that_have_one() {
    let keys = "key = [{ file = \"rsa.jwk.json\" }, { file = \"rsa-next.jwk.json\" }]";
    let named = jwt(&format!("algorithms = \"RS256\"\n{keys}"));
    let unnamed = jwt("algorithms = \"RS256\"\nkey = [{ file = \"rsa.pub.pem\" }, { file = \"rsa-next.pub.pem\" }]");
    let key = EncodingKey::from_rsa_pem(&pem("rsa-next.pem")).unwrap();
    let token = |kid: Option<&str>| {
        let header = Header { kid: kid.map(Into::into), ..Header::new(Algorithm::RS256) };
        encode(&header, &json!({ "exp": from_now(60) }), &key).unwrap()
    };
    for (stage, kid, expected) in [
        (&named, Some("2026-b"), ""),
        (&named, None, ""),
        (&named, Some("2026-a"), "token_invalid: bad signature"),
        (&named, Some("other"), "token_invalid: no key with this kid"),
        (&unnamed, Some("other"), ""),
        (&unnamed, None, ""),
    ] {
        assert_eq!(judged(stage, &token(kid)), expected, "{kid:?}");
    }
    let by = |stage: &Jwt| stage.identify(&token(None), SystemTime::now()).unwrap().proof.key.clone();
    assert_eq!(*by(&named), format!("2026-b:{}", by(&unnamed)));
    for (stage, kid, kept) in [(&named, None, Some("2026-b")), (&unnamed, Some("other"), Some("other")), (&unnamed, None, None)] {
        assert_eq!(stage.identify(&token(kid), SystemTime::now()).unwrap().proof.kid.as_deref(), kept, "{kid:?}");
    }
    assert_eq!(judged(&unnamed, &token(Some(&"k".repeat(MAX_KID + 1)))), "token_invalid: kid over 256 bytes");
}
