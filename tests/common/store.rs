//! A shared store that fails when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tower_mcp_auth::store::{
    Insertion, MemoryReplayStore, ReplayStore, StoreError, StoreFuture, StoreKey, StoreValue,
};

/// A store in memory that can be out of reach, and whose `watch` is the one that asks.
#[derive(Clone, Debug, Default)]
pub struct FlakyStore {
    store: MemoryReplayStore,
    fails: Arc<AtomicBool>,
}

impl FlakyStore {
    /// Puts it out of reach, or back.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn or_fail<T: Send + 'static>(&self, answer: StoreFuture<T>) -> StoreFuture<T> {
        let fails = Arc::clone(&self.fails);
        Box::pin(async move {
            if fails.load(Ordering::SeqCst) {
                return Err(StoreError::new("out of\nreach"));
            }
            answer.await
        })
    }
}

impl ReplayStore for FlakyStore {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        self.or_fail(self.store.insert_if_absent(key, value, life))
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        self.or_fail(self.store.get(key))
    }

    fn complete_since(&self) -> Duration {
        Duration::ZERO
    }
}
