//! A part of the buckets in memory, behind one lock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::table::{Charge, MOST_AT_ONCE, Outcome, is_anonymous};
use crate::crypto::ByDigest;

/// The debts of buckets: until when each is full again.
pub(super) struct Shard {
    most: usize,
    places: HashMap<u64, u32, ByDigest>,
    slots: Vec<Slot>,
    /// Slots that no bucket is in.
    vacant: Vec<u32>,
    /// Of anonymous callers, and of others.
    anonymous: Queue,
    known: Queue,
}

/// Each bucket once, with a time before which it is not full again: later charges leave it.
type Queue = BinaryHeap<Reverse<(u64, u32)>>;

#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    tat: u64,
    /// What was set aside, and is neither charged nor given back yet.
    held: u64,
}

impl Slot {
    fn debt(&self, charge: &Charge, now: u64) -> u64 {
        let debt = self.tat.saturating_sub(now).min(charge.room);
        debt.saturating_add(self.held).min(charge.room)
    }

    fn pay(&mut self, charge: &Charge, now: u64) {
        let debt = self.tat.saturating_sub(now).min(charge.room);
        self.tat = now.saturating_add(debt + charge.price);
    }

    /// Until when it is worth something.
    fn end(&self, now: u64) -> u64 {
        match self.held {
            0 => self.tat,
            _ => self.tat.max(now.saturating_add(1)),
        }
    }
}

impl Shard {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            places: HashMap::default(),
            slots: Vec::new(),
            vacant: Vec::new(),
            anonymous: Queue::new(),
            known: Queue::new(),
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.places.len()
    }

    pub(super) fn charge_one(&mut self, charge: &Charge, now: u64, debt: &mut u64) -> Outcome {
        let place = self.places.get(&charge.key).copied();
        let slot = place.map(|place| &mut self.slots[place as usize]);
        *debt = slot.as_ref().map_or(0, |slot| slot.debt(charge, now));
        if debt.saturating_add(charge.price) > charge.room {
            return Outcome::Refused;
        }
        match slot {
            Some(slot) => slot.pay(charge, now),
            None => {
                let charges = std::slice::from_ref(charge);
                if !self.make_room(charges.iter(), charges, now) {
                    return Outcome::Full;
                }
                self.pay(charge, now);
            }
        }
        *debt += charge.price;
        Outcome::Admitted
    }

    pub(super) fn debt(&self, charge: &Charge, now: u64) -> u64 {
        let place = self.places.get(&charge.key);
        place.map_or(0, |place| self.slots[*place as usize].debt(charge, now))
    }

    /// Charges a bucket for which there is room.
    pub(super) fn pay(&mut self, charge: &Charge, now: u64) {
        self.slot(charge.key, now.saturating_add(charge.price))
            .pay(charge, now);
    }

    /// Sets aside of a bucket for which there is room.
    pub(super) fn set_aside(&mut self, charge: &Charge, now: u64) {
        self.slot(charge.key, now).held += charge.price;
    }

    /// Charges what was set aside, or gives it back. The debt afterwards.
    pub(super) fn settle(&mut self, charge: &Charge, now: u64, charges_it: bool) -> u64 {
        // A bucket of which something is set aside stays.
        let slot = self.slot(charge.key, now);
        slot.held = slot.held.saturating_sub(charge.price);
        if charges_it {
            slot.pay(charge, now);
        }
        slot.debt(charge, now)
    }

    /// Makes room for those of `wanted` that are not there. None of `kept` goes.
    pub(super) fn make_room<'c>(
        &mut self,
        wanted: impl Iterator<Item = &'c Charge>,
        kept: &[Charge],
        now: u64,
    ) -> bool {
        let (mut new, mut anonymous) = (0, 0);
        for charge in wanted.filter(|charge| !self.places.contains_key(&charge.key)) {
            new += 1;
            anonymous += usize::from(is_anonymous(charge.key));
        }
        let most_anonymous = self.most.div_ceil(2);
        while anonymous > 0 && self.anonymous.len() + anonymous > most_anonymous {
            if !self.drop_one(true, kept, now) {
                return false;
            }
        }
        while self.places.len() + new > self.most {
            if !self.drop_one(true, kept, now) && !self.drop_one(false, kept, now) {
                return false;
            }
        }
        true
    }

    fn queue(&mut self, is_anonymous: bool) -> &mut Queue {
        match is_anonymous {
            true => &mut self.anonymous,
            false => &mut self.known,
        }
    }

    /// Drops the bucket that was full again first, if one is: it is like one that never was.
    fn drop_one(&mut self, anonymous: bool, kept: &[Charge], now: u64) -> bool {
        let mut aside = [None; MOST_AT_ONCE];
        let mut next = aside.iter_mut();
        let mut found = None;
        let queue = match anonymous {
            true => &mut self.anonymous,
            false => &mut self.known,
        };
        while let Some(&Reverse((end, place))) = queue.peek() {
            if end > now {
                break;
            }
            let slot = self.slots[place as usize];
            if slot.end(now) > now {
                // It was charged since. Its place in the queue is that of its new end.
                if let Some(mut top) = queue.peek_mut() {
                    *top = Reverse((slot.end(now), place));
                }
                continue;
            }
            queue.pop();
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
            queue.push(Reverse(own));
        }
        let Some((key, place)) = found else {
            return false;
        };
        self.places.remove(&key);
        self.vacant.push(place);
        true
    }

    /// The slot of a key. Room was made for it, where it is new; then it is full until this time.
    fn slot(&mut self, key: u64, until: u64) -> &mut Slot {
        let known = self.places.get(&key).copied();
        let place = known.unwrap_or_else(|| {
            let slot = Slot {
                key,
                tat: 0,
                held: 0,
            };
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
            self.queue(is_anonymous(key)).push(Reverse((until, place)));
            place
        });
        &mut self.slots[place as usize]
    }
}
