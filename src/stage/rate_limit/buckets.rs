//! The buckets of all keys of one limit, kept for as long as they say anything.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bucket::Bucket;

/// Keys that one limit tells apart, about 100 MB of them; beyond, those that are new share buckets until others have come back, so
/// that a flood of invented keys is limited all the same.
pub(super) const MAX_KEYS: usize = 1 << 20;

/// Parts of the store that are locked apart.
const SHARDS: usize = 64;

/// A key as it is remembered: 128 bits that nobody outside this process can aim at, whatever a header may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64, u64);

/// Every bucket of one limit.
pub(super) struct Buckets {
    seeds: (RandomState, RandomState),
    shards: Box<[Mutex<Shard>]>,
}

struct Shard {
    buckets: HashMap<Fingerprint, Arc<Bucket>>,
    /// For keys that came when there was no more room.
    shared: Arc<Bucket>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { buckets: HashMap::new(), shared: Arc::new(Bucket::shared()) }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self { seeds: Default::default(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Buckets {
    /// The fingerprint of a key; the same until the process ends.
    pub(super) fn fingerprint(&self, key: impl Hash) -> Fingerprint {
        Fingerprint(self.seeds.0.hash_one(&key), self.seeds.1.hash_one(&key))
    }

    /// The bucket of a key. One lookup under a lock: for handshakes, not for messages.
    pub(super) fn get(&self, key: Fingerprint) -> Arc<Bucket> {
        let shard = usize::try_from(key.0 % SHARDS as u64).ok().and_then(|shard| self.shards.get(shard));
        let Some(mut shard) = shard.map(lock) else { return Arc::default() };
        if let Some(bucket) = shard.buckets.get(&key) {
            return bucket.clone();
        }
        if shard.buckets.len() >= MAX_KEYS / SHARDS {
            return shard.shared.clone();
        }
        shard.buckets.entry(key).or_default().clone()
    }

    /// Drops the buckets that nobody holds and that say nothing a new one would not, and gives their memory back. Each part of the
    /// store is locked for itself, for about a millisecond where it is full.
    pub(super) fn sweep(&self, now: u64) {
        for mut shard in self.shards.iter().map(lock) {
            // Nobody can take hold of one while its part is locked.
            shard.buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_like_new(now));
            let left = shard.buckets.len();
            if shard.buckets.capacity() > 4 * left {
                shard.buckets.shrink_to(2 * left);
            }
        }
    }

    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(lock).map(|shard| (shard.buckets.len(), shard.buckets.capacity()));
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_own_bucket_again() {
        let buckets = Buckets::default();
        let (one, other) = (buckets.fingerprint("one"), buckets.fingerprint("other"));
        let bucket = buckets.get(one);
        assert!(Arc::ptr_eq(&bucket, &buckets.get(one)));
        assert!(!Arc::ptr_eq(&bucket, &buckets.get(other)));
    }

    #[test]
    fn a_million_keys_seen_once_give_their_memory_back_and_those_in_use_stay() {
        let buckets = Buckets::default();
        let held = buckets.get(buckets.fingerprint(0));
        for key in 1..1_000_000 {
            buckets.get(buckets.fingerprint(key));
        }
        assert_eq!(buckets.size().0, 1_000_000);
        buckets.sweep(1);
        assert_eq!(buckets.size().0, 1);
        assert!(buckets.size().1 < 16, "{:?}", buckets.size());
        assert!(Arc::ptr_eq(&held, &buckets.get(buckets.fingerprint(0))));
    }

    #[test]
    fn beyond_its_bound_new_keys_share_and_known_ones_do_not() {
        let buckets = Buckets::default();
        // All in one part of the store.
        let key = |number| Fingerprint(0, number);
        let first = buckets.get(key(0));
        for number in 1..(MAX_KEYS / SHARDS) as u64 {
            buckets.get(key(number));
        }
        let late = buckets.get(key(u64::MAX));
        assert!(Arc::ptr_eq(&late, &buckets.get(key(u64::MAX - 1))));
        assert!(Arc::ptr_eq(&first, &buckets.get(key(0))));
        buckets.sweep(1);
        assert!(!Arc::ptr_eq(&late, &buckets.get(key(u64::MAX))), "there is room again");
    }
}
