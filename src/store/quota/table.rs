//! Buckets in bounded memory: those that are full again make room, and no other does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many buckets can be charged at once.
pub(crate) const MOST_AT_ONCE: usize = 16;
/// Buckets of a shard, where there are enough.
const SHARD: usize = 1024;
const MOST_SHARDS: usize = 64;

/// One charge, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge {
    /// A code that nobody outside can choose.
    pub(crate) key: u128,
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

pub(crate) struct Table {
    shards: Box<[Mutex<Shard>]>,
}

/// The debts of buckets: until when each is full again.
struct Shard {
    most: usize,
    places: HashMap<u128, u32, BuildHasherDefault<OwnHash>>,
    slots: Vec<Slot>,
    /// Slots that no bucket is in.
    vacant: Vec<u32>,
    /// Each bucket once, with a time before which it is not full again: later charges leave it.
    by_end: BinaryHeap<Reverse<(u64, u32)>>,
}

#[derive(Clone, Copy)]
struct Slot {
    key: u128,
    tat: u64,
}

/// A key is a hash already.
#[derive(Default)]
struct OwnHash(u64);

impl Hasher for OwnHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        // The other half chooses the shard.
        self.0 = low(key);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn low(key: u128) -> u64 {
    u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default()
}

fn high(key: u128) -> u64 {
    low(key >> 64)
}

impl Table {
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
        let entries = |shard: &Mutex<Shard>| locked(shard).places.len();
        self.shards.iter().map(entries).sum()
    }

    /// Charges all buckets or none. Their keys are distinct, and there are [`MOST_AT_ONCE`] at the
    /// most. `debts` are those afterwards, or the ones before where it was not admitted.
    pub(crate) fn charge(&self, charges: &[Charge], now: u64, debts: &mut [u64]) -> Outcome {
        if let ([charge], [debt, ..]) = (charges, &mut *debts) {
            let mut shard = locked(&self.shards[self.shard_of(charge.key)]);
            return shard.charge_one(charge, now, debt);
        }
        let mut held = self.hold(charges);
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
            let shard = holder(&mut held, self, charges, charge.key);
            shard.put(charge.key, now.saturating_add(*debt));
        }
        Outcome::Admitted
    }

    /// Whether all would be admitted, with their debts. Nothing is charged.
    pub(crate) fn would_admit(&self, charges: &[Charge], now: u64, debts: &mut [u64]) -> bool {
        check(&mut self.hold(charges), self, charges, now, debts)
    }

    fn shard_of(&self, key: u128) -> usize {
        let shards = self.shards.len() as u64;
        // What is below the number of shards fits into the type it came from.
        usize::try_from(high(key) % shards).unwrap_or(0)
    }

    /// The shards of these charges, each once, taken in one order: nobody waits for whom he keeps
    /// waiting. The one of a charge is in the place of the first charge with the same shard.
    fn hold(&self, charges: &[Charge]) -> Held<'_> {
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
    key: u128,
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

/// Nothing panics while it is held.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn new(most: usize) -> Self {
        Self {
            most,
            places: HashMap::default(),
            slots: Vec::new(),
            vacant: Vec::new(),
            by_end: BinaryHeap::new(),
        }
    }

    fn charge_one(&mut self, charge: &Charge, now: u64, debt: &mut u64) -> Outcome {
        let place = self.places.get(&charge.key).copied();
        let tat = place.map_or(0, |place| self.slots[place as usize].tat);
        *debt = tat.saturating_sub(now).min(charge.room);
        if debt.saturating_add(charge.price) > charge.room {
            return Outcome::Refused;
        }
        let tat = now.saturating_add(*debt + charge.price);
        match place {
            Some(place) => self.slots[place as usize].tat = tat,
            None => {
                let charges = std::slice::from_ref(charge);
                if !self.make_room(charges.iter(), charges, now) {
                    return Outcome::Full;
                }
                self.put(charge.key, tat);
            }
        }
        *debt += charge.price;
        Outcome::Admitted
    }

    fn debt(&self, charge: &Charge, now: u64) -> u64 {
        let place = self.places.get(&charge.key);
        let tat = place.map_or(0, |place| self.slots[*place as usize].tat);
        tat.saturating_sub(now).min(charge.room)
    }

    /// Makes room for those of `wanted` that are not there. None of `kept` goes.
    fn make_room<'c>(
        &mut self,
        wanted: impl Iterator<Item = &'c Charge>,
        kept: &[Charge],
        now: u64,
    ) -> bool {
        let is_new = |charge: &&Charge| !self.places.contains_key(&charge.key);
        let new = wanted.filter(is_new).count();
        while self.places.len() + new > self.most {
            if !self.drop_one(kept, now) {
                return false;
            }
        }
        true
    }

    /// Drops the bucket that was full again first, if one is: it is like one that never was.
    fn drop_one(&mut self, kept: &[Charge], now: u64) -> bool {
        let mut aside = [None; MOST_AT_ONCE];
        let mut next = aside.iter_mut();
        let mut found = None;
        while let Some(&Reverse((end, place))) = self.by_end.peek() {
            if end > now {
                break;
            }
            let slot = self.slots[place as usize];
            if slot.tat > now {
                // It was charged since. Its place in the heap is that of its new end.
                if let Some(mut top) = self.by_end.peek_mut() {
                    *top = Reverse((slot.tat, place));
                }
                continue;
            }
            self.by_end.pop();
            if kept.iter().any(|charge| charge.key == slot.key) {
                if let Some(place_aside) = next.next() {
                    *place_aside = Some((end, place));
                }
                continue;
            }
            found = Some((slot.key, place));
            break;
        }
        for own in aside.into_iter().flatten() {
            self.by_end.push(Reverse(own));
        }
        let Some((key, place)) = found else {
            return false;
        };
        self.places.remove(&key);
        self.vacant.push(place);
        true
    }

    /// Room was made for it, where it is new.
    fn put(&mut self, key: u128, tat: u64) {
        if let Some(place) = self.places.get(&key) {
            self.slots[*place as usize].tat = tat;
            return;
        }
        let slot = Slot { key, tat };
        let place = match self.vacant.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                // There are 2^24 at most.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.places.insert(key, place);
        self.by_end.push(Reverse((tat, place)));
    }
}
