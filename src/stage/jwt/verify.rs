//! Verification: which key a token may be tried against, and what its signature is worth.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, crypto};
use serde_json::{Map, Value};

use crate::stage::Identity;
use crate::stage::fingerprint::Fingerprint;
use crate::stage::refusal::Refusal;

use super::claims::Claims;
use super::jose::invalid;
use super::keys::{Key, Keys};
use super::set::{Looked, More};
use super::sets::{Bound, Found, find, may};

/// What a signature proves: these claims are from whoever holds this key.
pub(super) struct Verified {
    /// As JSON text.
    pub(super) claims: Box<str>,
    /// The key's [`Key::id`].
    pub(super) key: Arc<str>,
    /// The key's own `kid`, or the token's where the key has none.
    pub(super) kid: Option<Arc<str>>,
    /// The set that the key is of; none where it stands in the table.
    pub(super) key_set: Option<Fingerprint>,
    pub(super) algorithm: Algorithm,
}

/// How many fetches a token waits for at most, besides the first of each set: one that had begun before, for another key or because it was
/// due, its own, and a look at what has come of that.
const ROUNDS: usize = 3;

/// What the keys that there are have to say of a token.
pub(super) enum Tried<'a> {
    Settled(Result<Verified, Box<Refusal>>),
    /// It may be signed with a key that this set has by now.
    Unsettled(Looked<'a>),
}

impl Keys {
    /// Verifies a token's signature (RFC 7515 §5.2) by the keys that there are. The token picks among the configured keys and algorithms,
    /// never beyond them.
    ///
    /// A refusal is `TOKEN_INVALID`, with the kind of failure as its rule and nothing of the token.
    pub(super) fn try_verify(&self, token: &str) -> Tried<'_> {
        let header = match self.headers.of(token) {
            Ok(header) => header,
            Err(refusal) => return Tried::Settled(Err(refusal)),
        };
        let tried = self.attempt(token, &header).unwrap_or_else(|refusal| Tried::Settled(Err(refusal)));
        if matches!(tried, Tried::Settled(Ok(_))) {
            self.headers.keep(header);
        }
        tried
    }

    /// The same where a set is unsettled: it is waited for what it has by now.
    ///
    /// # Errors
    /// `TOKEN_INVALID`; `AUTH_UNAVAILABLE` where the set cannot be fetched.
    pub(super) async fn verify_by_more(&self, token: &str, mut unsettled: Looked<'_>) -> Result<Verified, Box<Refusal>> {
        let header = self.headers.of(token)?;
        let kid = header.kid.as_deref().unwrap_or_default();
        for _ in 0..self.sets.of_all() + ROUNDS {
            if unsettled.more(kid).await? == More::Not {
                return Err(invalid("no key with this kid"));
            }
            match self.try_verify(token) {
                Tried::Settled(verdict) => return verdict,
                Tried::Unsettled(looked) => unsettled = looked,
            }
        }
        Err(unsettled.unavailable("it has been fetched again and again"))
    }

    fn attempt(&self, token: &str, header: &Header) -> Result<Tried<'_>, Box<Refusal>> {
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: an extension that must be understood, and we understand none.
            return Err(invalid("critical header"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| invalid("malformed token"))?;
        let token = Token { signed: signed.as_bytes(), signature, header };
        let issuer = if self.sets.has_bound() { token.issuer()? } else { None };
        let issuer = issuer.as_deref();
        let by_sets = !self.sets.is_empty() && self.paired.contains(&token.header.alg);
        let able = || self.of_table(issuer).iter().filter(|key| key.algorithms.contains(&token.header.alg));
        if able().next().is_none() && !by_sets {
            return Err(Box::new(invalid("algorithm not allowed").at("algorithms")));
        }
        let kid = token.header.kid.as_deref();
        let mut failure = "no key with this kid";
        for key in able().filter(|key| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid) {
            match token.try_key(key)? {
                Ok(verified) => return Ok(Tried::Settled(Ok(verified))),
                Err(why) => failure = why,
            }
        }
        if by_sets { self.by_sets(&token, issuer, failure) } else { Err(invalid(failure)) }
    }

    /// The table's own keys, for tokens that say they are this issuer's: none where that has its own.
    fn of_table(&self, issuer: Option<&str>) -> &[Key] {
        if issuer.is_some_and(|issuer| self.sets.are_there_for(issuer)) { &[] } else { &self.all }
    }

    fn by_sets(&self, token: &Token<'_>, issuer: Option<&str>, mut failure: &'static str) -> Result<Tried<'_>, Box<Refusal>> {
        let (mut unsettled, mut is_any) = (None, false);
        for bound in self.sets.of(issuer) {
            is_any = true;
            match token.try_set(bound)? {
                BySet::Good(verified) => return Ok(Tried::Settled(Ok(verified))),
                BySet::Bad(why) => failure = why,
                BySet::Unknown(looked) => unsettled = unsettled.or(Some(looked)),
            }
        }
        match unsettled {
            Some(looked) => Ok(Tried::Unsettled(looked)),
            None if !is_any && self.all.is_empty() => {
                let why = if issuer.is_none() { "iss is missing" } else { "iss is none of `issuer`" };
                Err(Box::new(invalid(why).at("issuer")))
            }
            None => Err(invalid(failure)),
        }
    }

    /// Whether an identity that says it is this issuer's could still be verified. Of a set that was never fetched nothing is known yet:
    /// who may be let in by it stays, and is judged again once it has been.
    pub(super) fn still_verify(&self, identity: &Identity, issuer: Option<&str>) -> Standing {
        let has_it = |able: &[Algorithm]| able.iter().any(|able| super::algorithm::name(*able) == identity.proof.algorithm);
        let mut standing = Standing::NoKey;
        for own in self.of_table(issuer).iter().filter(|own| own.id == identity.proof.key) {
            if has_it(&own.algorithms) {
                return Standing::Good;
            }
            standing = Standing::NoAlgorithm;
        }
        for bound in self.sets.of(issuer) {
            let Some(keys) = bound.keys().0 else {
                standing = Standing::NoAlgorithm;
                if has_it(&self.paired) {
                    return Standing::Good;
                }
                continue;
            };
            for own in keys.iter().filter(|own| own.id == identity.proof.key) {
                if self
                    .paired
                    .iter()
                    .any(|allowed| may(own, *allowed, &self.paired) && super::algorithm::name(*allowed) == identity.proof.algorithm)
                {
                    return Standing::Good;
                }
                standing = Standing::NoAlgorithm;
            }
            let was_of_it = identity.proof.key_set == Some(bound.place);
            if was_of_it && standing == Standing::NoKey && self.keeps && has_it(&self.paired) {
                return Standing::Good;
            }
        }
        standing
    }

    /// As if the first key that may had signed these claims.
    ///
    /// # Errors
    /// `TOKEN_INVALID` where there is no key.
    pub(super) fn suppose(&self, supposed: &Map<String, Value>) -> Result<Verified, Box<Refusal>> {
        let claims = Value::Object(supposed.clone()).to_string().into();
        let own = self.of_table(supposed.get("iss").and_then(Value::as_str));
        if let Some((key, algorithm)) = own.first().and_then(|key| Some((key, *key.algorithms.first()?))) {
            return Ok(Verified { claims, key: key.id.clone(), kid: key.kid.clone(), key_set: None, algorithm });
        }
        let algorithm = self.paired.first().filter(|_| !self.sets.is_empty()).ok_or_else(|| invalid("no key"))?;
        Ok(Verified { claims, key: "supposed".into(), kid: None, key_set: None, algorithm: *algorithm })
    }
}

/// Whether what has verified an identity would still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    NoKey,
    NoAlgorithm,
}

/// A token that is being verified.
struct Token<'a> {
    signed: &'a [u8],
    signature: &'a str,
    header: &'a Header,
}

/// A token verified by a key, or why not.
type ByKey = Result<Verified, &'static str>;

/// What a set makes of a token.
enum BySet<'a> {
    Good(Verified),
    Bad(&'static str),
    /// It may have a key by now that is not known yet.
    Unknown(Looked<'a>),
}

impl Token<'_> {
    /// Who it says has issued it, which is not verified.
    fn issuer(&self) -> Result<Option<String>, Box<Refusal>> {
        let text = self.claims()?;
        let claims = Claims::read(&text).map_err(|_| invalid("malformed token"))?;
        Ok(claims.issuer().map(str::to_owned))
    }

    /// Its claims as they are written (RFC 7515 §2), which may be no JSON.
    fn claims(&self) -> Result<String, Box<Refusal>> {
        let encoded = self.signed.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| invalid("malformed token"))?;
        String::from_utf8(bytes).map_err(|_| invalid("malformed token"))
    }

    fn try_key(&self, key: &Key) -> Result<ByKey, Box<Refusal>> {
        match crypto::verify(self.signature, self.signed, &key.decoding, self.header.alg) {
            Ok(true) => {
                // Read once, and not before it is known who wrote them.
                let claims = self.claims()?.into();
                let kid = key.kid.clone().or_else(|| self.header.kid.as_deref().map(Into::into));
                Ok(Ok(Verified { claims, key: key.id.clone(), kid, key_set: None, algorithm: self.header.alg }))
            }
            Ok(false) => Ok(Err("bad signature")),
            Err(_) => Ok(Err("malformed token")),
        }
    }

    fn try_set<'b>(&self, bound: &'b Bound) -> Result<BySet<'b>, Box<Refusal>> {
        let (keys, looked) = bound.keys();
        let mut failure = "bad signature";
        let found = keys.as_ref().map_or(Found::Unknown, |keys| find(keys, self.header));
        match found {
            Found::Unknown => return Ok(looked.map_or(BySet::Bad("no key with this kid"), BySet::Unknown)),
            Found::None(why) => failure = why,
            Found::Keys(found) => {
                for key in found.into_iter().filter_map(|index| keys.as_ref()?.get(index)) {
                    match self.try_key(key)? {
                        Ok(verified) => return Ok(BySet::Good(Verified { key_set: Some(bound.place), ..verified })),
                        Err(why) => failure = why,
                    }
                }
            }
        }
        Ok(BySet::Bad(failure))
    }
}
