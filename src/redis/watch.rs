//! Records that are waited for.
//!
//! One task looks for all of them: 10,000 streams are ten questions a second.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::store::StoreKey;
use crate::util::locked;

#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<StoreKey, Waited>>);

struct Waited {
    waiters: usize,
    flag: Arc<Flag>,
}

#[derive(Default)]
struct Flag {
    is_up: AtomicBool,
    notify: Notify,
}

/// One who waits.
pub(super) struct Waiter<'a> {
    watched: &'a Watched,
    key: StoreKey,
    flag: Arc<Flag>,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, HashMap<StoreKey, Waited>> {
        locked(&self.0)
    }

    pub(super) fn wait(&self, key: StoreKey) -> Waiter<'_> {
        let mut all = self.lock();
        let waited = all.entry(key).or_insert_with(|| Waited {
            waiters: 0,
            flag: Arc::default(),
        });
        waited.waiters += 1;
        let flag = Arc::clone(&waited.flag);
        Waiter {
            watched: self,
            key,
            flag,
        }
    }

    pub(super) fn keys(&self) -> Vec<StoreKey> {
        self.lock().keys().copied().collect()
    }

    /// The record is there.
    pub(super) fn found(&self, key: StoreKey) {
        if let Some(waited) = self.lock().get(&key) {
            waited.flag.raise();
        }
    }

    /// Any of the records may have been there.
    pub(super) fn found_all(&self) {
        self.lock().values().for_each(|waited| waited.flag.raise());
    }
}

impl Flag {
    fn raise(&self) {
        self.is_up.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
}

impl Waiter<'_> {
    pub(super) async fn found(&self) {
        loop {
            let mut raised = pin!(self.flag.notify.notified());
            // Before the look: what is raised in between wakes it.
            raised.as_mut().enable();
            if self.flag.is_up.load(Ordering::SeqCst) {
                return;
            }
            raised.await;
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut all = self.watched.lock();
        if let Some(waited) = all.get_mut(&self.key) {
            waited.waiters -= 1;
            if waited.waiters == 0 {
                all.remove(&self.key);
            }
        }
    }
}
