//! Proofs that were used, in the memory of one process.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::util::locked;

/// How much of time one bucket holds, in seconds.
const BUCKET: u64 = 60;

/// How many counters of owners a bucket has. Two owners may share one of them, seldom both.
const COUNTERS: usize = 2 * 16_384;

/// How many buckets that were dropped are remembered: two days and a half.
const MAX_DROPPED: usize = 4096;

/// What tells a proof from all others. Half of a digest: who makes two proofs with one has wasted
/// the own ones.
pub(super) type ProofId = [u8; 16];

/// Proofs that were used, by the time until which each could be used again. Whole buckets are
/// dropped: nothing is searched for what is over.
///
/// An entry takes about 40 bytes and at most 60, so that a million takes less than 64 MiB with the
/// counters.
pub(super) struct UsedProofs {
    max_entries: Arc<usize>,
    table: Arc<Table>,
}

/// What was used. Layers with other limits may share it, and the largest one is that of all: what
/// is used at one of them must not close another.
#[derive(Default)]
pub(super) struct Table {
    by: RandomState,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    /// By the number of their last minute since 1970. By the wall clock, as the times of proofs: where
    /// that is set back, entries stay.
    live: BTreeMap<u64, Bucket>,
    /// Those dropped with something in them. Where the clock was set back to one of them, it is not
    /// known any more what was used.
    dropped: BTreeSet<u64>,
    entries: usize,
    /// Of all who share it.
    limits: Vec<Weak<usize>>,
}

struct Bucket {
    seen: HashSet<ProofId, RandomState>,
    /// How many are of each owner: two counters, of which the smaller one counts.
    owners: Box<[u32]>,
}

/// What became of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It was not there, and is now. `filling`: at least 80 % are in use.
    First { filling: bool },
    /// It was there.
    Again,
    /// There is no room.
    Full,
    /// There is none for this owner, who has a tenth of it while more than half is in use.
    FullForOwner,
    /// The clock was set back: it is not known whether it was there.
    Forgotten,
}

impl UsedProofs {
    pub(super) fn new(max_entries: usize) -> Self {
        Self::of(max_entries, Arc::default())
    }

    fn of(max_entries: usize, table: Arc<Table>) -> Self {
        let max_entries = Arc::new(max_entries);
        let mut buckets = table.buckets();
        buckets.limits.retain(|limit| limit.strong_count() > 0);
        buckets.limits.push(Arc::downgrade(&max_entries));
        drop(buckets);
        Self { max_entries, table }
    }

    /// The same limit, for what is in this table and what is entered from now on.
    #[cfg(feature = "config")]
    pub(super) fn in_table(&self, table: Arc<Table>) -> Self {
        Self::of(*self.max_entries, table)
    }

    #[cfg(feature = "config")]
    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(super) fn max_entries(&self) -> usize {
        *self.max_entries
    }

    /// How many may be in the table: the largest limit of all that share it.
    pub(super) fn most(&self) -> usize {
        self.table.buckets().most()
    }

    /// Enters a proof that can be used until `ends`, unless it is there: one step, under one lock.
    pub(super) fn enter(
        &self,
        proof: ProofId,
        owner: impl std::hash::Hash,
        ends: Duration,
        now: Duration,
    ) -> Entered {
        let minute = ends.as_secs() / BUCKET;
        let hash = self.table.by.hash_one(owner);
        let mut buckets = self.table.buckets();
        buckets.drop_before(now.as_secs() / BUCKET);
        if buckets.dropped.contains(&minute) {
            return Entered::Forgotten;
        }
        let mut live = buckets.live.values();
        if live.any(|bucket| bucket.seen.contains(&proof)) {
            return Entered::Again;
        }
        let most = buckets.most();
        if buckets.entries >= most {
            return Entered::Full;
        }
        if buckets.entries >= most.div_ceil(2) {
            let share = most.div_ceil(10);
            let own: usize = buckets.live.values().map(|bucket| bucket.of(hash)).sum();
            if own >= share {
                return Entered::FullForOwner;
            }
        }
        let bucket = buckets.live.entry(minute).or_insert_with(|| Bucket {
            seen: HashSet::with_hasher(self.table.by.clone()),
            owners: vec![0; COUNTERS].into_boxed_slice(),
        });
        bucket.seen.insert(proof);
        for at in places(hash) {
            bucket.owners[at] = bucket.owners[at].saturating_add(1);
        }
        buckets.entries += 1;
        Entered::First {
            filling: buckets.entries >= most / 5 * 4,
        }
    }
}

impl Table {
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        locked(&self.buckets)
    }
}

impl Buckets {
    /// How many there may be.
    fn most(&self) -> usize {
        let limits = self.limits.iter().filter_map(Weak::upgrade);
        limits.map(|limit| *limit).max().unwrap_or_default()
    }

    /// Drops what cannot be used any more.
    fn drop_before(&mut self, minute: u64) {
        while let Some(first) = self.live.first_entry().filter(|own| *own.key() < minute) {
            let (over, bucket) = first.remove_entry();
            self.entries -= bucket.seen.len();
            self.dropped.insert(over);
            if self.dropped.len() > MAX_DROPPED {
                self.dropped.pop_first();
            }
        }
    }
}

impl Bucket {
    /// How many are of an owner, or a few more.
    fn of(&self, hash: u64) -> usize {
        let [one, other] = places(hash).map(|at| self.owners[at]);
        one.min(other) as usize
    }
}

/// The counters of an owner: one of each half.
fn places(hash: u64) -> [usize; 2] {
    const HALF: u64 = COUNTERS as u64 / 2;
    [hash % HALF, HALF + (hash >> 32) % HALF].map(|at| at as usize)
}

impl fmt::Debug for UsedProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsedProofs")
            .field("max_entries", &self.max_entries)
            .finish_non_exhaustive()
    }
}
