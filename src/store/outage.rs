//! `AllowOnOutage`: a store that gives an answer during an outage.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Insertion, ReplayStore, StoreError, StoreFuture, StoreKey, StoreValue, WatchFuture,
    within_patience,
};
use crate::clock::Clock;
use crate::telemetry;
use crate::util::{Occasionally, TRACED_CHARS, one_line};

/// A [`ReplayStore`] that answers when the one inside does not: see
/// [`ReplayStore::dangerously_allow_on_outage`].
#[must_use]
pub struct AllowOnOutage<S> {
    store: Arc<S>,
    warned: Arc<Occasionally>,
}

impl<S> Clone for AllowOnOutage<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            warned: Arc::clone(&self.warned),
        }
    }
}

impl<S: ReplayStore> AllowOnOutage<S> {
    pub(super) fn new(store: S) -> Self {
        telemetry::weakened(
            "dangerously_allow_on_outage",
            "while the shared store gives no answer, every caller counts as the first",
        );
        Self {
            store: Arc::new(store),
            warned: Arc::default(),
        }
    }

    fn or<T: Send + 'static>(&self, answer: StoreFuture<T>, otherwise: T) -> StoreFuture<T> {
        let warned = Arc::clone(&self.warned);
        Box::pin(async move {
            // The time limit is here: that of the caller would make an error of it.
            within_patience(answer).await.or_else(|error: StoreError| {
                let is_due = warned.is_due(Clock::system().monotonic());
                let why = one_line(&error.to_string(), TRACED_CHARS);
                telemetry::allowed_on_outage(is_due, &why);
                Ok(otherwise)
            })
        })
    }
}

impl<S: ReplayStore> ReplayStore for AllowOnOutage<S> {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        let answer = self.store.insert_if_absent(key, value, life);
        self.or(answer, Insertion::Inserted)
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        self.or(self.store.get(key), None)
    }

    fn complete_since(&self) -> Duration {
        self.store.complete_since()
    }

    fn watch(self: Arc<Self>, key: StoreKey) -> WatchFuture {
        Arc::clone(&self.store).watch(key)
    }
}

impl<S: fmt::Debug> fmt::Debug for AllowOnOutage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllowOnOutage").field(&self.store).finish()
    }
}
