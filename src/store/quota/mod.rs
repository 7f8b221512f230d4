//! Budgets that replicas share: one step charges all that a request costs, or nothing.

mod limit;
mod memory;
mod shard;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{StoreError, StoreFuture, StoreKey};

pub(crate) use self::limit::{MOST_REPLICAS, micros};
pub use self::limit::{QuotaLimit, QuotaState};
pub use self::memory::MemoryQuotaStore;
#[cfg(feature = "config")]
pub(crate) use self::memory::WeakMemoryQuotaStore;
pub(crate) use self::table::{Charge, MOST_AT_ONCE, Outcome};

/// Keeps budgets, for all replicas of a server.
///
/// It is asked by requests that wait, so an answer should take milliseconds; what takes longer
/// than 5 seconds is an error. Futures own what they need: clone a handle of the store into them.
pub trait QuotaStore: fmt::Debug + Send + Sync + 'static {
    /// Charges all of these, or none of them where there is no room for one. This is one atomic
    /// step, by the clock of the store, with [`QuotaLimit::charge`] as the rule: of several at
    /// once, from whichever replicas, never more are admitted than one after the other would be.
    ///
    /// There are 1 to 16, with distinct keys. A key is there at least until its bucket is full
    /// again.
    ///
    /// # Errors
    /// It is not known whether they were charged, and they may have been.
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer>;
}

impl<S: QuotaStore + ?Sized> QuotaStore for Arc<S> {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        (**self).charge(charges)
    }
}

/// What is charged to one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaCharge {
    key: StoreKey,
    limit: QuotaLimit,
    cost: u32,
}

impl QuotaCharge {
    /// `cost` of the bucket with this key, which has this limit.
    pub fn new(key: StoreKey, limit: QuotaLimit, cost: u32) -> Self {
        Self { key, limit, cost }
    }

    /// The key of the bucket.
    pub fn key(&self) -> StoreKey {
        self.key
    }

    /// Its limit.
    pub fn limit(&self) -> QuotaLimit {
        self.limit
    }

    /// How much it costs.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// What became of [`QuotaStore::charge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaAnswer {
    /// All were charged. Where the buckets stand now, in the order of the charges.
    Admitted(Vec<QuotaState>),
    /// None was charged, because at least one of them did not fit. Where they stand.
    Refused(Vec<QuotaState>),
    /// None was charged. There is no room to keep it.
    Full,
}

impl QuotaAnswer {
    /// The answer with these debts, in microseconds.
    fn of(outcome: Outcome, charges: &[QuotaCharge], now: u64, debts: &[u64]) -> Self {
        let now = Duration::from_micros(now);
        let state = |(charge, debt): (&QuotaCharge, &u64)| {
            let debt = Duration::from_micros(*debt);
            let admitted = outcome == Outcome::Admitted;
            charge.limit.state(charge.cost, admitted, now, debt)
        };
        let states = charges.iter().zip(debts).map(state);
        match outcome {
            Outcome::Admitted => Self::Admitted(states.collect()),
            Outcome::Refused => Self::Refused(states.collect()),
            Outcome::Full => Self::Full,
        }
    }
}

/// The rules of a question: a store that is asked otherwise would answer by chance.
pub(crate) fn check_charges(charges: &[QuotaCharge]) -> Result<(), StoreError> {
    if !(1..=MOST_AT_ONCE).contains(&charges.len()) {
        return Err(StoreError::new("1 to 16 budgets are charged at once"));
    }
    let mut rest = charges;
    while let Some((one, others)) = rest.split_first() {
        if one.cost == 0 {
            return Err(StoreError::new("a charge costs nothing"));
        }
        if others.iter().any(|other| other.key == one.key) {
            return Err(StoreError::new("two charges have one key"));
        }
        rest = others;
    }
    Ok(())
}
