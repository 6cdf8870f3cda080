//! Signature algorithms by the names RFC 7518 §3.1 and RFC 8037 §3.1 give them.

use std::borrow::Cow;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A signature algorithm the gateway verifies; `none` is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Signature(Algorithm);

const NAMES: [(&str, Algorithm); 12] = [
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

impl Signature {
    /// Every one that is made with a key pair.
    pub(super) fn paired() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, algorithm)| Self(algorithm)).filter(|signature| !signature.is_hmac())
    }

    /// As the library names it.
    pub(super) fn get(self) -> Algorithm {
        self.0
    }

    /// Whether it is made with a shared secret rather than a key pair.
    pub(super) fn is_hmac(self) -> bool {
        self.0.family() == AlgorithmFamily::Hmac
    }

    /// The length in bytes that a secret must have at least: its hash's (RFC 7518 §3.2).
    pub(super) fn least_secret(self) -> usize {
        match self.0 {
            Algorithm::HS512 => 64,
            Algorithm::HS384 => 48,
            _ => 32,
        }
    }
}

/// The name of an algorithm.
pub(super) fn name(algorithm: Algorithm) -> &'static str {
    NAMES.iter().find(|(_, named)| *named == algorithm).map_or("unknown", |(name, _)| name)
}

impl From<Signature> for &'static str {
    fn from(signature: Signature) -> Self {
        name(signature.0)
    }
}

impl TryFrom<String> for Signature {
    type Error = String;

    #[allow(clippy::needless_pass_by_value, reason = "serde's try_from takes the value")]
    fn try_from(written: String) -> Result<Self, String> {
        if let Some((_, algorithm)) = NAMES.iter().find(|(name, _)| *name == written) {
            return Ok(Self(*algorithm));
        }
        if written.eq_ignore_ascii_case("none") {
            return Err("`none` is no signature: anybody could make such a token".into());
        }
        let nearest = NAMES.iter().map(|(name, _)| *name).max_by(|a, b| {
            let likeness = |name| strsim::jaro_winkler(&written.to_ascii_uppercase(), name);
            likeness(a).total_cmp(&likeness(b))
        });
        Err(format!("{written:?} is no algorithm that tokens are verified with; did you mean {}?", nearest.unwrap_or("HS256")))
    }
}

impl JsonSchema for Signature {
    fn schema_name() -> Cow<'static, str> {
        "SignatureAlgorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a signature algorithm", "enum": NAMES.map(|(name, _)| name) })
    }
}
