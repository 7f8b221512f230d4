//! `MemoryQuotaStore`: budgets of one process.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
#[cfg(feature = "config")]
use std::sync::Weak;

use super::table::{Charge, MOST_AT_ONCE, Outcome, Table};
use super::{QuotaAnswer, QuotaCharge, QuotaStore, check_charges, micros};
use crate::clock::Clock;
use crate::store::{StoreError, StoreFuture};

/// A [`QuotaStore`] in the memory of one process.
///
/// Clones share their buckets. It holds so many at most, by default
/// [`MAX_ENTRIES`](Self::MAX_ENTRIES), of about 100 bytes each. A bucket that is full again is like
/// one that never was, and makes room for another, the one that is so for the longest time first;
/// one that is not full is never dropped. Where none is full again the answer is
/// [`QuotaAnswer::Full`]. Anonymous callers of a layer have half of the room at the most. Of more
/// than 2,048 entries each of several parts has its own room, so that the answer can come a few
/// percent early.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::store::{
///     MemoryQuotaStore, QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore, StoreKey,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryQuotaStore::default();
/// let limit = QuotaLimit::new(1, Duration::from_secs(60))?;
/// let alice = QuotaCharge::new(StoreKey::new([7; 32]), limit, 1);
///
/// assert!(matches!(store.charge(vec![alice]).await?, QuotaAnswer::Admitted(_)));
/// assert!(matches!(store.charge(vec![alice]).await?, QuotaAnswer::Refused(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemoryQuotaStore {
    shared: Arc<Shared>,
}

struct Shared {
    max_entries: usize,
    clock: Clock,
    table: Table,
    /// With a key made at random: no caller can choose what falls on the bucket of another.
    hasher: RandomState,
}

impl MemoryQuotaStore {
    /// How many buckets there are at most by default.
    pub const MAX_ENTRIES: usize = 100_000;
    /// The most that can be set: more would take all memory.
    pub(crate) const MOST_ENTRIES: usize = 1 << 24;

    /// A store of at most so many buckets, and of 16,777,216 at the most. With zero it is always
    /// full.
    pub fn new(max_entries: usize) -> Self {
        Self::from_parts(max_entries.min(Self::MOST_ENTRIES), Clock::system())
    }

    fn from_parts(max_entries: usize, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                max_entries,
                clock,
                table: Table::new(max_entries),
                hasher: RandomState::new(),
            }),
        }
    }

    /// Replaces the clock; for tests. The store begins anew, and earlier clones are another one.
    pub fn clock(self, clock: Clock) -> Self {
        Self::from_parts(self.shared.max_entries, clock)
    }

    /// How many buckets there are. Those that are full again count until others need their room.
    pub fn entries(&self) -> usize {
        self.shared.table.entries()
    }

    /// The key of the bucket with these parts, in this store.
    pub(crate) fn bucket<const N: usize>(&self, is_anonymous: bool, parts: [&[u8]; N]) -> u64 {
        let mut hasher = self.shared.hasher.build_hasher();
        for part in parts {
            // No two lists of parts are one text.
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        Table::key(hasher.finish(), is_anonymous)
    }

    /// In microseconds.
    pub(crate) fn now(&self) -> u64 {
        micros(self.shared.clock.monotonic())
    }

    pub(crate) fn table(&self) -> &Table {
        &self.shared.table
    }

    #[cfg(feature = "config")]
    pub(crate) fn downgrade(&self) -> WeakMemoryQuotaStore {
        WeakMemoryQuotaStore(Arc::downgrade(&self.shared))
    }

    fn decide(&self, charges: &[QuotaCharge]) -> Result<QuotaAnswer, StoreError> {
        check_charges(charges)?;
        let mut own = [Charge::default(); MOST_AT_ONCE];
        let mut fits = true;
        for (own, charge) in own.iter_mut().zip(charges) {
            let price = charge.limit.price(charge.cost);
            fits &= price.is_some();
            *own = Charge {
                key: self.bucket(false, [charge.key.as_bytes()]),
                price: price.unwrap_or(0),
                room: charge.limit.room(),
            };
        }
        let (own, mut debts) = (&own[..charges.len()], [0; MOST_AT_ONCE]);
        let now = self.now();
        let table = self.table();
        let outcome = match fits {
            true => table.charge(own, now, &mut debts),
            false => {
                table.would_admit(own, now, &mut debts);
                Outcome::Refused
            }
        };
        Ok(QuotaAnswer::of(outcome, charges, now, &debts))
    }
}

impl QuotaStore for MemoryQuotaStore {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        let store = self.clone();
        Box::pin(async move { store.decide(&charges) })
    }
}

/// A store that is there as long as others keep it.
#[cfg(feature = "config")]
pub(crate) struct WeakMemoryQuotaStore(Weak<Shared>);

#[cfg(feature = "config")]
impl WeakMemoryQuotaStore {
    pub(crate) fn upgrade(&self) -> Option<MemoryQuotaStore> {
        let shared = self.0.upgrade()?;
        Some(MemoryQuotaStore { shared })
    }
}

impl Default for MemoryQuotaStore {
    /// A store of at most [`MAX_ENTRIES`](Self::MAX_ENTRIES) buckets.
    fn default() -> Self {
        Self::new(Self::MAX_ENTRIES)
    }
}

impl fmt::Debug for MemoryQuotaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQuotaStore")
            .field("max_entries", &self.shared.max_entries)
            .finish_non_exhaustive()
    }
}
