//! Who a client is, by each stage that has authenticated it, and how that is renewed under a live connection.
//!
//! Whoever looks on, as a reload or `ps` does from another thread, sees an identity as it was or as it is: what is renewed is exchanged whole.
//! The user's name stands beside it, as it never changes: limits by user, the log and the backend have gone by it from the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use super::client::Identity;
use super::refusal::{FORBIDDEN, Refusal, TOKEN_MISSING, Verdict};

/// The identities of one client, in the order in which they were proven. Without one it takes no memory of its own.
#[derive(Debug, Default)]
pub struct Identities(Box<[Known]>);

#[derive(Debug)]
struct Known {
    user: Option<Arc<str>>,
    identity: ArcSwap<Identity>,
    /// Whether its end has been warned of.
    is_warned: AtomicBool,
}

impl From<Identity> for Known {
    fn from(identity: Identity) -> Self {
        Self { user: identity.user.clone(), identity: ArcSwap::from_pointee(identity), is_warned: AtomicBool::new(false) }
    }
}

impl Identities {
    /// Each as it is now.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Arc<Identity>> {
        self.0.iter().map(|known| known.identity.load_full())
    }

    /// Whether nobody has authenticated the client.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What this stage has proven, by its name in the file.
    pub fn by(&self, stage: &str) -> Option<Arc<Identity>> {
        self.iter().find(|identity| *identity.by == *stage)
    }

    /// The user's name: of those that stages have found, the last.
    pub fn user(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|known| known.user.as_deref())
    }

    /// Keeps what a stage has proven, in place of what it had proven before: as many are kept as stages authenticate.
    pub fn prove(&mut self, identity: Identity) {
        let mut all = std::mem::take(&mut self.0).into_vec();
        all.retain(|other| other.identity.load().by != identity.by);
        all.push(identity.into());
        self.0 = all.into();
    }

    /// Judges again what this stage has proven. Where it has proven nothing, as under a name it has not had for long, those are judged that
    /// it would have proven: to rename a stage closes nobody.
    ///
    /// # Errors
    /// What `judge` says; `TOKEN_MISSING` where there is nothing to judge.
    pub fn review(&self, stage: &str, would: impl Fn(&Identity) -> bool, judge: impl Fn(&Identity) -> Verdict) -> Verdict {
        if let Some(own) = self.by(stage) {
            return judge(&own);
        }
        let mut others = self.iter().filter(|other| would(other)).peekable();
        if others.peek().is_none() {
            let rule = if self.is_empty() { "never authenticated" } else { "authenticated otherwise" };
            return Err(Box::new(Refusal::new(TOKEN_MISSING).rule(rule)));
        }
        others.try_for_each(|other| judge(&other))
    }

    /// Takes this identity in place of the one that the same stage has proven, under a live connection.
    ///
    /// # Errors
    /// `FORBIDDEN` where it is somebody else's: the connection was let in, is counted and known to its backend as that one.
    pub fn renew(&self, identity: Identity) -> Verdict {
        let other = |rule: &str| Err(Box::new(Refusal::new(FORBIDDEN).rule(rule)));
        let Some(known) = self.0.iter().find(|known| known.identity.load().by == identity.by) else {
            return other("a renewal of what was never proven");
        };
        match (Subject::of(&known.identity.load()), Subject::of(&identity)) {
            (Subject { user: None, sub: None, .. }, _) => return other("a renewal where nobody is named"),
            (held, shown) if held != shown => return other("a renewal with another subject"),
            _ => {}
        }
        known.identity.store(Arc::new(identity));
        known.is_warned.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the end of what this stage has proven has been warned of.
    pub fn is_warned(&self, stage: &str) -> bool {
        self.known(stage).is_some_and(|known| known.is_warned.load(Ordering::Relaxed))
    }

    /// The end of what this stage has proven is warned of now; not again until it is renewed.
    pub fn warned(&self, stage: &str) {
        if let Some(known) = self.known(stage) {
            known.is_warned.store(true, Ordering::Relaxed);
        }
    }

    fn known(&self, stage: &str) -> Option<&Known> {
        self.0.iter().find(|known| *known.identity.load().by == *stage)
    }
}

/// Whose an identity is: a `sub` is one within its issuer (RFC 7519 §4.1.2), a user within the gateway.
#[derive(PartialEq)]
struct Subject {
    user: Option<Arc<str>>,
    sub: Option<Value>,
    iss: Option<Value>,
}

impl Subject {
    fn of(identity: &Identity) -> Self {
        let mut claims: Map<String, Value> = serde_json::from_str(&identity.claims).unwrap_or_default();
        Self { user: identity.user.clone(), sub: claims.remove("sub"), iss: claims.remove("iss") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Proof;
    use crate::stage::sample;

    /// An allocator adds 8 bytes to it and its counts, and rounds up to 16.
    #[test]
    fn an_identity_takes_96_bytes() {
        assert!(size_of::<Identity>() + 2 * size_of::<usize>() + 8 <= 96, "{}", size_of::<Identity>());
    }

    fn identity(by: &str, user: Option<&str>, claims: &str) -> Identity {
        let user = user.map(Into::into);
        Identity {
            by: by.into(),
            user,
            claims: claims.into(),
            expires: None,
            proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
        }
    }

    #[test]
    fn the_same_subject_renews_and_nobody_else_does() {
        let alice = r#"{"sub":"alice","iss":"a","v":1}"#;
        let another = "a renewal with another subject";
        for (held, shown, refused) in [
            ((Some("alice"), alice), (Some("alice"), r#"{"iss":"a","v":2,"sub":"alice"}"#), None),
            ((None, alice), (None, alice), None),
            ((Some("a@x"), "{}"), (Some("a@x"), "{}"), None),
            ((Some("alice"), alice), (Some("bob"), r#"{"sub":"bob","iss":"a"}"#), Some(another)),
            ((Some("alice"), alice), (Some("alice"), r#"{"sub":"alice","iss":"b"}"#), Some(another)),
            ((Some("a@x"), alice), (Some("a@x"), r#"{"sub":"bob","iss":"a"}"#), Some(another)),
            ((Some("alice"), alice), (None, alice), Some(another)),
            ((None, r#"{"sub":7}"#), (None, r#"{"sub":"7"}"#), Some(another)),
            ((None, "{}"), (None, "{}"), Some("a renewal where nobody is named")),
        ] {
            let mut client = sample::client(&[]);
            client.prove(identity("jwt.a", held.0, held.1));
            let verdict = client.identities.renew(identity("jwt.a", shown.0, shown.1));
            assert_eq!(verdict.as_ref().err().and_then(|refusal| refusal.rule.as_deref()), refused, "{held:?} {shown:?}");
            let kept = if refused.is_some() { held.1 } else { shown.1 };
            assert_eq!(*client.identity("jwt.a").unwrap().claims, *kept);
            assert_eq!(client.user(), held.0);
        }
    }

    #[test]
    fn what_another_stage_has_proven_is_not_renewed_and_a_warning_is_given_once_a_token() {
        let mut client = sample::client(&[]);
        client.prove(identity("jwt.a", Some("alice"), "{}"));
        assert!(client.identities.renew(identity("jwt.b", Some("alice"), "{}")).is_err());
        for _ in 0..2 {
            assert!(!client.identities.is_warned("jwt.a"));
            client.identities.warned("jwt.a");
            assert!(client.identities.is_warned("jwt.a") && !client.identities.is_warned("jwt.b"));
            client.identities.renew(identity("jwt.a", Some("alice"), "{}")).unwrap();
        }
    }
}
