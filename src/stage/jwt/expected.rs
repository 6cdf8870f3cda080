//! What a token's claims must say, at the handshake and again at every review.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::stage::refusal::{Refusal, TOKEN_EXPIRED, Verdict};

use super::claims::{Claim, Claims};
use super::jose::invalid;

/// The last moment a numeric date may name: the end of the year 9999. A date in milliseconds lies beyond it.
const LAST_DATE: f64 = 253_402_300_799.0;

/// What claims must say. The library of signatures is asked for those only: it takes tokens without `iss` and `aud` unless they
/// are required, ignores them when their type is wrong, and could not judge again what is kept of a token.
#[derive(Debug)]
pub(super) struct Expected {
    /// Issuers, of which `iss` must be one; empty where any will do.
    pub(super) issuers: Vec<String>,
    /// Audiences, of which `aud` must name one; where none is configured a token must name none (RFC 7519 §4.1.3).
    pub(super) audiences: Vec<String>,
    /// The same of issuers that have others.
    pub(super) own_audiences: HashMap<String, Vec<String>>,
    /// Claims that must be there, by their names or by dotted paths to them.
    pub(super) require: Vec<String>,
    /// How far the clocks may differ.
    pub(super) leeway: Duration,
}

/// Refused for what this key of the table asks for.
fn unmet(key: &'static str, rule: impl Into<Box<str>>) -> Box<Refusal> {
    Box::new(invalid(rule).at(key))
}

/// A numeric date (RFC 7519 §2), where the claim is there.
///
/// # Errors
/// `TOKEN_INVALID` where it is no number, or one outside 1970 to 9999.
pub(super) fn date(claims: &Claims<'_>, name: &str) -> Result<Option<SystemTime>, Box<Refusal>> {
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(Claim::Text(_)) => None,
        Some(Claim::Other(value)) => value.as_f64(),
    };
    let date = seconds.filter(|seconds| *seconds <= LAST_DATE).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match date.and_then(|since| UNIX_EPOCH.checked_add(since)) {
        Some(date) => Ok(Some(date)),
        None => Err(invalid(format!("{name} is no date in seconds"))),
    }
}

impl Expected {
    /// Judges all that does not change with time.
    pub(super) fn hold(&self, claims: &Claims<'_>) -> Verdict {
        for name in ["exp", "nbf", "iat"] {
            date(claims, name)?;
        }
        if let Some(name) =
            self.require.iter().find(|name| claims.find(name).is_none_or(|claim| matches!(claim, Claim::Other(Value::Null))))
        {
            return Err(unmet("require", format!("{name} is missing")));
        }
        if !self.issuers.is_empty() {
            match claims.get("iss") {
                None => return Err(unmet("issuer", "iss is missing")),
                Some(Claim::Text(issuer)) if self.issuers.iter().any(|ours| ours == issuer) => {}
                Some(_) => return Err(unmet("issuer", "iss is none of `issuer`")),
            }
        }
        let own = claims.issuer().and_then(|issuer| self.own_audiences.get(issuer));
        let audiences = own.unwrap_or(&self.audiences);
        let is_ours = |audience: &str| audiences.iter().any(|ours| ours == audience);
        match claims.get("aud") {
            None if audiences.is_empty() => Ok(()),
            None => Err(unmet("audience", "aud is missing")),
            Some(_) if audiences.is_empty() => Err(unmet("audience", "aud is there, and no `audience` is configured")),
            Some(Claim::Text(audience)) if is_ours(audience) => Ok(()),
            Some(Claim::Other(Value::Array(list))) if list.iter().filter_map(Value::as_str).any(is_ours) => Ok(()),
            Some(_) => Err(unmet("audience", "aud names none of `audience`")),
        }
    }

    /// Judges a token as it comes in: its claims, and then whether now is within its time.
    pub(super) fn admit(&self, claims: &Claims<'_>, now: SystemTime) -> Verdict {
        self.hold(claims)?;
        if date(claims, "nbf")?.is_some_and(|begin| now + self.leeway < begin) {
            return Err(unmet("leeway", "nbf is in the future"));
        }
        if date(claims, "exp")?.is_some_and(|end| now >= end + self.leeway) {
            return Err(Box::new(Refusal::new(TOKEN_EXPIRED).rule("exp is past").at("leeway")));
        }
        Ok(())
    }
}
