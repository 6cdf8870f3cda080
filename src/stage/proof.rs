//! By what an identity is proven.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::fingerprint::Fingerprint;

/// Which key has proven an identity, and how. There are many of the one and few of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which key verified it: a name for the log that is safe to print and changes when the key does.
    pub key: Arc<str>,
    /// That key's `kid` (RFC 7515 §4.1.4), or the token's own where the key is configured without; at most 256 bytes.
    pub kid: Option<Arc<str>>,
    /// The set that the key is of, by where it is; none where the file has the key itself.
    pub key_set: Option<Fingerprint>,
    /// The signature algorithm, as in the token's header.
    pub algorithm: &'static str,
}

/// The proof that came last. Most tokens are signed with the key that the one before was, and share it.
#[derive(Debug, Default)]
pub(super) struct Latest(ArcSwapOption<Proof>);

impl Latest {
    /// This proof, as the one before where it is the same.
    pub(super) fn share(&self, proof: Proof) -> Arc<Proof> {
        if let Some(latest) = self.0.load_full().filter(|latest| **latest == proof) {
            return latest;
        }
        let proof = Arc::new(proof);
        self.0.store(Some(proof.clone()));
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_by_the_same_key_are_one() {
        let latest = Latest::default();
        let by = |key: &str| latest.share(Proof { key: key.into(), kid: None, key_set: None, algorithm: "HS256" });
        let first = by("a");
        assert!(Arc::ptr_eq(&first, &by("a")));
        assert!(!Arc::ptr_eq(&by("b"), &by("a")));
    }
}
