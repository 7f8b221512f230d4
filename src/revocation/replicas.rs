//! What a `Revocation` shares with those of other replicas, and how well it knows it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::index::{Index, Key, Record};
use super::record::Sealer;
use super::settings::Settings;
use super::{RevocationHealth, Shared};
use crate::error::{AuthError, Reason};
use crate::store::{RevocationEntry, RevocationStore};
use crate::util::{locked, millis};

/// A store that has not answered for so long is down.
const UP: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Replicas {
    pub(super) store: Arc<dyn RevocationStore>,
    pub(super) sealer: Sealer,
    /// Everything was read once.
    is_complete: AtomicBool,
    /// When the store was last asked what is new, and answered: by the monotonic clock, in
    /// milliseconds. Zero: never.
    asked_at: AtomicU64,
    /// What the store has not acknowledged.
    unsent: Mutex<HashSet<Key>>,
    trouble: Mutex<Option<Box<str>>>,
    is_reported_old: AtomicBool,
    /// Wakes those who wait for the first snapshot.
    pub(super) completed: Notify,
    task: Mutex<Option<AbortHandle>>,
}

impl Replicas {
    pub(super) fn new(store: Arc<dyn RevocationStore>, sealer: Sealer) -> Self {
        Self {
            store,
            sealer,
            is_complete: AtomicBool::default(),
            asked_at: AtomicU64::default(),
            unsent: Mutex::default(),
            trouble: Mutex::default(),
            is_reported_old: AtomicBool::default(),
            completed: Notify::new(),
            task: Mutex::default(),
        }
    }

    /// The same store, of which nothing is known yet.
    pub(super) fn unread(&self) -> Self {
        Self::new(Arc::clone(&self.store), self.sealer.clone())
    }

    pub(super) fn entry(&self, key: Key, record: Record, older: Option<Record>) -> RevocationEntry {
        let ends = record.ends();
        let ends_at = (ends != u64::MAX).then(|| Duration::from_secs(ends));
        let entry = RevocationEntry::new(self.sealer.seal(key, record), ends_at);
        match older.filter(|older| *older != record) {
            Some(older) => entry.with_replaced(self.sealer.seal(key, older)),
            None => entry,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    pub(super) fn complete(&self) {
        if !self.is_complete.swap(true, Ordering::AcqRel) {
            self.completed.notify_waiters();
        }
    }

    /// The store has answered a question of this moment.
    pub(super) fn answered(&self, asked_at: Duration) {
        self.asked_at
            .fetch_max(millis(asked_at).max(1), Ordering::AcqRel);
    }

    pub(super) fn failed(&self, why: String) {
        *locked(&self.trouble) = Some(why.into());
    }

    /// The store has acknowledged these.
    pub(super) fn sent(&self, index: &Index, records: &[(Key, Record)]) {
        let mut unsent = self.unsent();
        for (key, record) in records {
            // It may have grown in between.
            if index.get(*key) == Some(*record) {
                unsent.remove(key);
            }
        }
    }

    pub(super) fn unsent(&self) -> MutexGuard<'_, HashSet<Key>> {
        locked(&self.unsent)
    }

    /// Whether what is known here is too old to go by.
    pub(super) fn is_stale(&self, settings: &Settings) -> bool {
        !settings.allow_on_outage && self.is_old(settings)
    }

    /// Whether what is known here is too old, whatever comes of it.
    fn is_old(&self, settings: &Settings) -> bool {
        if !self.is_complete() {
            return true;
        }
        let asked_at = self.asked_at.load(Ordering::Acquire);
        let longest = millis(settings.max_staleness.saturating_add(UP));
        millis(settings.clock.monotonic()).saturating_sub(asked_at) > longest
    }

    fn age(&self, settings: &Settings) -> Option<Duration> {
        let asked_at = Duration::from_millis(self.asked_at.load(Ordering::Acquire));
        let age = settings.clock.monotonic().saturating_sub(asked_at);
        self.is_complete().then_some(age)
    }

    fn why(&self) -> Box<str> {
        let why = locked(&self.trouble).clone();
        why.unwrap_or_else(|| match self.is_complete() {
            true => "the store has not answered".into(),
            false => "they are not read yet".into(),
        })
    }

    /// Whether it has become too old, or is not any more, since this was last asked.
    pub(super) fn turned(&self, settings: &Settings) -> Option<Turned> {
        let is_old = self.is_old(settings);
        let was_old = self.is_reported_old.swap(is_old, Ordering::AcqRel);
        match (was_old, is_old) {
            (false, true) => Some(Turned::Old(self.why())),
            (true, false) => Some(Turned::Fresh),
            _ => None,
        }
    }

    /// Runs the task, unless one runs.
    pub(super) fn start(&self, spawn: impl FnOnce() -> AbortHandle) {
        // Outside a runtime there is no task; the next request is asked in one.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut task = locked(&self.task);
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            *task = Some(spawn());
        }
    }
}

/// What has become of the knowledge of a replica.
pub(super) enum Turned {
    Old(Box<str>),
    Fresh,
}

impl Shared {
    /// The refusal of every credential while it is not known what is revoked.
    pub(super) fn unknown(&self) -> Option<AuthError> {
        let replicas = self.replicas.as_ref()?;
        replicas.is_stale(&self.settings).then(|| {
            AuthError::unavailable(Reason::REVOCATIONS_UNAVAILABLE, RETRY)
                .with_detail(replicas.why())
                // `tell` says it once: every request would repeat it.
                .logged()
        })
    }

    pub(super) fn health(&self) -> RevocationHealth {
        let replicas = self.replicas.as_ref();
        let is_ready = replicas
            .is_none_or(|replicas| replicas.is_complete() && !replicas.is_stale(&self.settings));
        RevocationHealth {
            is_ready,
            age: replicas.map_or(Some(Duration::ZERO), |replicas| {
                replicas.age(&self.settings)
            }),
            unsent: replicas.map_or(0, |replicas| replicas.unsent().len()),
            error: replicas.filter(|_| !is_ready).map(Replicas::why),
        }
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        if let Some(task) = locked(&self.task).take() {
            task.abort();
        }
    }
}
