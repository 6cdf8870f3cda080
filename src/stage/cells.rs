//! State cells: what outlives a snapshot, by kind and name.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type Key = (String, String, TypeId);

/// Buckets, counters, server states: whatever a part of the config keeps while the config around it is compiled anew.
#[derive(Default)]
pub struct Cells {
    cells: Mutex<HashMap<Key, Arc<dyn Any + Send + Sync>>>,
}

impl Cells {
    /// The cell of this kind, name and type; made by `make` where there is none yet.
    pub fn cell<T: Any + Send + Sync>(&self, kind: &str, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let key = (kind.to_owned(), name.to_owned(), TypeId::of::<T>());
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(key).or_insert_with(|| Arc::new(make())).clone();
        cell.downcast().expect("cells are keyed by their type")
    }

    /// Drops the cells that nothing but this store holds any more; called after a swap.
    pub fn sweep(&self) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, cell| Arc::strong_count(cell) > 1);
    }
}
