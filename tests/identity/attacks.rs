//! The table of attacks with tokens: each is told no, nothing of it reaches the backend, and nothing of it is logged.

use std::sync::atomic::Ordering;

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::forged::{base64url, claims, file, good, hs256, signed, token, with};
use super::requests::requests;
use super::support::{now, raw};
use super::{counting, gateway, keys};

/// A request that is to be refused.
pub(super) struct Attack {
    pub(super) what: &'static str,
    /// The request's target.
    pub(super) target: String,
    /// Header lines.
    pub(super) lines: String,
    /// What must not be told or logged.
    pub(super) secret: String,
    pub(super) outcome: &'static str,
    pub(super) status: u16,
}

/// An attack that bears a token, or what pretends to be one, as `Authorization: Bearer`.
fn bearing(what: &'static str, path: &str, token: String, outcome: &'static str) -> Attack {
    let lines = format!("Authorization: Bearer {token}\r\n");
    Attack { what, target: path.to_owned(), lines, secret: token, outcome, status: 401 }
}

/// Algorithms that are none, or not the key's.
fn algorithms() -> Vec<Attack> {
    let all = claims().to_string();
    let invalid = |what, path: &str, token| bearing(what, path, token, "token_invalid");
    let stripped = |header: &str| format!("{}.", signed(header, &all));
    let public = || EncodingKey::from_secret(&file("rsa.pub.pem"));
    let secret = |secret: &[u8]| EncodingKey::from_secret(secret);
    let zeros = |header: &str| format!("{}.{}", signed(header, &all), base64url(&[0; 64]));
    vec![
        invalid("alg: none", "/shared", stripped(r#"{"alg":"none"}"#)),
        invalid("alg: None", "/shared", stripped(r#"{"alg":"None"}"#)),
        invalid("alg: NONE", "/mixed", stripped(r#"{"alg":"NONE","typ":"JWT"}"#)),
        invalid("alg: nOnE", "/rsa", stripped(r#"{"alg":"nOnE"}"#)),
        invalid("alg: none, with a signature", "/shared", hs256(r#"{"alg":"none"}"#, &all)),
        invalid("no alg at all", "/shared", hs256(r#"{"typ":"JWT"}"#, &all)),
        invalid("an empty alg", "/shared", hs256(r#"{"alg":""}"#, &all)),
        invalid("alg in small letters", "/shared", hs256(r#"{"alg":"hs256"}"#, &all)),
        invalid("alg twice, none first", "/shared", hs256(r#"{"alg":"none","alg":"HS256"}"#, &all)),
        invalid("alg twice, none last", "/shared", hs256(r#"{"alg":"HS256","alg":"none"}"#, &all)),
        invalid("alg as a list", "/shared", hs256(r#"{"alg":["HS256"]}"#, &all)),
        invalid(
            "another HMAC than is allowed",
            "/shared",
            token(r#"{"alg":"HS512"}"#, &all, &secret(super::SECRET.as_bytes()), Algorithm::HS512),
        ),
        invalid("the public key as an HMAC secret", "/rsa", token(r#"{"alg":"HS256"}"#, &all, &public(), Algorithm::HS256)),
        invalid("the same where both are allowed", "/mixed", token(r#"{"alg":"HS256"}"#, &all, &public(), Algorithm::HS256)),
        invalid("an HMAC called RS256", "/rsa", token(r#"{"alg":"RS256"}"#, &all, &public(), Algorithm::HS256)),
        invalid("an empty HMAC secret", "/shared", token(r#"{"alg":"HS256"}"#, &all, &secret(b""), Algorithm::HS256)),
        invalid("an extension that must be understood", "/shared", hs256(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &all)),
        invalid("a signature of zeros (ES256)", "/mixed", zeros(r#"{"alg":"ES256"}"#)),
        invalid("a signature of zeros (EdDSA)", "/mixed", zeros(r#"{"alg":"EdDSA"}"#)),
        invalid("a header that is no object", "/shared", hs256(r#"["HS256"]"#, &all)),
        invalid("a header that is cut", "/shared", hs256(r#"{"alg":"HS256""#, &all)),
    ]
}

/// Keys that a token brings along, or points to.
fn key_names() -> Vec<Attack> {
    let all = claims().to_string();
    let invalid = |what, path: &str, token| bearing(what, path, token, "token_invalid");
    let rsa = || EncodingKey::from_rsa_pem(&file("rsa.pem")).unwrap();
    let next = || EncodingKey::from_rsa_pem(&file("rsa-next.pem")).unwrap();
    let rs = |header: &str, key: &EncodingKey| token(header, &all, key, Algorithm::RS256);
    let secret = |secret: &[u8]| EncodingKey::from_secret(secret);
    let x = "x".repeat(300);
    vec![
        invalid(
            "a key within the token (jwk, oct)",
            "/shared",
            token(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"ZXZpbA"}}"#, &all, &secret(b"evil"), Algorithm::HS256),
        ),
        invalid(
            "a key within the token (jwk, RSA)",
            "/rsa",
            rs(
                &format!(r#"{{"alg":"RS256","kid":"2026-a","jwk":{}}}"#, String::from_utf8(file("rsa-next.jwk.json")).unwrap().trim()),
                &next(),
            ),
        ),
        invalid(
            "a key set of its own (jku)",
            "/rsa",
            rs(r#"{"alg":"RS256","kid":"evil","jku":"https://evil.example/jwks.json"}"#, &next()),
        ),
        invalid(
            "a certificate of its own (x5u)",
            "/rsa",
            rs(r#"{"alg":"RS256","kid":"evil","x5u":"https://evil.example/c.pem"}"#, &next()),
        ),
        invalid("a certificate within (x5c)", "/rsa", rs(r#"{"alg":"RS256","kid":"2026-a","x5c":["MIIB"]}"#, &next())),
        invalid("another key than its kid says", "/rsa", rs(r#"{"alg":"RS256","kid":"2026-b"}"#, &rsa())),
        invalid("a kid nobody has", "/rsa", rs(r#"{"alg":"RS256","kid":"2027"}"#, &rsa())),
        invalid(
            "a kid that is a path",
            "/rsa",
            token(r#"{"alg":"HS256","kid":"../../../../dev/null"}"#, &all, &secret(b""), Algorithm::HS256),
        ),
        invalid("the same of RS256", "/rsa", rs(r#"{"alg":"RS256","kid":"/proc/self/environ"}"#, &next())),
        invalid(
            "a kid that is SQL",
            "/rsa",
            token(r#"{"alg":"RS256","kid":"x' UNION SELECT 'k'--"}"#, &all, &secret(b"k"), Algorithm::HS256),
        ),
        invalid("a kid that is a command", "/rsa", rs(r#"{"alg":"RS256","kid":"|/usr/bin/id"}"#, &next())),
        invalid("a kid with a line break", "/rsa", rs(r#"{"alg":"RS256","kid":"a\r\nSet-Cookie: a=b"}"#, &next())),
        invalid("a kid with a zero byte", "/rsa", rs(r#"{"alg":"RS256","kid":"2026-a\u0000"}"#, &next())),
        invalid("a kid that is a list", "/rsa", rs(r#"{"alg":"RS256","kid":["2026-a"]}"#, &rsa())),
        invalid("a kid without end", "/mixed", hs256(&format!(r#"{{"alg":"HS256","kid":"{x}"}}"#), &with("aud", Value::Null))),
    ]
}

/// What claims say, truly signed, and should not get by with.
fn saying() -> Vec<Attack> {
    let of = |what, claims: &str, outcome| bearing(what, "/shared", hs256(r#"{"alg":"HS256"}"#, claims), outcome);
    let said = |what, claim: &str, value: Value| of(what, &with(claim, value), "token_invalid");
    let exp = |text: &str| with("exp", json!(0)).replace("\"exp\":0", text);
    let twice = |first: u64, last: u64| exp(&format!("\"exp\":{first},\"exp\":{last}"));
    vec![
        said("exp as text", "exp", json!("9999999999")),
        said("exp as a list", "exp", json!([now() + 60])),
        said("exp as an object", "exp", json!({ "at": now() + 60 })),
        said("exp as true", "exp", json!(true)),
        said("exp before 1970", "exp", json!(-1)),
        said("exp in milliseconds", "exp", json!((now() + 60) * 1000)),
        of("exp beyond all numbers", &exp("\"exp\":1e400"), "token_invalid"),
        of("exp that is no number", &exp("\"exp\":NaN"), "token_invalid"),
        of("exp that is null", &exp("\"exp\":null"), "token_invalid"),
        said("no exp", "exp", Value::Null),
        of("exp in the past", &with("exp", json!(now() - 1)), "token_expired"),
        of("exp twice, the last in the past", &twice(now() + 60, now() - 60), "token_expired"),
        said("nbf in the future", "nbf", json!(now() + 600)),
        said("nbf as text", "nbf", json!("0")),
        said("iat as text", "iat", json!("0")),
        said("no iss", "iss", Value::Null),
        said("another iss", "iss", json!("https://id.example.com.evil.example")),
        said("iss with a slash more", "iss", json!("https://id.example.com/")),
        said("iss in capitals", "iss", json!("HTTPS://ID.EXAMPLE.COM")),
        said("iss as a list", "iss", json!(["https://id.example.com"])),
        said("no aud", "aud", Value::Null),
        said("another aud", "aud", json!("chat2")),
        said("an empty list of aud", "aud", json!([])),
        said("aud as an object", "aud", json!({ "chat": true })),
        said("aud within a list within a list", "aud", json!([["chat"]])),
        said("claims without end", "x", json!("x".repeat(5000))),
        of("claims that are a list", "[\"exp\"]", "token_invalid"),
        of("claims that are text", "\"exp\"", "token_invalid"),
        of("claims that are nothing", "", "token_invalid"),
    ]
}

/// Good tokens, tampered with.
fn bent() -> Vec<Attack> {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = *parts else { panic!("{good}") };
    let root = base64url(with("sub", json!("root")).as_bytes());
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let rows = [
        ("a signature stripped", format!("{header}.{body}.")),
        ("a signature cut away with its dot", format!("{header}.{body}")),
        ("a signature one digit short", good[..good.len() - 1].to_owned()),
        ("half a signature", good[..good.len() - signature.len() / 2].to_owned()),
        ("another first digit", format!("{header}.{body}.{flipped}")),
        ("a signature twice", format!("{good}{signature}")),
        ("other claims under it", format!("{header}.{root}.{signature}")),
        ("a header of another key", format!("{}.{body}.{signature}", base64url(b"{\"alg\":\"HS256\",\"kid\":\"x\"}"))),
        ("padding behind the signature", format!("{good}=")),
        ("padding behind the claims", format!("{header}.{body}==.{signature}")),
        ("padding behind the header", format!("{header}=.{body}.{signature}")),
        ("the other alphabet of base64", format!("{header}.{body}.{}+/", &signature[..signature.len() - 2])),
        ("a blank within", format!("{header}. {body}.{signature}")),
        ("a fourth part", format!("{good}.{signature}")),
        ("five parts, as of JWE", format!("{good}.{signature}.{signature}")),
        ("parts in another order", format!("{body}.{header}.{signature}")),
        ("dots alone", "..".to_owned()),
        ("nothing", String::new()),
        ("a token within quotes", format!("\"{good}\"")),
        ("12 KiB of nothing", "A".repeat(12 << 10)),
        ("12 KiB of dots", ".".repeat(12 << 10)),
    ];
    rows.into_iter().map(|(what, token)| bearing(what, "/shared", token, "token_invalid")).collect()
}

/// Where tokens stand, and should not be read, or not together.
fn standing() -> Vec<Attack> {
    let good = good();
    let bad = &good[..good.len() - 4];
    let row = |what, target: String, lines: String, outcome, status| Attack { what, target, lines, secret: good.clone(), outcome, status };
    let missing = |what, target: &str, lines: String| row(what, target.to_owned(), lines, "token_missing", 401);
    let invalid = |what, target: String, lines: String| row(what, target, lines, "token_invalid", 401);
    let shared = || "/shared".to_owned();
    vec![
        missing("no token", "/shared", String::new()),
        missing("another parameter", &format!("/shared?access_token={good}"), String::new()),
        missing("a parameter in capitals", &format!("/shared?TOKEN={good}"), String::new()),
        missing("another header", "/shared", format!("X-Auth-Token: {good}\r\n")),
        missing("a header for proxies", "/shared", format!("Proxy-Authorization: Bearer {good}\r\n")),
        missing("another scheme", "/shared", format!("Authorization: Token {good}\r\n")),
        missing("no scheme", "/shared", format!("Authorization: {good}\r\n")),
        missing("a scheme glued to it", "/shared", format!("Authorization: Bearer:{good}\r\n")),
        missing("another cookie", "/shared", format!("Cookie: token={good}\r\n")),
        missing("a cookie in capitals", "/shared", format!("Cookie: Session={good}\r\n")),
        missing("a subprotocol without its marker", "/shared", format!("Sec-WebSocket-Protocol: {good}\r\n")),
        missing("a marker behind its token", "/shared", format!("Sec-WebSocket-Protocol: {good}, bearer\r\n")),
        invalid("two Authorization headers", shared(), format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n")),
        invalid("a bad one before a good one", shared(), format!("Authorization: Bearer {bad}\r\nAuthorization: Bearer {good}\r\n")),
        invalid("a Basic one beside a good one", shared(), format!("Authorization: Bearer {good}\r\nAuthorization: Basic eDp5\r\n")),
        invalid("a bad header and a good parameter", format!("/shared?token={good}"), format!("Authorization: Bearer {bad}\r\n")),
        invalid("an empty header and a good cookie", shared(), format!("Authorization: Bearer \r\nCookie: session={good}\r\n")),
        invalid("a bad parameter and a good cookie", format!("/shared?token={bad}"), format!("Cookie: session={good}\r\n")),
        invalid("a parameter twice", format!("/shared?token={bad}&token={good}"), String::new()),
        invalid("a parameter twice, once in disguise", format!("/shared?token={good}&%74oken={good}"), String::new()),
        invalid("a cookie twice", shared(), format!("Cookie: session={bad}; session={good}\r\n")),
        invalid("a marker twice", shared(), format!("Sec-WebSocket-Protocol: bearer, {bad}, bearer, {good}\r\n")),
        invalid("two tokens behind one scheme", shared(), format!("Authorization: Bearer {good} {good}\r\n")),
        row("a head without end", shared(), format!("Authorization: Bearer {}\r\n", good.repeat(120)), "head_too_large", 431),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_told_no_and_reaches_neither_the_backend_nor_the_log() {
    let (backend, reached) = counting().await;
    let mut gateway = gateway(backend);
    let all: Vec<Attack> =
        [algorithms(), key_names(), saying(), bent(), standing(), keys::attacks(), requests()].into_iter().flatten().collect();
    assert!(all.len() >= 60, "{}", all.len());
    let mut wrong = Vec::new();
    for attack in &all {
        let Attack { what, target, lines, outcome, status, .. } = attack;
        let answer = raw::exchange(gateway.address("public"), raw::upgrade(target, lines).as_bytes()).await;
        let event = gateway.event("refused");
        let is_told = answer.starts_with(&format!("HTTP/1.1 {status} "));
        if !is_told || event["outcome"] != *outcome || event["status"] != *status {
            wrong.push(format!("{what}: {answer} {event}"));
        }
        // All parts of a token, that none is told by halves.
        let told = |text: &str| attack.secret.split(['.', '=', ' ', '"']).any(|part| part.len() > 16 && text.contains(part));
        if told(&answer) || told(&event.to_string()) {
            wrong.push(format!("{what} tells its secret: {answer} {event}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    for (path, line) in [("/shared", format!("Authorization: Bearer {}", good())), ("/keys", format!("X-API-Key: {}", super::GOOD_KEY))] {
        let mut stream = tokio::net::TcpStream::connect(gateway.address("public")).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, raw::upgrade(path, &format!("{line}\r\n")).as_bytes()).await.unwrap();
        let head = super::backend::read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 2);
}
