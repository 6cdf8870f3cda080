//! Fingerprints: what something holds, told apart and not kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

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
}
