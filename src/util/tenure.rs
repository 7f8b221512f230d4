//! Which generation serves, and until when: two numbers that are read without a lock.

use std::time::Duration;

use super::sync::{AtomicU64, Ordering};

/// The generation that serves. One thread at a time may change it.
#[derive(Debug)]
pub(crate) struct Tenure {
    generation: AtomicU64,
    /// In nanoseconds.
    until: AtomicU64,
}

impl Tenure {
    /// None serves until the first [`renew`](Self::renew).
    pub(crate) fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// The generation that serves at `now`.
    pub(crate) fn at(&self, now: Duration) -> Option<u64> {
        // In this order: with the end of a generation comes that one, or a later one. The other
        // way round an old one would get the end of the one that took its place.
        let until = self.until.load(Ordering::Acquire);
        let generation = self.generation.load(Ordering::Acquire);
        (nanos(now) < until).then_some(generation)
    }

    /// The last generation.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A later generation takes the place of the one before.
    pub(crate) fn renew(&self, generation: u64, until: Duration) {
        self.generation.store(generation, Ordering::Release);
        self.until.store(nanos(until), Ordering::Release);
    }

    /// The same generation serves until then.
    pub(crate) fn prolong(&self, until: Duration) {
        self.until.store(nanos(until), Ordering::Release);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
