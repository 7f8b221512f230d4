//! `RevocationStore`: what is revoked, for all replicas.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::StoreFuture;

/// For how long [`RevocationStore::read_on`] waits where there is nothing.
pub(crate) const WAIT: Duration = Duration::from_millis(500);
/// How many records the order of a store goes back at least, before a reader is
/// [behind](ReadOn::Behind).
pub(crate) const HISTORY: usize = 10_000;

/// Keeps what is revoked, and tells all replicas of it.
///
/// It is a set of [records](RevocationRecord) and the order in which they came. No request waits
/// for it: a [`Revocation`](crate::revocation::Revocation) reads the [`snapshot`](Self::snapshot)
/// once, and [reads on](Self::read_on) from there. Several records can be about the same; all of
/// them hold. Futures own what they need: clone a handle of the store into them. An answer that
/// takes longer than 5 seconds is an error.
pub trait RevocationStore: fmt::Debug + Send + Sync + 'static {
    /// Adds these entries, all or none. An entry with a record that the store has is no error. What
    /// each [replaces](RevocationEntry::replaces) can be dropped.
    ///
    /// Every later [`read_on`](Self::read_on), at every replica, returns those that are new. A
    /// record is kept until it [ends](RevocationEntry::ends_at), by the clock of the store, and is
    /// never dropped before, not even where room is short. One that has already ended is returned
    /// by `read_on`, and is not kept. A call may have 1,000 entries; a store may refuse more.
    ///
    /// # Errors
    /// It is not known whether they were added.
    fn append(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended>;

    /// As [`append`](Self::append), for entries that the store had acknowledged before: it may have
    /// lost them. Where it had, those who write them back may have more, so
    /// [`settles_in`](ReadOn::Records::settles_in) is some seconds again. This implementation
    /// appends them.
    ///
    /// # Errors
    /// It is not known whether they were added.
    fn write_back(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        self.append(entries)
    }

    /// A part of all records: the first, or the one that the one before names.
    ///
    /// The parts together have every record that was there when the first one was asked for, and
    /// has not ended. What comes while they are read may be in them, and is returned by
    /// [`read_on`](Self::read_on) from the position of the last one.
    ///
    /// # Errors
    /// The store does not answer, or has lost records while the parts were read: begin anew.
    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot>;

    /// The records that were added after this position: those that are there now, or else those
    /// that come within about half a second. None may come; that is an answer too, which says that
    /// there was nothing when the store was asked.
    ///
    /// # Errors
    /// The store does not answer.
    fn read_on(&self, from: StorePosition) -> StoreFuture<ReadOn>;
}

impl<S: RevocationStore + ?Sized> RevocationStore for Arc<S> {
    fn append(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        (**self).append(entries)
    }

    fn write_back(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        (**self).write_back(entries)
    }

    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot> {
        (**self).snapshot(part)
    }

    fn read_on(&self, from: StorePosition) -> StoreFuture<ReadOn> {
        (**self).read_on(from)
    }
}

/// One record: 56 bytes that a store keeps as they are. They hold a code of what is revoked, and
/// a code by which replicas know that one of them has written it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationRecord([u8; Self::LENGTH]);

impl RevocationRecord {
    /// How many bytes it has.
    pub const LENGTH: usize = 56;

    /// A record of these bytes.
    pub fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for RevocationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RevocationRecord").finish_non_exhaustive()
    }
}

/// A record, and what a store has to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationEntry {
    record: RevocationRecord,
    ends_at: Option<Duration>,
    replaces: Option<RevocationRecord>,
}

impl RevocationEntry {
    /// A record that is kept until this time since 1970; `None`: always.
    pub fn new(record: RevocationRecord, ends_at: Option<Duration>) -> Self {
        Self {
            record,
            ends_at,
            replaces: None,
        }
    }

    /// Names an older record, all of which is in this one too.
    #[must_use]
    pub fn with_replaced(mut self, older: RevocationRecord) -> Self {
        self.replaces = Some(older);
        self
    }

    /// The record.
    pub fn record(&self) -> RevocationRecord {
        self.record
    }

    /// Until when it is kept, in time since 1970, a whole second. `None`: always.
    pub fn ends_at(&self) -> Option<Duration> {
        self.ends_at
    }

    /// The older record that is not needed any more.
    pub fn replaces(&self) -> Option<RevocationRecord> {
        self.replaces
    }
}

/// Entries as a store adds them: each record once, with its latest end.
pub(crate) struct Additions {
    /// [`Duration::MAX`]: never.
    pub(crate) records: Vec<(RevocationRecord, Duration)>,
    /// None of them is among the records: two that replace each other would both be gone.
    pub(crate) replaced: Vec<RevocationRecord>,
}

impl Additions {
    pub(crate) fn new(entries: &[RevocationEntry]) -> Self {
        let mut places = HashMap::with_capacity(entries.len());
        let mut records: Vec<(RevocationRecord, Duration)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let end = entry.ends_at.unwrap_or(Duration::MAX);
            let place = *places.entry(entry.record).or_insert(records.len());
            match records.get_mut(place) {
                Some((_, latest)) => *latest = end.max(*latest),
                None => records.push((entry.record, end)),
            }
        }
        let replaced = entries.iter().filter_map(|entry| entry.replaces);
        let replaced: BTreeSet<_> = replaced
            .filter(|older| !places.contains_key(older))
            .collect();
        Self {
            records,
            replaced: replaced.into_iter().collect(),
        }
    }
}

/// A place in the order of records, in the words of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePosition(Box<str>);

impl StorePosition {
    /// A position that the store knows by this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What became of [`RevocationStore::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Appended {
    /// All are there.
    Appended,
    /// None was added: there is no room.
    Full,
}

/// A part of all records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Snapshot {
    /// There are more parts.
    Part {
        /// The records of this part.
        records: Vec<RevocationRecord>,
        /// What the next part is asked for with.
        next: StorePosition,
    },
    /// This is the last part.
    Last {
        /// The records of this part.
        records: Vec<RevocationRecord>,
        /// Where to [read on](RevocationStore::read_on) from.
        position: StorePosition,
        /// How long replicas may still take to write back records that the store has lost; zero if
        /// it has lost none. Until then the snapshot does not count as complete.
        settles_in: Duration,
    },
}

/// What came after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOn {
    /// These records, or none.
    Records {
        /// In the order in which they came.
        records: Vec<RevocationRecord>,
        /// Where to read on from next.
        position: StorePosition,
        /// As in a [snapshot](Snapshot::Last::settles_in).
        settles_in: Duration,
    },
    /// The store does not know any more what came after the position. It has all records still:
    /// take a snapshot.
    Behind,
    /// The store may have lost records that it had acknowledged: write back what is known, and
    /// take a snapshot.
    Lost,
}
