//! Minting: tokens for trials, signed with the stage's own first secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Header, encode};
use serde_json::{Map, Value};

use super::Jwt;

impl Jwt {
    /// A token for `subject` that this stage accepts for `ttl` from `now` on. `claims` are added last: they may replace any other.
    ///
    /// # Errors
    /// A clause that says why this stage cannot sign.
    pub fn mint(&self, subject: &str, ttl: Duration, claims: Map<String, Value>, now: SystemTime) -> Result<String, String> {
        let Some(signer) = &self.keys.signer else {
            return Err(format!("{} has no `secret`: its tokens are signed by whoever holds the private halves of its keys", self.name));
        };
        let seconds =
            |at: SystemTime| at.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).map_err(|_| "the clock is before 1970".to_owned());
        let end = now.checked_add(ttl).ok_or("the token would outlive the calendar")?;
        let mut minted = Map::new();
        let mut put = |name: &str, value: Value| minted.insert(name.to_owned(), value);
        put("sub", subject.into());
        if let Some(user) = self.user.first() {
            put(user, subject.into());
        }
        // One that has keys of its own signs for itself.
        if let Some(issuer) = self.expected.issuers.iter().find(|issuer| !self.keys.sets.are_there_for(issuer)) {
            put("iss", issuer.as_str().into());
        }
        if let Some(audience) = self.expected.audiences.first() {
            put("aud", audience.as_str().into());
        }
        put("iat", seconds(now)?.into());
        put("exp", seconds(end)?.into());
        minted.extend(claims);
        encode(&Header::new(signer.algorithm), &minted, &signer.key).map_err(|error| format!("{} cannot sign: {error}", self.name))
    }
}
