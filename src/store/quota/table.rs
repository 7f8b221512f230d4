//! Buckets in bounded memory: those that are full again make room, and no other does.

use std::sync::{Mutex, MutexGuard};

use super::shard::Shard;
use crate::util::locked;

/// How many buckets can be charged at once.
pub(crate) const MOST_AT_ONCE: usize = 16;
/// Buckets of a shard, where there are enough.
const SHARD: usize = 1024;
const MOST_SHARDS: usize = 64;

/// One charge, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge {
    /// A code that no caller can choose, as [`Table::key`] makes it.
    pub(crate) key: u64,
    pub(crate) price: u64,
    /// How much the bucket holds.
    pub(crate) room: u64,
}

/// What became of charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted,
    Refused,
    /// There is no room for a bucket, and nothing was charged.
    Full,
}

/// Marks keys of anonymous callers.
const ANONYMOUS: u64 = 1 << 63;

pub(super) fn is_anonymous(key: u64) -> bool {
    key & ANONYMOUS != 0
}

pub(crate) struct Table {
    shards: Box<[Mutex<Shard>]>,
}

impl Table {
    /// The key of a bucket with this code. Those of anonymous callers are told apart, because these
    /// have at most half of the room: there are more addresses than tokens.
    pub(crate) fn key(code: u64, is_anonymous: bool) -> u64 {
        match is_anonymous {
            true => code | ANONYMOUS,
            false => code & !ANONYMOUS,
        }
    }

    /// For at most so many buckets.
    pub(crate) fn new(most: usize) -> Self {
        let shards = (most / SHARD).clamp(1, MOST_SHARDS);
        let shard = |index: usize| {
            let more = usize::from(index < most % shards);
            Mutex::new(Shard::new(most / shards + more))
        };
        Self {
            shards: (0..shards).map(shard).collect(),
        }
    }

    /// How many buckets there are.
    pub(crate) fn entries(&self) -> usize {
        let entries = |shard: &Mutex<Shard>| locked(shard).entries();
        self.shards.iter().map(entries).sum()
    }

    /// Charges all buckets or none. Their keys are distinct, and there are [`MOST_AT_ONCE`] at the
    /// most. `debts` are those afterwards, or the ones before where it was not admitted.
    pub(crate) fn charge(&self, charges: &[Charge], now: u64, debts: &mut [u64]) -> Outcome {
        if let ([charge], [debt, ..]) = (charges, &mut *debts) {
            let mut shard = locked(&self.shards[self.shard_of(charge.key)]);
            return shard.charge_one(charge, now, debt);
        }
        self.take(charges, now, debts, Shard::pay)
    }

    /// Sets aside what would be charged, until it is [settled](Self::settle): others find it gone.
    pub(crate) fn hold(&self, charges: &[Charge], now: u64, debts: &mut [u64]) -> Outcome {
        self.take(charges, now, debts, Shard::set_aside)
    }

    /// Charges what was set aside, or gives it back. `debts` are those afterwards.
    pub(crate) fn settle(&self, charges: &[Charge], now: u64, charges_it: bool, debts: &mut [u64]) {
        for (charge, debt) in charges.iter().zip(debts) {
            let mut shard = locked(&self.shards[self.shard_of(charge.key)]);
            *debt = shard.settle(charge, now, charges_it);
        }
    }

    fn take(
        &self,
        charges: &[Charge],
        now: u64,
        debts: &mut [u64],
        take: fn(&mut Shard, &Charge, u64),
    ) -> Outcome {
        let mut held = self.lock(charges);
        if !check(&mut held, self, charges, now, debts) {
            return Outcome::Refused;
        }
        // Before anything is charged.
        for (at, shard) in held.iter_mut().enumerate() {
            let Some(shard) = shard else { continue };
            let index = held_index(self, charges, at);
            let of_shard = |charge: &&Charge| self.shard_of(charge.key) == index;
            if !shard.make_room(charges.iter().filter(of_shard), charges, now) {
                return Outcome::Full;
            }
        }
        for (charge, debt) in charges.iter().zip(debts) {
            *debt += charge.price;
            take(holder(&mut held, self, charges, charge.key), charge, now);
        }
        Outcome::Admitted
    }

    /// Whether all would be admitted, with their debts. Nothing is charged.
    pub(crate) fn would_admit(&self, charges: &[Charge], now: u64, debts: &mut [u64]) -> bool {
        check(&mut self.lock(charges), self, charges, now, debts)
    }

    fn shard_of(&self, key: u64) -> usize {
        let shards = self.shards.len() as u64;
        // By bits that choose no place within the shard: a map takes the lowest and the highest.
        // What is below the number of shards fits into the type it came from.
        usize::try_from((key >> 32 & 0xffff) % shards).unwrap_or(0)
    }

    /// The shards of these charges, each once, taken in one order, so that no two requests wait for
    /// each other. The one of a charge is in the place of the first charge with the same shard.
    fn lock(&self, charges: &[Charge]) -> Held<'_> {
        let mut order = [usize::MAX; MOST_AT_ONCE];
        for (at, charge) in charges.iter().enumerate() {
            order[at] = self.shard_of(charge.key);
        }
        order.sort_unstable();
        let mut held = [const { None }; MOST_AT_ONCE];
        let mut last = usize::MAX;
        for index in order.into_iter().take(charges.len()) {
            if index == last {
                continue;
            }
            last = index;
            let first = charges.iter();
            let first = first.map(|charge| self.shard_of(charge.key));
            let at = first.clone().position(|own| own == index).unwrap_or(0);
            held[at] = Some(locked(&self.shards[index]));
        }
        held
    }
}

type Held<'t> = [Option<MutexGuard<'t, Shard>>; MOST_AT_ONCE];

/// Which shard is held in this place.
fn held_index(table: &Table, charges: &[Charge], at: usize) -> usize {
    table.shard_of(charges[at].key)
}

/// The shard of a key.
fn holder<'h>(
    held: &'h mut Held<'_>,
    table: &Table,
    charges: &[Charge],
    key: u64,
) -> &'h mut Shard {
    let own = table.shard_of(key);
    let mut all = charges.iter().map(|charge| table.shard_of(charge.key));
    let at = all.position(|index| index == own).unwrap_or(0);
    held[at]
        .as_mut()
        .expect("the shards of all charges are held")
}

/// Whether there is room in all buckets; with their debts.
fn check(
    held: &mut Held<'_>,
    table: &Table,
    charges: &[Charge],
    now: u64,
    debts: &mut [u64],
) -> bool {
    let mut fits = true;
    for (charge, debt) in charges.iter().zip(debts) {
        *debt = holder(held, table, charges, charge.key).debt(charge, now);
        fits &= debt.saturating_add(charge.price) <= charge.room;
    }
    fits
}
