//! Tokens as nobody's library would make them.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::KEYS;
use super::support::{SECRET, now};

/// Claims that `jwt.shared` takes.
pub(super) fn claims() -> Value {
    json!({ "sub": "alice", "iss": "https://id.example.com", "aud": "chat", "exp": now() + 3600 })
}

/// The same, with one changed; `null` takes it out.
pub(super) fn with(claim: &str, value: Value) -> String {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
        value => claims[claim] = value,
    }
    claims.to_string()
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        text.extend((0..=three.len()).map(|at| char::from(DIGITS[(group >> (18 - 6 * at)) as usize & 63])));
    }
    text
}

/// What is signed: header and claims, as they are written.
pub(super) fn signed(header: &str, claims: &str) -> String {
    format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()))
}

/// A token of this header and these claims, signed so.
pub(super) fn token(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signed = signed(header, claims);
    let signature = crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// A token signed with the shared secret.
pub(super) fn hs256(header: &str, claims: &str) -> String {
    token(header, claims, &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256)
}

/// A token as the issuer makes them.
pub(super) fn good() -> String {
    hs256(r#"{"alg":"HS256","typ":"JWT"}"#, &claims().to_string())
}

/// A good token of `jwt.mixed`, whose stage has no audience, with these claims besides.
pub(super) fn mixed(more: &Value) -> String {
    let mut claims = json!({ "sub": "alice", "exp": now() + 3600 });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    hs256(r#"{"alg":"HS256"}"#, &claims.to_string())
}

pub(super) fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{KEYS}/{name}")).unwrap()
}
