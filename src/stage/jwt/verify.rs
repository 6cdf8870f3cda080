//! Verification: which key a token may be tried against, and what its signature is worth.

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, crypto, decode_header};

use crate::stage::refusal::{Refusal, TOKEN_INVALID};

use super::claims::Claims;
use super::keys::{Key, Keys};

/// What a signature proves: these claims are from whoever holds this key.
pub(super) struct Verified<'a> {
    pub(super) claims: Claims,
    pub(super) key: &'a Key,
    /// The key's own `kid`, or the token's where the key has none.
    pub(super) kid: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
}

impl Keys {
    /// Verifies a token's signature (RFC 7515 §5.2). The token picks among the configured keys and algorithms, never beyond them.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, with the kind of failure as its rule and nothing of the token.
    pub(super) fn verify(&self, token: &str) -> Result<Verified<'_>, Box<Refusal>> {
        let invalid = |rule: &str| Box::new(Refusal::new(TOKEN_INVALID).rule(rule));
        let header = decode_header(token).map_err(|_| invalid("malformed token"))?;
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: an extension that must be understood, and we understand none.
            return Err(invalid("critical header"));
        }
        let able = || self.all.iter().filter(|key| key.algorithms.contains(&header.alg));
        if able().next().is_none() {
            return Err(Box::new(invalid("algorithm not allowed").at("algorithms")));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| invalid("malformed token"))?;
        let is_named = |key: &&Key| header.kid.is_none() || key.kid.is_none() || key.kid.as_deref() == header.kid.as_deref();
        let mut failure = "no key with this kid";
        for key in able().filter(is_named) {
            match crypto::verify(signature, signed.as_bytes(), &key.decoding, header.alg) {
                Ok(true) => {
                    // Read once, and not before it is known who wrote them.
                    let claims = insecure_decode_claims(token).map_err(|_| invalid("malformed token"))?;
                    let kid = key.kid.clone().or_else(|| header.kid.as_deref().map(Into::into));
                    return Ok(Verified { claims, key, kid, algorithm: header.alg });
                }
                Ok(false) => failure = "bad signature",
                Err(_) => failure = "malformed token",
            }
        }
        Err(invalid(failure))
    }

    /// As if the first key had signed these claims.
    ///
    /// # Errors
    /// `TOKEN_INVALID` where there is no key.
    pub(super) fn suppose(&self, claims: &Claims) -> Result<Verified<'_>, Box<Refusal>> {
        let first = self.all.first().and_then(|key| Some((key, *key.algorithms.first()?)));
        let (key, algorithm) = first.ok_or_else(|| Box::new(Refusal::new(TOKEN_INVALID).rule("no key")))?;
        Ok(Verified { claims: claims.clone(), key, kid: key.kid.clone(), algorithm })
    }
}
