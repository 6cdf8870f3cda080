//! The buckets of all keys of one limit, kept for as long as they say anything.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::stage::fingerprint::Fingerprint;

use super::bucket::{Account, Bucket};

/// Keys that one limit tells apart, about 120 MB of them; beyond, those that are new share buckets until others have come back, so
/// that a flood of invented keys is limited all the same.
pub(in crate::stage) const MAX_KEYS: usize = 1 << 20;

/// Parts of the store that are locked apart.
const SHARDS: usize = 64;

/// Every bucket of one limit.
pub(in crate::stage) struct Buckets {
    shards: Box<[Mutex<Shard>]>,
}

struct Shard {
    keys: HashMap<Fingerprint, Kept>,
    /// For keys that came when there was no more room.
    shared: Arc<Bucket>,
}

/// What is kept of a key.
enum Kept {
    /// Nobody holds it. Its account stands in the table itself: keys that come once, and nothing else, are no pieces of memory of
    /// their own, which an allocator could not give back for what was put between them.
    Account(Account),
    /// Connections hold it.
    Bucket(Arc<Bucket>),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Account(Account::default())
    }
}

impl Kept {
    fn account(&self) -> &Account {
        match self {
            Self::Account(account) => account,
            Self::Bucket(bucket) => &bucket.account,
        }
    }

    fn hold(&mut self) -> Arc<Bucket> {
        match self {
            Self::Account(account) => {
                let bucket = Arc::new(Bucket::of(std::mem::take(account)));
                *self = Self::Bucket(bucket.clone());
                bucket
            }
            Self::Bucket(bucket) => bucket.clone(),
        }
    }

    /// Lets go of a bucket that nobody holds, and says whether what is left says anything that a new key's would not.
    fn tidy(&mut self, now: u64) -> bool {
        if let Self::Bucket(bucket) = self {
            // The last slot may be given back a moment after the last hold.
            let Some(bucket) = Arc::get_mut(bucket).filter(|bucket| bucket.is_empty()) else { return true };
            *self = Self::Account(std::mem::take(&mut bucket.account));
        }
        !self.account().is_like_new(now)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self { keys: HashMap::new(), shared: Arc::new(Bucket::shared()) }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Shard {
    /// None where the key is new and there is no more room.
    fn find(&mut self, key: Fingerprint) -> Option<&mut Kept> {
        let has_room = self.keys.len() < MAX_KEYS / SHARDS;
        match self.keys.entry(key) {
            Entry::Occupied(kept) => Some(kept.into_mut()),
            Entry::Vacant(place) => has_room.then(|| place.insert(Kept::default())),
        }
    }
}

impl Buckets {
    /// Has something charged to the account of a key that nobody need hold. The lookup is under a lock, and so is what is done.
    pub(in crate::stage) fn charge<T>(&self, key: Fingerprint, spend: impl FnOnce(&Account) -> T) -> T {
        let Some(mut shard) = self.shard(key) else { return spend(&Account::default()) };
        match shard.find(key) {
            Some(kept) => spend(kept.account()),
            None => spend(&shard.shared.account),
        }
    }

    /// The bucket of a key, to be held. One lookup under a lock: for handshakes, not for messages.
    pub(in crate::stage) fn get(&self, key: Fingerprint) -> Arc<Bucket> {
        let Some(mut shard) = self.shard(key) else { return Arc::default() };
        match shard.find(key) {
            Some(kept) => kept.hold(),
            None => shard.shared.clone(),
        }
    }

    fn shard(&self, key: Fingerprint) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(usize::try_from(key.0 % SHARDS as u64).ok()?).map(lock)
    }

    /// Drops what nobody holds and what says nothing that a new key would not, and gives its memory back. Each part of the store is
    /// locked for itself, for a few milliseconds where it is full.
    pub(in crate::stage) fn sweep(&self, now: u64) {
        for mut shard in self.shards.iter().map(lock) {
            // Nobody can take hold of one while its part is locked.
            shard.keys.retain(|_, kept| kept.tidy(now));
            let left = shard.keys.len();
            if shard.keys.capacity() > 4 * left {
                shard.keys.shrink_to(2 * left);
            }
        }
    }

    /// How many keys are known, and for how many there is room.
    #[cfg(test)]
    pub(in crate::stage) fn size(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(lock).map(|shard| (shard.keys.len(), shard.keys.capacity()));
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::bucket::Quick;
    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn a_key_finds_its_own_bucket_again() {
        let buckets = Buckets::default();
        let (one, other) = (Fingerprint::of("one"), Fingerprint::of("other"));
        let bucket = buckets.get(one);
        assert!(Arc::ptr_eq(&bucket, &buckets.get(one)));
        assert!(!Arc::ptr_eq(&bucket, &buckets.get(other)));
    }

    #[test]
    fn a_key_s_account_is_the_same_held_or_not() {
        let clock = Clock::Told(Arc::new(1.into()));
        let limit = Quick::new(&toml::Value::from("3/s").try_into().unwrap(), &clock);
        let buckets = Buckets::default();
        let key = Fingerprint::of("one");
        let charge = || buckets.charge(key, |account| limit.spend(&account.connect).is_ok());
        assert!(charge());
        let bucket = buckets.get(key);
        assert!(limit.spend(&bucket.account.connect).is_ok());
        buckets.sweep(clock.now());
        assert!(Arc::ptr_eq(&bucket, &buckets.get(key)));
        drop(bucket);
        buckets.sweep(clock.now());
        assert!(matches!(buckets.shard(key).unwrap().find(key), Some(Kept::Account(_))), "nobody holds it");
        assert!(charge() && !charge());
    }

    #[test]
    fn a_bucket_stays_while_somebody_has_a_slot_of_it() {
        let buckets = Buckets::default();
        let key = Fingerprint::of("one");
        let slot = buckets.get(key).holders().enter(1).unwrap();
        buckets.sweep(1);
        assert!(buckets.get(key).holders().enter(1).is_none());
        drop(slot);
        buckets.sweep(1);
        assert_eq!(buckets.size().0, 0);
    }

    #[test]
    fn a_million_keys_seen_once_give_their_memory_back_and_those_in_use_stay() {
        let buckets = Buckets::default();
        let held = buckets.get(Fingerprint::of(0));
        for key in 1..1_000_000 {
            // As one does that is turned away, and one that is let in.
            match key % 2 {
                0 => buckets.charge(Fingerprint::of(key), |_| ()),
                _ => drop(buckets.get(Fingerprint::of(key))),
            }
        }
        assert_eq!(buckets.size().0, 1_000_000);
        buckets.sweep(1);
        assert_eq!(buckets.size().0, 1);
        assert!(buckets.size().1 < 16, "{:?}", buckets.size());
        assert!(Arc::ptr_eq(&held, &buckets.get(Fingerprint::of(0))));
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
