//! The index: what is revoked, by digests. Where entries come from is not its business.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::entry::Kind;
use crate::crypto::{ByDigest, sha256};
use crate::util::locked;

/// How many maps there are. A map that grows, or is looked through for what is over, holds up
/// those alone that ask it.
pub(super) const SHARDS: usize = 64;

/// What names a credential or several: the kind, and 15 bytes of a SHA-256 digest of the issuer
/// and the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

const KIND_AT: usize = 15;
const SHARD_AT: usize = 14;

impl Key {
    pub(super) fn of(kind: Kind, issuer: Option<&str>, value: &str) -> Self {
        // The length of the issuer keeps the two apart; all ones stands for none.
        let length = issuer.map_or(u64::MAX, |issuer| issuer.len() as u64);
        let issuer = issuer.unwrap_or_default();
        let mut head = [0; 9];
        head[0] = kind as u8;
        head[1..].copy_from_slice(&length.to_be_bytes());
        let parts: [&[u8]; 3] = [&head, issuer.as_bytes(), value.as_bytes()];
        // In one piece it is hashed without a context.
        let mut buffer = [0; 256];
        let mut end = 0;
        let mut fits = true;
        for part in parts {
            match buffer.get_mut(end..end + part.len()) {
                Some(place) => place.copy_from_slice(part),
                None => fits = false,
            }
            end += part.len();
        }
        let digest = match fits {
            true => sha256(&[&buffer[..end]]),
            false => sha256(&parts),
        };
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key[KIND_AT] = kind as u8;
        Self(key)
    }

    fn kind(self) -> Option<Kind> {
        Kind::ALL.get(usize::from(self.0[KIND_AT])).copied()
    }

    fn shard(self) -> usize {
        usize::from(self.0[SHARD_AT]) % SHARDS
    }

    /// For events.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0[..KIND_AT]
    }

    /// For records of other replicas.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// `None` if it is of a kind that is unknown here.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let key = Self(bytes);
        key.kind().is_some().then_some(key)
    }
}

/// What is revoked of the credentials that a key names. Times are whole seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Until when all are; zero: they are not.
    pub(super) all_until: u64,
    /// Which are, by the time they were issued; and until when.
    pub(super) before: u64,
    pub(super) before_until: u64,
}

impl Record {
    /// When it is of no use any more.
    pub(super) fn ends(self) -> u64 {
        self.all_until.max(self.before_until)
    }

    /// All of both: nothing is ever taken back.
    #[must_use]
    pub(super) fn and(self, more: Self) -> Self {
        Self {
            all_until: self.all_until.max(more.all_until),
            before: self.before.max(more.before),
            before_until: self.before_until.max(more.before_until),
        }
    }
}

/// No room, and nothing that is over.
#[derive(Debug)]
pub(super) struct Full;

/// What an entry has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) before: Option<Record>,
    pub(super) now: Record,
    /// How many entries there are.
    pub(super) entries: usize,
}

impl Added {
    pub(super) fn is_news(&self) -> bool {
        self.before != Some(self.now)
    }
}

pub(super) struct Index {
    shards: [RwLock<HashMap<Key, Record, ByDigest>>; SHARDS],
    /// Of which kinds there are entries, a bit each.
    kinds: AtomicU8,
    generation: AtomicU64,
    writer: Mutex<Writer>,
    max_entries: usize,
}

/// One writes at a time.
struct Writer {
    entries: usize,
    by_kind: [usize; Kind::COUNT],
    /// No record is over before.
    next_end: u64,
}

/// A number that no index had before, so that two never take each other's judgement for their
/// own.
fn new_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

type Shard = HashMap<Key, Record, ByDigest>;

impl Index {
    pub(super) fn new(max_entries: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            kinds: AtomicU8::new(0),
            generation: AtomicU64::new(new_generation()),
            writer: Mutex::new(Writer {
                entries: 0,
                by_kind: [0; Kind::COUNT],
                next_end: u64::MAX,
            }),
            max_entries,
        }
    }

    pub(super) fn max_entries(&self) -> usize {
        self.max_entries
    }

    pub(super) fn entries(&self) -> usize {
        self.writer().entries
    }

    /// What changes with every entry. Read before the index is asked, it says of a judgement what
    /// that had seen at least.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there may be an entry of this kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds.load(Ordering::Acquire) & bit(kind) != 0
    }

    /// Whether there may be an entry at all.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.load(Ordering::Acquire) == 0
    }

    pub(super) fn get(&self, key: Key) -> Option<Record> {
        self.read(key.shard()).get(&key).copied()
    }

    /// Adds an entry.
    ///
    /// A thread that reads the generation afterwards finds the entry: it is there first.
    pub(super) fn add(&self, key: Key, record: Record, now: u64) -> Result<Added, Full> {
        let mut writer = self.writer();
        let before = self.get(key);
        let added = |entries| Added {
            before,
            now: before.unwrap_or_default().and(record),
            entries,
        };
        if !added(0).is_news() {
            return Ok(added(writer.entries));
        }
        let is_new = before.is_none();
        if is_new && writer.entries >= self.max_entries {
            self.drop_what_is_over(&mut writer, now);
            if writer.entries >= self.max_entries {
                return Err(Full);
            }
        }
        writer.next_end = writer.next_end.min(record.ends());
        let mut shard = self.write(key.shard());
        shard.insert(key, added(0).now);
        drop(shard);
        if is_new {
            writer.entries += 1;
            if let Some(kind) = key.kind() {
                writer.by_kind[kind as usize] += 1;
                self.kinds.fetch_or(bit(kind), Ordering::Release);
            }
        }
        self.generation.store(new_generation(), Ordering::Release);
        Ok(added(writer.entries))
    }

    /// The entries of one of the [`SHARDS`] that are not over.
    pub(super) fn shard(&self, shard: usize, now: u64) -> Vec<(Key, Record)> {
        let shard = self.read(shard);
        let there = shard.iter().map(|(key, record)| (*key, *record));
        there.filter(|(_, record)| now < record.ends()).collect()
    }

    fn drop_what_is_over(&self, writer: &mut Writer, now: u64) {
        if now < writer.next_end {
            return;
        }
        (writer.entries, writer.by_kind) = (0, [0; Kind::COUNT]);
        writer.next_end = u64::MAX;
        for shard in 0..SHARDS {
            let mut shard = self.write(shard);
            shard.retain(|_, record| now < record.ends());
            for (key, record) in &*shard {
                writer.entries += 1;
                writer.next_end = writer.next_end.min(record.ends());
                if let Some(kind) = key.kind() {
                    writer.by_kind[kind as usize] += 1;
                }
            }
        }
        let there = Kind::ALL.into_iter();
        let there = there.filter(|kind| writer.by_kind[*kind as usize] > 0);
        let kinds = there.fold(0, |kinds, kind| kinds | bit(kind));
        self.kinds.store(kinds, Ordering::Release);
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        locked(&self.writer)
    }

    /// Nothing panics under these locks, so what they guard is whole.
    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        let shard = self.shards[shard].read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        let shard = self.shards[shard].write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }
}

fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}
