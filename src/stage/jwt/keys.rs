//! Keys and secrets: read from the table, each bound to the algorithms it may verify.

use std::sync::{Arc, LazyLock};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, crypto};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::secret::{Secret, SecretSource};
use crate::stage::Build;

use super::algorithm::{Signature, name};
use super::jose::Headers;
use super::set::read::is_for_signatures;
use super::sets::Sets;
use super::table::{OnKeyRemoved, Table, algorithms};

/// Keys of one stage: a token that names no key is tried against each.
const MAX_KEYS: usize = 32;
/// RSA moduli that the cryptographic library takes, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// What is said of a text that is no key.
const NO_KEY: &str = "this is neither a key in PEM nor a JWK";
/// Characters kept of a fingerprint: 96 bits.
const FINGERPRINT: usize = 16;

/// A key that verifies, with the algorithms it may verify.
pub(super) struct Key {
    /// What it is called in identities and the log. Another key has another name.
    pub(super) id: Arc<str>,
    /// The `kid` of its JWK.
    pub(super) kid: Option<Arc<str>>,
    pub(super) decoding: DecodingKey,
    /// All of the key's own family.
    pub(super) algorithms: Box<[Algorithm]>,
}

/// What signs the tokens that `wsgate token` mints.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
}

/// The keys of one stage.
pub(super) struct Keys {
    pub(super) all: Box<[Key]>,
    /// The key sets, whose keys may change at any time.
    pub(super) sets: Sets,
    /// The algorithms that keys of a set may verify.
    pub(super) paired: Box<[Algorithm]>,
    /// Whether a key that has gone from its set is good for those it has let in.
    pub(super) keeps: bool,
    /// The first secret, with the first algorithm that goes with one.
    pub(super) signer: Option<Signer>,
    pub(super) headers: Headers,
}

impl Keys {
    /// Reads a table's keys; every fault is added.
    pub(super) fn read(table: &Table, build: &mut Build<'_>, faults: &mut Faults) -> Self {
        let at = build.at().clone();
        let (shared, paired): (Vec<Signature>, Vec<Signature>) = table.algorithms.iter().partition(|signature| signature.is_hmac());
        for (key, is_there, algorithms, kind) in [
            ("secret", !table.secret.is_empty(), &shared, "an HS algorithm"),
            ("key", !table.key.is_empty(), &paired, "an RS, PS, ES or EdDSA algorithm"),
            ("jwks", table.jwks.is_some(), &paired, "an RS, PS, ES or EdDSA algorithm"),
        ] {
            if is_there && algorithms.is_empty() {
                faults.push(Fault::new(at.key(key), format!("`{key}` goes with {kind}, and `algorithms` has none")));
            }
        }
        let mut all = Vec::new();
        let mut signer = None;
        for (index, source) in table.secret.iter().take(MAX_KEYS).enumerate() {
            let at = at.key("secret").index(index);
            let found = build.secret(at.clone(), source);
            let read = |secret: Secret| from_secret(&secret, &shared, at, build).map_err(|fault| in_its_place(fault, source));
            match found.and_then(read) {
                Ok(key) => all.extend(key.map(|(key, signs)| {
                    signer.get_or_insert(signs);
                    key
                })),
                Err(fault) => faults.push(fault),
            }
        }
        for (index, source) in table.key.iter().take(MAX_KEYS).enumerate() {
            let at = at.key("key").index(index);
            let read = |text: Secret| from_text(text.expose(), &paired, &at).map_err(|fault| in_its_place(fault, source));
            match build.secret(at.clone(), source).and_then(read) {
                Ok(key) => all.push(key),
                Err(fault) => faults.push(fault),
            }
        }
        if table.secret.len().max(table.key.len()) > MAX_KEYS {
            faults.push(Fault::new(at.clone(), format!("more than {MAX_KEYS} keys: a token may have to be tried against each")));
        }
        let sets = Sets::read(table, build, faults);
        if !table.issuer.is_empty() && table.issuer.iter().all(|issuer| sets.are_there_for(&issuer.iss)) {
            for (key, is_there) in [("secret", !table.secret.is_empty()), ("key", !table.key.is_empty()), ("jwks", table.jwks.is_some())] {
                if is_there {
                    let warning = Fault::warning(at.key(key), format!("`{key}` verifies nobody: each issuer has keys of its own"));
                    build.warnings.push(warning.hint("leave it out, or add the issuer that it is for"));
                }
            }
        }
        // Left out, they are all that any key verifies.
        if !faults.refuse() && (all.is_empty() && sets.is_empty() || *table.algorithms != *algorithms()) {
            for (index, signature) in table.algorithms.iter().enumerate() {
                let is_a_sets = !sets.is_empty() && !signature.is_hmac();
                if !is_a_sets && !all.iter().any(|key: &Key| key.algorithms.contains(&signature.get())) {
                    let source = if signature.is_hmac() { "secret" } else { "key" };
                    let message = format!("no `{source}` can verify {}", name(signature.get()));
                    faults.push(Fault::new(at.key("algorithms").index(index), message));
                }
            }
        }
        let paired = paired.iter().map(|signature| signature.get()).collect();
        Self { all: all.into(), sets, paired, keeps: table.on_key_removed == OnKeyRemoved::Keep, signer, headers: Headers::default() }
    }
}

/// A shared secret's key; none where no algorithm goes with it, which is a fault already.
fn from_secret(secret: &Secret, algorithms: &[Signature], at: KeyPath, build: &mut Build<'_>) -> Result<Option<(Key, Signer)>, Fault> {
    let bytes = secret.expose().as_bytes();
    if bytes.is_empty() {
        return Err(Fault::new(at, "this secret is empty: anybody could sign with it"));
    }
    if bytes.starts_with(b"-----BEGIN") {
        return Err(Fault::new(at, "this is a PEM key, not a shared secret").hint("a public key stands in `key`"));
    }
    let (Some(first), Some(longest)) = (algorithms.first(), algorithms.iter().max_by_key(|signature| signature.least_secret())) else {
        return Ok(None);
    };
    let least = longest.least_secret();
    if bytes.len() < least {
        let message = format!("this secret has {} bytes, {} asks for {least} or more (RFC 7518 §3.2)", bytes.len(), name(longest.get()));
        build.warnings.push(Fault::warning(at.clone(), message).hint("make one with: openssl rand -base64 64"));
    }
    let id = secret_id(bytes).map_err(|error| Fault::new(at, format!("this secret cannot be used: {error}")))?;
    let signer = Signer { algorithm: first.get(), key: EncodingKey::from_secret(bytes) };
    let algorithms = algorithms.iter().map(|signature| signature.get()).collect();
    Ok(Some((Key { id, kid: None, decoding: DecodingKey::from_secret(bytes), algorithms }, signer)))
}

/// A name for a secret that tells whether it was replaced, and that nobody can guess the secret from: it is keyed with a random
/// number that never leaves this process. A plain hash would let a weak secret be found by trying, from the log alone.
fn secret_id(secret: &[u8]) -> jsonwebtoken::errors::Result<Arc<str>> {
    static PROCESS: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
    let digest = crypto::sign(secret, &EncodingKey::from_secret(&*PROCESS), Algorithm::HS256)?;
    Ok(format!("secret:{}", digest.chars().take(FINGERPRINT).collect::<String>()).into())
}

/// Says of a key or secret that does not stand in the table where it does.
fn in_its_place(mut fault: Fault, source: &SecretSource) -> Fault {
    let place = match source {
        SecretSource::Literal(_) if fault.message == NO_KEY => return fault.hint("to read it from a file, write { file = \"...\" }"),
        SecretSource::Literal(_) => return fault,
        SecretSource::File { path } => path.display().to_string(),
        SecretSource::Env { name, .. } => format!("the variable {name}"),
    };
    fault.message = format!("{place}: {}", fault.message);
    fault
}

/// A public key in PEM, or as a JWK (RFC 7517).
fn from_text(text: &str, algorithms: &[Signature], at: &KeyPath) -> Result<Key, Fault> {
    let text = text.trim();
    let (decoding, kid, only) = if text.starts_with('{') {
        let jwk = parse_jwk(text, at)?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|error| Fault::new(at.clone(), format!("this JWK is no key: {error}")))?;
        (decoding, jwk.common.key_id, jwk.common.key_algorithm)
    } else if text.starts_with("-----BEGIN") {
        (parse_pem(text, at)?, None, None)
    } else {
        return Err(Fault::new(at.clone(), NO_KEY));
    };
    let can = abilities(&decoding).map_err(|why| Fault::new(at.clone(), why))?;
    let may: Vec<Algorithm> =
        can.iter().copied().filter(|able| only.is_none_or(|only| Algorithm::try_from(only).is_ok_and(|only| only == *able))).collect();
    let able: Box<[_]> = algorithms.iter().map(|signature| signature.get()).filter(|wanted| may.contains(wanted)).collect();
    if able.is_empty() && !algorithms.is_empty() {
        let names: Vec<_> = may.iter().map(|algorithm| name(*algorithm)).collect();
        return Err(Fault::new(
            at.clone(),
            match names.as_slice() {
                [] => "this JWK names an algorithm its key cannot be used with".to_owned(),
                [one] => format!("this key verifies {one}, which is not in `algorithms`"),
                _ => format!("this key verifies {}, none of which is in `algorithms`", names.join(", ")),
            },
        ));
    }
    let id = named(kid.as_deref(), &decoding).map_err(|why| Fault::new(at.clone(), why))?;
    Ok(Key { id, kid: kid.map(Into::into), decoding, algorithms: able })
}

/// What a key is called: its `kid`, where it has one, and what tells it from any other of the same.
pub(super) fn named(kid: Option<&str>, decoding: &DecodingKey) -> Result<Arc<str>, String> {
    let thumbprint = Jwk::from_decoding_key(decoding, None).and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256));
    let thumbprint = thumbprint.map_err(|error| format!("this key cannot be used: {error}"))?;
    let short: String = thumbprint.chars().take(FINGERPRINT).collect();
    Ok(kid.map_or_else(|| short.clone(), |kid| format!("{kid}:{short}")).into())
}

fn parse_pem(text: &str, at: &KeyPath) -> Result<DecodingKey, Fault> {
    let fault = |message: &str| Fault::new(at.clone(), message);
    if text.contains("PRIVATE KEY-----") {
        let hint = "write the public one with: openssl pkey -in KEY -pubout";
        return Err(fault("this is a private key: the gateway needs the public one, and should not hold the other").hint(hint));
    }
    if text.contains("BEGIN CERTIFICATE-----") {
        return Err(fault("this is a certificate, not a key").hint("write its key with: openssl x509 -in CERTIFICATE -pubkey -noout"));
    }
    if text.matches("-----BEGIN").count() > 1 {
        return Err(fault("there is more than one key in here").hint("make `key` a list, with one in each place"));
    }
    let bytes = text.as_bytes();
    DecodingKey::from_rsa_pem(bytes)
        .or_else(|_| DecodingKey::from_ec_pem(bytes))
        .or_else(|_| DecodingKey::from_ed_pem(bytes))
        .map_err(|_| fault("this PEM holds no RSA, P-256, P-384 or Ed25519 public key"))
}

fn parse_jwk(text: &str, at: &KeyPath) -> Result<Jwk, Fault> {
    let fault = |message: String| Fault::new(at.clone(), message);
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| fault(format!("this JWK is not JSON: {error}")))?;
    if value.get("keys").is_some() {
        return Err(fault("this is a set of keys, not one key".into()).hint("make `key` a list, with one JWK in each place"));
    }
    if value.get("d").is_some() {
        return Err(fault("this JWK holds the private key: leave the public members only".into()));
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| fault(format!("this JWK cannot be read: {error}")))?;
    if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
        return Err(fault("this JWK is a shared secret".into()).hint("what its `k` decodes to stands in `secret`"));
    }
    if !is_for_signatures(&jwk) {
        return Err(fault("this JWK is not for verifying signatures: see its `use` and `key_ops`".into()));
    }
    Ok(jwk)
}

/// What a key can verify by its type and size.
pub(super) fn abilities(decoding: &DecodingKey) -> Result<&'static [Algorithm], String> {
    let jwk = Jwk::from_decoding_key(decoding, None).map_err(|error| format!("this key cannot be used: {error}"))?;
    match &jwk.algorithm {
        // Base64 carries three bytes in four characters.
        AlgorithmParameters::RSA(rsa) if !RSA_BYTES.contains(&(rsa.n.len() * 3 / 4)) => Err("an RSA key has 2048 to 8192 bits".to_owned()),
        AlgorithmParameters::RSA(_) => {
            Ok(&[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512])
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Ok(&[Algorithm::ES256]),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => Ok(&[Algorithm::ES384]),
        AlgorithmParameters::OctetKeyPair(_) if decoding.family() == AlgorithmFamily::Ed => Ok(&[Algorithm::EdDSA]),
        _ => Err("this is no RSA, P-256, P-384 or Ed25519 key".to_owned()),
    }
}
