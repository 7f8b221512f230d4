//! `MemoryRevocationStore`: what is revoked, for servers of one process.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use super::{
    Additions, Appended, HISTORY, ReadOn, RevocationEntry, RevocationRecord, RevocationStore,
    Snapshot, StoreError, StoreFuture, StorePosition, WAIT, sleep,
};
use crate::clock::Clock;
use crate::util::locked;

/// A [`RevocationStore`] in the memory of one process, for servers that share it and for tests.
///
/// Clones share their records. It holds so many at most, by default
/// [`MAX_RECORDS`](Self::MAX_RECORDS), of about 300 bytes each. Those that have ended make room;
/// where there is none it answers [`Appended::Full`], and never drops a record before its end. It
/// remembers the order of the last 10,000. With the process its records are gone.
///
/// ```
/// use tower_mcp_auth::store::{
///     Appended, MemoryRevocationStore, RevocationEntry, RevocationRecord, RevocationStore,
///     Snapshot,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_mcp_auth::store::StoreError> {
/// let store = MemoryRevocationStore::new(1);
/// let record = |number| RevocationRecord::new([number; RevocationRecord::LENGTH]);
/// let append = |number| store.append(vec![RevocationEntry::new(record(number), None)]);
///
/// assert_eq!(append(1).await?, Appended::Appended);
/// // There is room for one, and it never ends.
/// assert_eq!(append(2).await?, Appended::Full);
/// let Snapshot::Last { records, .. } = store.snapshot(None).await? else {
///     unreachable!("it has one part");
/// };
/// assert_eq!(records, [record(1)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemoryRevocationStore {
    shared: Arc<Shared>,
}

struct Shared {
    max_records: usize,
    clock: Clock,
    /// Which store a position is of.
    number: u64,
    records: Mutex<Records>,
    added: Notify,
}

#[derive(Default)]
struct Records {
    ends: HashMap<RevocationRecord, Duration>,
    by_end: BTreeSet<(Duration, RevocationRecord)>,
    /// The last ones, in the order in which they came.
    history: VecDeque<RevocationRecord>,
    /// How many came.
    added: u64,
}

impl Records {
    fn insert(&mut self, record: RevocationRecord, end: Duration) {
        if let Some(before) = self.ends.insert(record, end) {
            self.by_end.remove(&(before, record));
        }
        self.by_end.insert((end, record));
    }

    fn remove(&mut self, record: RevocationRecord) {
        if let Some(end) = self.ends.remove(&record) {
            self.by_end.remove(&(end, record));
        }
    }

    fn drop_ended(&mut self, now: Duration) {
        while let Some(&(end, record)) = self.by_end.first()
            && end <= now
        {
            self.by_end.pop_first();
            self.ends.remove(&record);
        }
    }

    fn remember(&mut self, record: RevocationRecord) {
        self.added += 1;
        self.history.push_back(record);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// What came after so many. `None`: it is forgotten.
    fn after(&self, count: u64) -> Option<Vec<RevocationRecord>> {
        let missed = usize::try_from(self.added.checked_sub(count)?).ok()?;
        let known = self.history.len().checked_sub(missed)?;
        Some(self.history.range(known..).copied().collect())
    }
}

impl MemoryRevocationStore {
    /// How many records there are at most by default.
    pub const MAX_RECORDS: usize = 100_000;

    /// A store of at most so many records. With zero it is always full.
    pub fn new(max_records: usize) -> Self {
        Self::from_parts(max_records, Clock::system())
    }

    fn from_parts(max_records: usize, clock: Clock) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);

        Self {
            shared: Arc::new(Shared {
                max_records,
                clock,
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
                records: Mutex::default(),
                added: Notify::new(),
            }),
        }
    }

    /// Replaces the clock; for tests. The store begins anew, and earlier clones are another one.
    pub fn clock(self, clock: Clock) -> Self {
        Self::from_parts(self.shared.max_records, clock)
    }
}

impl Default for MemoryRevocationStore {
    /// A store of at most [`MAX_RECORDS`](Self::MAX_RECORDS) records.
    fn default() -> Self {
        Self::new(Self::MAX_RECORDS)
    }
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Records> {
        locked(&self.records)
    }

    fn append(&self, entries: &[RevocationEntry]) -> Appended {
        let additions = Additions::new(entries);
        let mut all = self.records();
        let now = self.clock.now();
        all.drop_ended(now);
        let is_there = |record| all.ends.contains_key(record);
        let kept = additions.records.iter().filter(|(_, end)| *end > now);
        let more = kept.filter(|(record, _)| !is_there(record)).count();
        let fewer = additions.replaced.iter().filter(|older| is_there(older));
        if more > 0 && all.ends.len() + more > self.max_records + fewer.count() {
            return Appended::Full;
        }
        for (record, end) in additions.records {
            let before = all.ends.get(&record).copied();
            if before.is_none() {
                all.remember(record);
            }
            if end > now {
                all.insert(record, before.map_or(end, |before| before.max(end)));
            }
        }
        for older in additions.replaced {
            all.remove(older);
        }
        drop(all);
        self.added.notify_waiters();
        Appended::Appended
    }

    fn snapshot(&self) -> Snapshot {
        let mut all = self.records();
        all.drop_ended(self.clock.now());
        Snapshot::Last {
            records: all.ends.keys().copied().collect(),
            position: self.position(all.added),
            settles_in: Duration::ZERO,
        }
    }

    fn position(&self, count: u64) -> StorePosition {
        StorePosition::new(format!("{} {count}", self.number))
    }

    /// What is there after so many; none is an answer too.
    fn look(&self, count: u64) -> ReadOn {
        let all = self.records();
        match all.after(count) {
            None => ReadOn::Behind,
            Some(records) => ReadOn::Records {
                records,
                position: self.position(all.added),
                settles_in: Duration::ZERO,
            },
        }
    }

    async fn read_on(&self, from: &StorePosition) -> Result<ReadOn, StoreError> {
        let numbers = from.as_str().split_once(' ');
        let numbers = numbers.and_then(|(of, count)| Some((of.parse().ok()?, count.parse().ok()?)));
        let (of, count): (u64, u64) =
            numbers.ok_or_else(|| StoreError::new("the position is of another store"))?;
        if of != self.number {
            return Ok(ReadOn::Lost);
        }
        let mut added = pin!(self.added.notified());
        // Before the look: what is added in between wakes it.
        added.as_mut().enable();
        match self.look(count) {
            ReadOn::Records { records, .. } if records.is_empty() => {}
            found => return Ok(found),
        }
        let mut late = pin!(sleep(WAIT));
        poll_fn(|cx| match added.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => late.as_mut().poll(cx),
        })
        .await;
        Ok(self.look(count))
    }
}

impl RevocationStore for MemoryRevocationStore {
    fn append(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.append(&entries)) })
    }

    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            match part {
                None => Ok(shared.snapshot()),
                Some(_) => Err(StoreError::new("a snapshot of memory has one part")),
            }
        })
    }

    fn read_on(&self, from: StorePosition) -> StoreFuture<ReadOn> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.read_on(&from).await })
    }
}

impl fmt::Debug for MemoryRevocationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRevocationStore")
            .field("max_records", &self.shared.max_records)
            .finish_non_exhaustive()
    }
}
