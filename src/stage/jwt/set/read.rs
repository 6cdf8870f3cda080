//! Reads a key set (RFC 7517 §5): the keys that can verify, and why others are passed over.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::stage::jwt::MAX_KID;
use crate::stage::jwt::keys::{Key, abilities, named};

/// Keys of one set; those beyond are passed over.
const MAX_KEYS: usize = 128;
/// Keys that are passed over and told of; the others are not.
const MAX_TOLD: usize = 16;

/// What a key set holds.
pub(in crate::stage::jwt) struct Read {
    /// The keys, in its order: at least one.
    pub(in crate::stage::jwt) keys: Vec<Key>,
    /// Of those that are none for us, which they are and why.
    pub(in crate::stage::jwt) passed_over: Vec<String>,
}

/// Reads a key set.
///
/// # Errors
/// Says why it is none: with not one key it would lock everybody out.
pub(in crate::stage::jwt) fn read(bytes: &[u8]) -> Result<Read, String> {
    let mut set: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    let Some(Value::Array(written)) = set.get_mut("keys").map(Value::take) else {
        return Err("it is no key set: it has no list `keys`".to_owned());
    };
    let mut found = Read { keys: Vec::new(), passed_over: Vec::new() };
    for (index, value) in written.into_iter().enumerate() {
        let name =
            value.get("kid").and_then(Value::as_str).map_or_else(|| format!("key {index}"), |kid| format!("key {index} ({kid:.64})"));
        let key = if found.keys.len() < MAX_KEYS { key(value) } else { Err(format!("it is beyond the first {MAX_KEYS}")) };
        match key {
            Ok(key) => found.keys.push(key),
            Err(why) if found.passed_over.len() < MAX_TOLD => found.passed_over.push(format!("{name}: {why}")),
            Err(_) => {}
        }
    }
    if found.keys.is_empty() {
        let first = found.passed_over.first().map(|first| format!("; {first}")).unwrap_or_default();
        return Err(format!("it holds no key that a signature could be verified with{first}"));
    }
    Ok(found)
}

fn key(value: Value) -> Result<Key, String> {
    if value.get("kty").is_some_and(|kind| kind == "oct") {
        return Err("it is a shared secret, which whoever reads the set would have".to_owned());
    }
    if value.get("d").is_some() {
        return Err("it is a private key, and published".to_owned());
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| format!("it cannot be read: {error}"))?;
    if !is_for_signatures(&jwk) {
        return Err("it is not for verifying signatures, by its `use` or `key_ops`".to_owned());
    }
    if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
        return Err("it is a shared secret".to_owned());
    }
    let kid = jwk.common.key_id.clone();
    if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(format!("its kid is over {MAX_KID} bytes"));
    }
    let decoding = DecodingKey::from_jwk(&jwk).map_err(|error| format!("it is no key: {error}"))?;
    let only = jwk.common.key_algorithm.map(Algorithm::try_from);
    let algorithms: Box<[_]> = abilities(&decoding)?
        .iter()
        .copied()
        .filter(|able| only.as_ref().is_none_or(|only| only.as_ref().is_ok_and(|only| only == able)))
        .collect();
    if algorithms.is_empty() {
        return Err("its `alg` is none that it could verify".to_owned());
    }
    Ok(Key { id: named(kid.as_deref(), &decoding)?, kid: kid.map(Into::into), decoding, algorithms })
}

/// Whether its `use` and `key_ops`, where they are there, allow what it is for here (RFC 7517 §4.2, §4.3).
pub(in crate::stage::jwt) fn is_for_signatures(jwk: &Jwk) -> bool {
    let is_used_so = jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    is_used_so && jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn jwk(name: &str, with: &Value) -> Value {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name);
        let mut jwk: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        jwk.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        jwk
    }

    fn read_all(keys: &[Value]) -> Result<Read, String> {
        read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_that_cannot_be_used_is_passed_over_and_the_others_are_taken() {
        let good = jwk("p256.jwk.json", &json!({ "kid": "good" }));
        for (why, other) in [
            ("a shared secret", json!({ "kty": "oct", "kid": "x", "k": "c2VjcmV0" })),
            ("a private key", jwk("rsa.jwk.json", &json!({ "d": "AQAB" }))),
            ("not for verifying", jwk("rsa.jwk.json", &json!({ "use": "enc" }))),
            ("not for verifying", jwk("rsa.jwk.json", &json!({ "key_ops": ["encrypt"] }))),
            ("is no key", json!({ "kty": "GOST", "kid": "x" })),
            ("cannot be read", json!("key")),
            ("is no key", json!({ "kty": "RSA", "n": "!", "e": "AQAB" })),
            ("2048 to 8192 bits", json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" })),
            ("`alg` is none", jwk("rsa.jwk.json", &json!({ "alg": "ES256" }))),
            ("over 256 bytes", jwk("rsa.jwk.json", &json!({ "kid": "k".repeat(257) }))),
        ] {
            let read = read_all(&[other.clone(), good.clone()]).unwrap();
            assert_eq!(read.keys.iter().map(|key| key.kid.as_deref()).collect::<Vec<_>>(), [Some("good")], "{other}");
            assert!(matches!(&*read.passed_over, [told] if told.contains(why)), "{:?} for {other}", read.passed_over);
        }
    }

    #[test]
    fn a_key_verifies_what_its_alg_allows_and_its_kind_can() {
        for (name, with, able) in [
            ("rsa.jwk.json", json!({ "alg": "RS256" }), vec![Algorithm::RS256]),
            ("p256.jwk.json", json!({ "use": "sig", "key_ops": ["verify"] }), vec![Algorithm::ES256]),
        ] {
            let read = read_all(&[jwk(name, &with)]).unwrap();
            assert_eq!(read.keys[0].algorithms.to_vec(), able, "{name}");
        }
    }

    #[test]
    fn what_holds_no_key_is_no_key_set() {
        for text in ["", "<html>", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "\"keys\""]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn as_many_keys_are_taken_as_may_be_and_no_more() {
        let read = read_all(&vec![jwk("p256.jwk.json", &json!({})); MAX_KEYS + MAX_TOLD + 9]).unwrap();
        assert_eq!((read.keys.len(), read.passed_over.len()), (MAX_KEYS, MAX_TOLD));
    }
}
