//! What is remembered of tokens by their digests: a moka cache, which bounds it, and before
//! it a table of the entries in use now.
//!
//! A look-up in moka pins an epoch, reads a clock and tells of itself through a channel, so
//! that moka knows what to let go first. In the table it is one line of memory. Moka is told
//! of a use soon, at [`TOLD_FIRST`], and then of one in [`TOLD_EVERY`]: it still knows what
//! is used, and what is used most.
//!
//! The table keeps nothing alive: what moka lets go is gone from it as well, once no principal
//! holds it any more, but for the empty shell of some 450 bytes that each place holds until
//! another entry takes it. So being here is no proof that a thing is fresh: who asks judges its
//! life. What is forgotten on purpose is marked, because somebody may still hold it and put it
//! into the table again.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapWeak;
use moka::sync::Cache;

use crate::crypto::{ByDigest, Digest};
use crate::principal::{Holder, Identity};

/// The first use of an entry in the table that moka is told.
const TOLD_FIRST: u32 = 4;
/// Of so many uses of an entry moka is told one.
const TOLD_EVERY: u32 = 32;
/// Places that share one line of memory.
const WAYS: usize = 6;
/// The sizes a table has one after the other: from 1,536 places, which take 16 KiB, to 393,216.
const LEVELS: usize = 5;

/// The cache behind the table. Nobody puts an entry in at will, so the digest is its hash.
pub(super) type Kept<T> = Cache<Digest, Arc<Entry<T>>, ByDigest>;

/// Entries by their digests.
pub(super) struct Remembered<T> {
    table: Table<T>,
    kept: Kept<T>,
    /// Half of what `kept` holds.
    half: u64,
    /// How often all was forgotten.
    generation: AtomicU64,
}

/// One thing remembered. In this order, because what a look-up needs is then side by side.
#[repr(C)]
pub(super) struct Entry<T> {
    generation: u64,
    uses: AtomicU32,
    forgotten: AtomicBool,
    digest: Digest,
    value: T,
}

impl<T> Entry<T> {
    pub(super) fn value(&self) -> &T {
        &self.value
    }

    #[inline(always)]
    fn new(generation: u64, digest: Digest, forgotten: bool, value: T) -> Arc<Self> {
        Arc::new(Self {
            generation,
            uses: AtomicU32::new(0),
            forgotten: AtomicBool::new(forgotten),
            digest,
            value,
        })
    }

    /// Lets nobody find this one again, wherever it is held.
    pub(super) fn mark_forgotten(&self) {
        self.forgotten.store(true, Ordering::Release);
    }

    /// Whether moka is to be told of this use. Of two at the same time one may be lost.
    fn tells(&self) -> bool {
        let uses = self.uses.load(Ordering::Relaxed).wrapping_add(1);
        self.uses.store(uses, Ordering::Relaxed);
        uses == TOLD_FIRST || uses.is_multiple_of(TOLD_EVERY)
    }
}

impl<T: Holder> Holder for Entry<T> {
    fn identity(&self) -> &Identity {
        self.value.identity()
    }
}

impl<T: Send + Sync + 'static> Remembered<T> {
    /// `kept` bounds what is remembered; the table has places for about `entries`.
    pub(super) fn new(kept: Kept<T>, entries: u64) -> Self {
        Self {
            table: Table::new(entries),
            half: kept.policy().max_capacity().unwrap_or(u64::MAX) / 2,
            kept,
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Entry<T>>> {
        if let Some(entry) = self.in_table(digest) {
            if entry.tells() {
                drop(self.kept.get(digest));
            }
            return Some(entry);
        }
        let entry = self.in_moka(digest).filter(|entry| self.serves(entry))?;
        self.table.put(&entry);
        Some(entry)
    }

    /// What moka has. It is told of what was looked for in vain only where it asks: it counts
    /// how often each entry is used, to know which to let go, once it is half full.
    fn in_moka(&self, digest: &Digest) -> Option<Arc<Entry<T>>> {
        let counts = self.kept.weighted_size() >= self.half;
        (counts || self.kept.contains_key(digest))
            .then(|| self.kept.get(digest))
            .flatten()
    }

    /// Remembers this in place of what was remembered.
    pub(super) fn keep(&self, digest: Digest, value: T) -> Arc<Entry<T>> {
        self.mark_forgotten(&digest);
        self.keep_new(digest, value)
    }

    /// The same where what was remembered is marked as forgotten already, or as good as this. It
    /// comes into the table when it is used again: much is used once.
    #[inline(always)]
    pub(super) fn keep_new(&self, digest: Digest, value: T) -> Arc<Entry<T>> {
        let generation = self.generation.load(Ordering::Acquire);
        let entry = Entry::new(generation, digest, false, value);
        self.kept.insert(digest, Arc::clone(&entry));
        entry
    }

    /// The same for what is not to be remembered: it is for those who wait for it.
    pub(super) fn hand_out(&self, digest: Digest, value: T) -> Arc<Entry<T>> {
        Entry::new(self.generation.load(Ordering::Acquire), digest, true, value)
    }

    pub(super) fn invalidate(&self, digest: &Digest) {
        self.mark_forgotten(digest);
        self.kept.invalidate(digest);
    }

    pub(super) fn invalidate_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.kept.invalidate_all();
    }

    fn mark_forgotten(&self, digest: &Digest) {
        // The same one, as a rule; not where moka let it go and it was kept anew.
        let entries = [self.in_table(digest), self.kept.get(digest)];
        for entry in entries.into_iter().flatten() {
            entry.mark_forgotten();
        }
    }

    fn in_table(&self, digest: &Digest) -> Option<Arc<Entry<T>>> {
        let entry = self.table.find(digest)?;
        self.serves(&entry).then_some(entry)
    }

    fn serves(&self, entry: &Entry<T>) -> bool {
        entry.generation == self.generation.load(Ordering::Acquire)
            && !entry.forgotten.load(Ordering::Acquire)
    }
}

/// References to entries, in sets of a few places each: a digest has its set, and any place
/// in it.
struct Table<T> {
    /// Each has four times the sets of the one before, and is made when that is crowded.
    levels: [OnceLock<Box<[Set<T>]>>; LEVELS],
    /// The one in use.
    level: AtomicUsize,
    /// The last one there may be.
    last: usize,
    /// Entries that had to make way, since the level is in use.
    displaced: AtomicUsize,
}

/// The tags tell which place it can be without a look at the entries.
#[repr(align(64))]
struct Set<T> {
    entries: [ArcSwapWeak<Entry<T>>; WAYS],
    tags: [AtomicU16; WAYS],
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self {
            tags: Default::default(),
            entries: std::array::from_fn(|_| ArcSwapWeak::new(Weak::new())),
        }
    }
}

impl<T> Set<T> {
    fn place(&self, tag: u16) -> Option<usize> {
        let is_tag = |own: &AtomicU16| own.load(Ordering::Acquire) == tag;
        self.tags.iter().position(is_tag)
    }

    fn free_place(&self) -> Option<usize> {
        let is_free = |entry: &ArcSwapWeak<Entry<T>>| entry.load().strong_count() == 0;
        self.entries.iter().position(is_free)
    }
}

impl<T> Table<T> {
    fn new(entries: u64) -> Self {
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        // Some entries without a place cost less than four times the places.
        let suffices = |level: &usize| sets_of(*level) * WAYS >= entries - entries / 4;
        Self {
            levels: Default::default(),
            level: AtomicUsize::new(0),
            last: (0..LEVELS).find(suffices).unwrap_or(LEVELS - 1),
            displaced: AtomicUsize::new(0),
        }
    }

    fn find(&self, digest: &Digest) -> Option<Arc<Entry<T>>> {
        let level = self.level.load(Ordering::Acquire);
        if let Some(entry) = self.find_in(level, digest) {
            return Some(entry);
        }
        // What was put there before moves up when it is used.
        let entry = self.find_in(level.checked_sub(1)?, digest)?;
        self.put(&entry);
        Some(entry)
    }

    fn find_in(&self, level: usize, digest: &Digest) -> Option<Arc<Entry<T>>> {
        let (index, tag) = set_and_tag(level, digest);
        let set = &self.levels[level].get()?[index];
        let entry = set.entries[set.place(tag)?].load().upgrade()?;
        (entry.digest == *digest).then_some(entry)
    }

    /// Puts a reference to an entry here, in the place of another one if need be.
    fn put(&self, entry: &Arc<Entry<T>>) {
        let level = self.level.load(Ordering::Acquire);
        let (index, tag) = set_and_tag(level, &entry.digest);
        let sets = || (0..sets_of(level)).map(|_| Set::default()).collect();
        let set = &self.levels[level].get_or_init(sets)[index];
        let place = set.place(tag).or_else(|| set.free_place());
        let place = place.unwrap_or_else(|| {
            self.displace(level);
            usize::from(entry.digest[31]) % WAYS
        });
        // Who reads in between finds an entry of another digest, or none.
        set.entries[place].store(Arc::downgrade(entry));
        set.tags[place].store(tag, Ordering::Release);
    }

    /// An entry makes way; where many do, the next level is taken into use.
    fn displace(&self, level: usize) {
        let displaced = self.displaced.fetch_add(1, Ordering::Relaxed);
        if level < self.last && displaced >= sets_of(level) / 4 {
            let (now, next) = (Ordering::AcqRel, level + 1);
            let moved = self
                .level
                .compare_exchange(level, next, now, Ordering::Relaxed);
            if moved.is_ok() {
                self.displaced.store(0, Ordering::Relaxed);
            }
        }
    }
}

fn sets_of(level: usize) -> usize {
    256 << (2 * level)
}

/// Where a digest belongs, and what it is told by there.
fn set_and_tag(level: usize, digest: &Digest) -> (usize, u16) {
    let first = digest.first_chunk().expect("32 bytes hold 8");
    let set = u64::from_le_bytes(*first) as usize & (sets_of(level) - 1);
    (set, u16::from_le_bytes([digest[8], digest[9]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered<u8> {
        let kept = Cache::builder().max_capacity(1000);
        Remembered::new(kept.build_with_hasher(ByDigest::default()), 1000)
    }

    /// The table looks at ten bytes of a digest, and what it finds it compares in whole: of an
    /// opaque token, or one with long claims, nothing else is compared.
    #[test]
    fn a_digest_that_begins_like_a_known_one_finds_nothing() {
        let remembered = remembered();
        let one = [7; 32];
        remembered.keep(one, 1);
        for _ in 0..3 {
            assert_eq!(remembered.get(&one).map(|entry| *entry.value()), Some(1));
        }
        for place in 10..32 {
            let mut other = one;
            other[place] ^= 1;
            assert!(remembered.get(&other).is_none(), "{place}");
        }
        let mut other = one;
        other[31] ^= 1;
        remembered.keep(other, 2);
        for _ in 0..3 {
            assert_eq!(remembered.get(&other).map(|entry| *entry.value()), Some(2));
            assert_eq!(remembered.get(&one).map(|entry| *entry.value()), Some(1));
        }
    }
}
