//! What a service has decided, by the status of its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::stage::outside::{Answer, Reply};
use crate::stage::refusal::{FORBIDDEN, Outcome, Refusal, TOKEN_INVALID, TOKEN_MISSING, Words};

/// The largest refusal that is kept, in bytes.
const MAX_KEPT_BODY: usize = 4096;
/// What of a refusal the client is told: how to be let in, and what its body is.
const TOLD: [HeaderName; 5] = [header::WWW_AUTHENTICATE, header::LOCATION, header::SET_COOKIE, header::CONTENT_TYPE, header::CACHE_CONTROL];

/// What a service has decided.
#[derive(Debug)]
pub(super) enum Decision {
    /// These of its headers say more of the client.
    Yes(HeaderMap),
    No(Arc<Words>),
    /// It gave no answer that could be gone by.
    Failed(String),
}

impl Decision {
    /// What an answer comes to; of one that lets in, these headers say more of the client. Where it has to name its `user` and does not,
    /// it is none: whoever would come in by it could be anybody.
    pub(super) fn of(answer: Answer, said: &[HeaderName], user: Option<&HeaderName>) -> Self {
        let Reply { status, headers, body } = match answer {
            Ok(reply) => reply,
            Err(failed) => return Self::Failed(failed.to_string()),
        };
        match status.as_u16() {
            200..=299 => match user.filter(|user| named(&headers, user).is_none()) {
                Some(user) => Self::Failed(format!("no user in its header {user}")),
                None => Self::Yes(copied(&headers, said, |value| str::from_utf8(value).is_ok())),
            },
            401 | 403 | 301 | 302 | 303 | 307 | 308 => {
                Self::No(Arc::new(Words { status, headers: copied(&headers, &TOLD, |_| true), body: Bytes::copy_from_slice(&body) }))
            }
            other => Self::Failed(format!("its status is {other}")),
        }
    }

    /// Whether it is for the client that was asked about, and for no other however alike: it hands out a cookie, or it is a redirect,
    /// which may hold as much.
    pub(super) fn is_for_one(&self) -> bool {
        match self {
            Self::Yes(headers) => headers.contains_key(header::SET_COOKIE),
            Self::No(words) => words.status.is_redirection() || words.headers.contains_key(header::SET_COOKIE),
            Self::Failed(_) => false,
        }
    }

    /// A failure is over when the service is asked again.
    pub(super) fn may_be_kept(&self) -> bool {
        let is_kept = match self {
            Self::Yes(_) => true,
            Self::No(words) => words.body.len() <= MAX_KEPT_BODY,
            Self::Failed(_) => false,
        };
        is_kept && !self.is_for_one()
    }
}

/// Whom a header names: it stands there once, and is text that is not blank.
pub(super) fn named<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    str::from_utf8(line.as_bytes()).ok().map(str::trim).filter(|name| !name.is_empty())
}

/// These of an answer's headers, without the buffer that they were read into: answers are kept.
fn copied(headers: &HeaderMap, names: &[HeaderName], is_good: impl Fn(&[u8]) -> bool) -> HeaderMap {
    let mut copied = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, value)| names.contains(name) && is_good(value.as_bytes())) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            copied.append(name, value);
        }
    }
    copied
}

/// Who is sent away in the service's words. Where it was shown nothing to know the client by, the next of several ways in is tried.
pub(super) fn refusal(words: &Arc<Words>, is_bare: bool) -> Box<Refusal> {
    let outcome: Outcome = match words.status.as_u16() {
        403 => FORBIDDEN,
        401 if !is_bare => TOKEN_INVALID,
        _ => TOKEN_MISSING,
    };
    let mut refusal = Refusal::new(outcome).rule(format!("its status is {}", words.status.as_u16())).at("url");
    refusal.is_missing = is_bare && outcome == TOKEN_MISSING;
    refusal.telling.words = Some(words.clone());
    Box::new(refusal)
}
