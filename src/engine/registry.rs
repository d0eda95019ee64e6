//! From a request's namespace, name and metadata to its entry, without a lock.
//!
//! Shards of an immutable map that writers replace: a reader loads a pointer. Writers are rare and
//! hold the engine's index lock, so that they never race each other. The hash is keyed with a random
//! seed (metadata is untrusted), and a hit is compared in full.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::entry::Entry;

const SHARDS: usize = 64;

type Shard = ArcSwap<HashMap<u64, Arc<Entry>>>;

pub(super) struct Registry {
    seed: RandomState,
    shards: Vec<Shard>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self { seed: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    pub(super) fn key(&self, namespace: &str, name: &str, metadata: &BTreeMap<String, String>) -> u64 {
        self.seed.hash_one((namespace, name, metadata))
    }

    pub(super) fn get(
        &self,
        key: u64,
        namespace: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Option<Arc<Entry>> {
        let shard = self.shard(key).load();
        shard.get(&key).filter(|entry| entry.is_for(namespace, name, metadata)).cloned()
    }

    /// Callers hold the index lock.
    pub(super) fn insert(&self, key: u64, entry: Arc<Entry>) {
        let shard = self.shard(key);
        let mut entries = HashMap::clone(&shard.load());
        entries.insert(key, entry);
        shard.store(Arc::new(entries));
    }

    /// Callers hold the index lock.
    pub(super) fn remove(&self, key: u64) {
        let shard = self.shard(key);
        let mut entries = HashMap::clone(&shard.load());
        entries.remove(&key);
        shard.store(Arc::new(entries));
    }

    fn shard(&self, key: u64) -> &Shard {
        // The upper bits: the map inside uses its own hash of the key anyway.
        &self.shards[usize::try_from(key >> 58).unwrap_or(0) % SHARDS]
    }
}
