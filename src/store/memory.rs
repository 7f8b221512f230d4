//! `MemoryReplayStore`: a store of one process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
#[cfg(feature = "config")]
use std::sync::Weak;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Insertion, ReplayStore, StoreFuture, StoreKey, StoreValue, WatchFuture};
use crate::clock::Clock;
use crate::util::locked;

/// How many groups watchers are woken in. A record wakes those of one.
const GROUPS: usize = 64;

/// A [`ReplayStore`] in the memory of one process, for servers with sessions that live there too.
///
/// Clones share their records. It holds so many records at most, by default
/// [`MAX_ENTRIES`](Self::MAX_ENTRIES), of about 200 bytes each. Expired ones make room;
/// where there is none it answers [`Insertion::Full`], and never drops a record that lives.
/// It is [complete](ReplayStore::complete_since) since it was first asked anything.
///
/// See the [module docs](crate::store) for an example.
#[derive(Clone)]
#[must_use]
pub struct MemoryReplayStore {
    shared: Arc<Shared>,
}

struct Shared {
    max_entries: usize,
    clock: Clock,
    /// Not when it was made: one that is made for a reload would claim to know what the one
    /// before it is told until it takes over.
    since: OnceLock<Duration>,
    records: Mutex<Records>,
    groups: [Notify; GROUPS],
}

#[derive(Default)]
struct Records {
    by_key: HashMap<StoreKey, Record>,
    /// The same by the end of their life.
    by_end: BTreeSet<(Duration, StoreKey)>,
}

#[derive(Clone, Copy)]
struct Record {
    value: StoreValue,
    /// Time since 1970. By the wall clock, as the age of what records are about: where that is
    /// set back, a record goes on as well.
    ends: Duration,
}

impl Records {
    fn live(&self, key: StoreKey, now: Duration) -> Option<StoreValue> {
        let record = self.by_key.get(&key)?;
        (now < record.ends).then_some(record.value)
    }

    fn insert(&mut self, key: StoreKey, record: Record) {
        self.by_end.insert((record.ends, key));
        if let Some(old) = self.by_key.insert(key, record)
            && old.ends != record.ends
        {
            self.by_end.remove(&(old.ends, key));
        }
    }

    /// Drops the record that expires first, if it is expired.
    fn drop_one(&mut self, now: Duration) -> bool {
        let Some(&(ends, key)) = self.by_end.first() else {
            return false;
        };
        if now < ends {
            return false;
        }
        self.by_end.pop_first();
        self.by_key.remove(&key);
        true
    }
}

impl MemoryReplayStore {
    /// How many records there are at most by default.
    pub const MAX_ENTRIES: usize = 100_000;

    /// A store of at most so many records. With zero it is always full.
    pub fn new(max_entries: usize) -> Self {
        Self::from_parts(max_entries, Clock::system())
    }

    fn from_parts(max_entries: usize, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                max_entries,
                clock,
                since: OnceLock::new(),
                records: Mutex::default(),
                groups: [const { Notify::const_new() }; GROUPS],
            }),
        }
    }

    #[cfg(feature = "config")]
    pub(crate) fn downgrade(&self) -> WeakMemoryReplayStore {
        WeakMemoryReplayStore(Arc::downgrade(&self.shared))
    }

    /// Replaces the clock; for tests. The store begins anew, and earlier clones are another one.
    pub fn clock(self, clock: Clock) -> Self {
        Self::from_parts(self.shared.max_entries, clock)
    }
}

/// A store that is there as long as others keep it.
#[cfg(feature = "config")]
pub(crate) struct WeakMemoryReplayStore(Weak<Shared>);

#[cfg(feature = "config")]
impl WeakMemoryReplayStore {
    pub(crate) fn upgrade(&self) -> Option<MemoryReplayStore> {
        let shared = self.0.upgrade()?;
        Some(MemoryReplayStore { shared })
    }
}

impl Default for MemoryReplayStore {
    /// A store of at most [`MAX_ENTRIES`](Self::MAX_ENTRIES) records.
    fn default() -> Self {
        Self::new(Self::MAX_ENTRIES)
    }
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Records> {
        locked(&self.records)
    }

    fn since(&self) -> Duration {
        *self.since.get_or_init(|| self.clock.now())
    }

    fn group(&self, key: StoreKey) -> &Notify {
        &self.groups[usize::from(key.as_bytes()[0]) % GROUPS]
    }

    fn insert_if_absent(&self, key: StoreKey, value: StoreValue, life: Duration) -> Insertion {
        self.since();
        let mut records = self.records();
        // Under the lock, so that an older time is not taken for a newer one.
        let now = self.clock.now();
        if let Some(there) = records.live(key, now) {
            return Insertion::Present(there);
        }
        if !records.by_key.contains_key(&key) {
            while records.by_key.len() >= self.max_entries {
                if !records.drop_one(now) {
                    return Insertion::Full;
                }
            }
        }
        let ends = now.saturating_add(life);
        records.insert(key, Record { value, ends });
        drop(records);
        // Before it is answered: watchers are awake when the record is known.
        self.group(key).notify_waiters();
        Insertion::Inserted
    }

    fn get(&self, key: StoreKey) -> Option<StoreValue> {
        self.since();
        self.records().live(key, self.clock.now())
    }

    async fn watch(&self, key: StoreKey) {
        loop {
            let mut woken = pin!(self.group(key).notified());
            // Before the look: a record that is written in between wakes it.
            woken.as_mut().enable();
            let is_there = poll_fn(|cx| {
                // At each poll, whether it was woken or not: what is there is never overlooked.
                if self.get(key).is_some() {
                    return Poll::Ready(true);
                }
                ready!(woken.as_mut().poll(cx));
                Poll::Ready(false)
            });
            if is_there.await {
                return;
            }
        }
    }
}

impl ReplayStore for MemoryReplayStore {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.insert_if_absent(key, value, life)) })
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.get(key)) })
    }

    fn complete_since(&self) -> Duration {
        self.shared.since()
    }

    fn watch(self: Arc<Self>, key: StoreKey) -> WatchFuture {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.watch(key).await })
    }
}

impl fmt::Debug for MemoryReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayStore")
            .field("max_entries", &self.shared.max_entries)
            .finish_non_exhaustive()
    }
}
