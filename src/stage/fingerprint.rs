//! Fingerprints: what something holds, told apart and not kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use rustls::RootCertStore;
use rustls::pki_types::TrustAnchor;

/// 128 bits that only this process can compute, the same until it ends: nobody outside can aim at one, write two files that have the
/// same, or guess a secret by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) u64, pub(super) u64);

impl Fingerprint {
    /// The fingerprint of a value.
    pub fn of(value: impl Hash) -> Self {
        static SEEDS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
        Self(SEEDS.0.hash_one(&value), SEEDS.1.hash_one(&value))
    }

    /// That of authorities: who each is, its key, and whom it may speak for.
    pub fn of_authorities(roots: &RootCertStore) -> Self {
        let each = |root: &TrustAnchor<'_>| Self::of((&*root.subject, &*root.subject_public_key_info, root.name_constraints.as_deref()));
        Self::of(roots.roots.iter().map(each).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_others_that_may_speak_for_others() {
        let root = |constraints: Option<&'static [u8]>| TrustAnchor {
            subject: b"name"[..].into(),
            subject_public_key_info: b"key"[..].into(),
            name_constraints: constraints.map(Into::into),
        };
        let of = |roots: &[Option<&'static [u8]>]| {
            Fingerprint::of_authorities(&RootCertStore { roots: roots.iter().copied().map(root).collect() })
        };
        let all: [&[Option<&[u8]>]; 5] = [&[], &[None], &[Some(b"")], &[Some(b"a")], &[Some(b"b")]];
        for one in all {
            for other in all {
                assert_eq!(of(one) == of(other), one == other, "{one:?} {other:?}");
            }
        }
    }
}
