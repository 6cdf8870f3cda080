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
    /// Of keys that nobody holds. Their accounts stand in the table itself: keys that come once, and nothing else, are no pieces of
    /// memory of their own, which an allocator could not give back for what was put between them.
    accounts: HashMap<Fingerprint, Account>,
    /// Of keys that connections hold. A table of its own, as of its places some are always free, and an account is five times a pointer.
    held: HashMap<Fingerprint, Arc<Bucket>>,
    /// For keys that came when there was no more room.
    shared: Arc<Bucket>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { accounts: HashMap::new(), held: HashMap::new(), shared: Arc::new(Bucket::shared()) }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Shard {
    fn has_room(&self) -> bool {
        self.accounts.len() + self.held.len() < MAX_KEYS / SHARDS
    }

    fn account(&mut self, key: Fingerprint) -> &Account {
        let has_room = self.has_room();
        if let Some(bucket) = self.held.get(&key) {
            return &bucket.account;
        }
        match self.accounts.entry(key) {
            Entry::Occupied(account) => account.into_mut(),
            Entry::Vacant(place) if has_room => place.insert(Account::default()),
            Entry::Vacant(_) => &self.shared.account,
        }
    }

    fn hold(&mut self, key: Fingerprint) -> Arc<Bucket> {
        if let Some(bucket) = self.held.get(&key) {
            return bucket.clone();
        }
        let Some(account) = self.accounts.remove(&key).or_else(|| self.has_room().then(Account::default)) else {
            return self.shared.clone();
        };
        let bucket = Arc::new(Bucket::of(account));
        self.held.insert(key, bucket.clone());
        bucket
    }

    /// Lets go of buckets that nobody holds, and of accounts that say nothing that a new key's would not.
    fn sweep(&mut self, now: u64) {
        // Nobody can take hold of one meanwhile, and the last slot may be given back a moment after the last hold.
        let is_left = |bucket: &mut Arc<Bucket>| Arc::get_mut(bucket).is_some_and(|bucket| bucket.is_empty());
        let left =
            self.held.extract_if(|_, bucket| is_left(bucket)).filter_map(|(key, bucket)| Some((key, Arc::into_inner(bucket)?.account)));
        self.accounts.extend(left.collect::<Vec<_>>());
        self.accounts.retain(|_, account| !account.is_like_new(now));
        shrink(&mut self.accounts);
        shrink(&mut self.held);
    }
}

/// Gives back the memory of what has gone.
fn shrink<T>(keys: &mut HashMap<Fingerprint, T>) {
    let left = keys.len();
    if keys.capacity() > 4 * left {
        keys.shrink_to(2 * left);
    }
}

impl Buckets {
    /// Has something charged to the account of a key that nobody need hold. The lookup is under a lock, and so is what is done.
    pub(in crate::stage) fn charge<T>(&self, key: Fingerprint, spend: impl FnOnce(&Account) -> T) -> T {
        let Some(mut shard) = self.shard(key) else { return spend(&Account::default()) };
        spend(shard.account(key))
    }

    /// The bucket of a key, to be held. One lookup under a lock: for handshakes, not for messages.
    pub(in crate::stage) fn get(&self, key: Fingerprint) -> Arc<Bucket> {
        self.shard(key).map_or_else(Arc::default, |mut shard| shard.hold(key))
    }

    fn shard(&self, key: Fingerprint) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(usize::try_from(key.0 % SHARDS as u64).ok()?).map(lock)
    }

    /// Drops what nobody holds and what says nothing that a new key would not, and gives its memory back. Each part of the store is
    /// locked for itself, for a few milliseconds where it is full.
    pub(in crate::stage) fn sweep(&self, now: u64) {
        self.shards.iter().map(lock).for_each(|mut shard| shard.sweep(now));
    }

    /// How many keys are known, and for how many there is room.
    #[cfg(test)]
    pub(in crate::stage) fn size(&self) -> (usize, usize) {
        let sizes = self
            .shards
            .iter()
            .map(lock)
            .map(|shard| (shard.accounts.len() + shard.held.len(), shard.accounts.capacity() + shard.held.capacity()));
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
        assert!(buckets.shard(key).unwrap().accounts.contains_key(&key), "nobody holds it");
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
