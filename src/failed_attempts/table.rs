//! Failures by client, in bounded memory: no operation looks at more than one set.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::peer::CountedAddr;
use crate::util::{locked, millis};

/// Clients of one set.
const SET: usize = 8;

/// When a client is blocked, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) failures: u32,
    pub(super) window: Duration,
    pub(super) block_duration: Duration,
}

pub(super) struct Table {
    sets: Box<[Set]>,
    /// Keyed at random: no client can tell which clients share a set.
    hasher: RandomState,
}

#[derive(Default)]
struct Set {
    /// When the last of its clients was blocked until, in milliseconds. Where that is over no
    /// request waits for the lock, though all come from one address.
    blocked_until: AtomicU64,
    records: Mutex<Vec<Record>>,
}

impl Set {
    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        locked(&self.records)
    }

    /// Blocks the client of a record of this set.
    fn block(&self, record: &mut Record, since: Duration, limit: Limit) {
        record.blocked = true;
        record.end = since.saturating_add(limit.block_duration);
        // Rounded up: a millisecond too long only takes the lock.
        let end = millis(record.end).saturating_add(1);
        self.blocked_until.fetch_max(end, Ordering::Relaxed);
    }
}

struct Record {
    client: CountedAddr,
    failures: u32,
    blocked: bool,
    /// Of the window, or of the block.
    end: Duration,
}

impl Table {
    /// For about so many clients.
    pub(super) fn new(clients: usize) -> Self {
        let sets = clients.div_ceil(SET).max(1);
        Self {
            sets: std::iter::repeat_with(Set::default).take(sets).collect(),
            hasher: RandomState::new(),
        }
    }

    /// How much longer a client is blocked, if it is.
    pub(super) fn blocked(&self, client: CountedAddr, now: Duration) -> Option<Duration> {
        let set = self.set(client);
        if millis(now) >= set.blocked_until.load(Ordering::Relaxed) {
            return None;
        }
        let records = set.records();
        let record = records.iter().find(|record| record.client == client)?;
        (record.blocked && now < record.end).then(|| record.end - now)
    }

    /// Blocks a client, for what others saw of it: from its failure on, however late that is
    /// known. One that is blocked stays so no longer.
    pub(super) fn block(&self, client: CountedAddr, since: Duration, now: Duration, limit: Limit) {
        if now >= since.saturating_add(limit.block_duration) {
            return;
        }
        let set = self.set(client);
        let mut records = set.records();
        let record = of_client(&mut records, client, now);
        if !record.blocked || now >= record.end {
            record.failures = limit.failures;
            set.block(record, since, limit);
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&self, client: CountedAddr, now: Duration, limit: Limit) {
        let set = self.set(client);
        let mut records = set.records();
        let record = of_client(&mut records, client, now);
        if now >= record.end {
            record.failures = 0;
            record.blocked = false;
            record.end = now.saturating_add(limit.window);
        }
        if record.blocked {
            // It was under way when its client was blocked, and makes that no longer.
            return;
        }
        record.failures = record.failures.saturating_add(1);
        if record.failures >= limit.failures {
            set.block(record, now, limit);
        }
    }

    fn set(&self, client: CountedAddr) -> &Set {
        let hash = self.hasher.hash_one(client);
        let sets = self.sets.len() as u64;
        // What is below the number of sets fits into the type it came from.
        let at = usize::try_from(hash % sets).unwrap_or(0);
        &self.sets[at]
    }
}

/// The record of a client, which is a new one where there is none.
fn of_client(set: &mut Vec<Record>, client: CountedAddr, now: Duration) -> &mut Record {
    let known = set.iter().position(|record| record.client == client);
    let at = known.unwrap_or_else(|| {
        let new = Record {
            client,
            failures: 0,
            blocked: false,
            end: Duration::ZERO,
        };
        place(set, new, now)
    });
    &mut set[at]
}

/// Puts a record in, where need be in place of the one that is worth the least.
fn place(set: &mut Vec<Record>, new: Record, now: Duration) -> usize {
    if set.len() < SET {
        set.push(new);
        return set.len() - 1;
    }
    let worth = |record: &Record| match now >= record.end {
        true => (false, 0, Duration::ZERO),
        false => (record.blocked, record.failures, record.end),
    };
    let least = set.iter().enumerate().min_by_key(|(_, own)| worth(own));
    let at = least.map_or(0, |(at, _)| at);
    set[at] = new;
    at
}
