//! Fetches a key set: where it is, how long it may be gone by, and what is done while its provider is down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::stage::outside::{HttpUrl, Outside, Question, Reply, Trust};

use super::KeySet;
use super::read::{Read, read};

/// How long one question may take; of an issuer two are asked.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// The largest key set, and the largest description of a provider, in bytes.
const MAX_BODY: usize = 256 << 10;
/// How many redirects are followed.
const REDIRECTS: u8 = 3;
/// The bounds of how long a set is gone by until it is fetched again, whatever its provider says.
const LEAST: Duration = Duration::from_mins(5);
const MOST: Duration = Duration::from_hours(24);
/// The same where its provider says nothing.
const UNSAID: Duration = Duration::from_mins(15);
/// How long after a failure it is tried again: twice as long after each in a row, up to this. While there are no keys, everybody waits.
const AGAIN: (Duration, Duration) = (Duration::from_secs(30), LEAST);
const AGAIN_WITHOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where a key set is.
#[derive(Clone, Debug)]
pub(in crate::stage::jwt) enum Place {
    /// At this URL.
    Set(HttpUrl),
    /// Where this issuer says (OpenID Connect Discovery 1.0 §4), which is called so and has this URL.
    Issuer(String, HttpUrl),
}

/// Who fetches, from where.
#[derive(Clone)]
pub(super) struct Fetch {
    pub(super) place: Place,
    pub(super) trust: Option<Trust>,
    pub(super) outside: Arc<Outside>,
}

impl Fetch {
    /// The set, and how long it is good for.
    async fn fetch(&self) -> Result<(Read, Duration), String> {
        let url = match &self.place {
            Place::Set(url) => url.clone(),
            Place::Issuer(name, url) => {
                let found = url.below("/.well-known/openid-configuration");
                let reply = self.ask(&found).await?;
                discovered(name, url, &reply).map_err(|why| format!("{}: {why}", found.shown()))?
            }
        };
        let reply = self.ask(&url).await?;
        let read = read(&reply.body).map_err(|why| format!("{}: {why}", url.shown()))?;
        Ok((read, lifetime(&reply.headers)))
    }

    async fn ask(&self, url: &HttpUrl) -> Result<Reply, String> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let (trust, max_body) = (self.trust.clone(), MAX_BODY);
        let question = Question { url: url.clone(), headers, trust, within: WITHIN, max_body, redirects: REDIRECTS, takes_place: false };
        let reply = self.outside.ask(question).await.map_err(|failed| format!("{}: {failed}", url.shown()))?;
        match reply.status.is_success() {
            true => Ok(reply),
            false => Err(format!("{}: its status is {}", url.shown(), reply.status.as_u16())),
        }
    }
}

/// Where a provider says its keys are. It has to say that it is this issuer; and where it proves who it is, so have its keys to.
fn discovered(name: &str, asked: &HttpUrl, reply: &Reply) -> Result<HttpUrl, String> {
    let said: Value = serde_json::from_slice(&reply.body).map_err(|error| format!("it is not JSON: {error}"))?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    match text("issuer") {
        Some(issuer) if issuer == name => {}
        Some(issuer) => return Err(format!("it says that it is {issuer:?}, not {name:?}")),
        None => return Err("it does not say which issuer it is".to_owned()),
    }
    let url: HttpUrl =
        text("jwks_uri").ok_or("it does not say where its keys are")?.parse().map_err(|why| format!("its jwks_uri: {why}"))?;
    if asked.is_tls && !url.is_tls {
        return Err(format!("its keys would come without TLS, from {}", url.shown()));
    }
    Ok(url)
}

/// How long an answer is good for (RFC 9111 §5.2.2.1), within bounds.
fn lifetime(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let mut said = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => said = said.or(value.trim().trim_matches('"').parse().ok().map(Duration::from_secs)),
            "no-cache" | "no-store" => return LEAST,
            _ => {}
        }
    }
    said.unwrap_or(UNSAID).clamp(LEAST, MOST)
}

/// After how long it is tried again that has failed so often in a row.
fn again((first, most): (Duration, Duration), failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

/// A little longer, so that many gateways do not fetch at one beat.
fn jittered(time: Duration) -> Duration {
    (time + time.mul_f64(rand::random_range(0.0..0.1))).min(MOST)
}

/// Fetches the set at once, then whenever it is due or `wanted`; ends with the set.
pub(super) async fn keep_fresh(set: Weak<KeySet>, fetch: Fetch, wanted: Arc<Notify>) {
    let mut failures: u32 = 0;
    loop {
        let Some(()) = set.upgrade().map(|set| set.begins()) else { return };
        let fetched = fetch.fetch().await;
        let Some(held) = set.upgrade() else { return };
        let wait = match fetched {
            Ok((read, lifetime)) => {
                failures = 0;
                held.take(read);
                jittered(lifetime)
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                let has_keys = held.has_keys();
                held.fails(why);
                again(if has_keys { AGAIN } else { AGAIN_WITHOUT }, failures)
            }
        };
        drop(held);
        tokio::select! {
            () = sleep(wait) => {}
            () = wanted.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_good_for_as_long_as_it_says_within_bounds() {
        let minutes = Duration::from_mins;
        for (said, expected) in [
            (&[][..], UNSAID),
            (&["max-age=3600"], minutes(60)),
            (&["public, MAX-AGE=\"600\", must-revalidate"], minutes(10)),
            (&["public", "max-age=1200"], minutes(20)),
            (&["max-age=1"], LEAST),
            (&["max-age=0"], LEAST),
            (&["no-cache, max-age=3600"], LEAST),
            (&["max-age=3600, no-store"], LEAST),
            (&["max-age=99999999999999999999"], UNSAID),
            (&["max-age=31536000"], MOST),
            (&["max-age"], UNSAID),
        ] {
            let mut all = HeaderMap::new();
            for line in said {
                all.append(CACHE_CONTROL, HeaderValue::from_static(line));
            }
            assert_eq!(lifetime(&all), expected, "{said:?}");
            assert!((LEAST..=MOST).contains(&jittered(lifetime(&all))));
        }
    }

    #[test]
    fn it_is_tried_again_less_and_less_often() {
        let waits = |bounds, failures: &[u32]| failures.iter().map(|failures| again(bounds, *failures).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(AGAIN_WITHOUT, &[1, 2, 3, 5, 6, 40, u32::MAX]), [1, 2, 4, 16, 30, 30, 30]);
        assert_eq!(waits(AGAIN, &[1, 2, 3, 4, 5]), [30, 60, 120, 240, 300]);
    }
}
