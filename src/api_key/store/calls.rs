//! The questions under way, and what waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::cache::StoreCache;
use crate::api_key::entry::{Entry, refused_as};
use crate::clock::Clock;
use crate::error::AuthError;

/// What requests learn from a question.
#[derive(Clone)]
pub(super) enum Outcome {
    Found(Arc<Entry>),
    Absent,
    /// Nobody knows.
    Failed(AuthError),
}

/// Whether a key is one of those the store had when last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Known,
    Unknown,
}

/// What is known of the questions so far.
#[derive(Default)]
pub(super) struct Calls {
    under_way: HashMap<[u8; 32], Call>,
    known: usize,
    unknown: usize,
    next: u64,
    /// No question before this.
    pub(super) not_before: Duration,
}

struct Call {
    number: u64,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Calls {
    pub(super) fn about(&self, digest: &[u8; 32]) -> Option<watch::Receiver<Option<Outcome>>> {
        self.under_way.get(digest).map(|call| call.outcome.clone())
    }

    /// Puts a question on record; the number tells it from a later one about the same key.
    pub(super) fn begin(
        &mut self,
        digest: [u8; 32],
        lane: Lane,
        outcome: watch::Receiver<Option<Outcome>>,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        *self.count(lane) += 1;
        self.under_way.insert(digest, Call { number, outcome });
        number
    }

    /// Takes a question off the record; whether what it brings may be kept.
    pub(super) fn end(&mut self, digest: &[u8; 32], number: u64, lane: Lane) -> bool {
        *self.count(lane) -= 1;
        let call = self.under_way.get(digest);
        let current = call.is_some_and(|call| call.number == number);
        if current {
            self.under_way.remove(digest);
        }
        current
    }

    /// Leaves a question to those that wait for it: who comes later asks another.
    pub(super) fn leave(&mut self, digest: &[u8; 32]) {
        self.under_way.remove(digest);
    }

    pub(super) fn leave_all(&mut self) {
        self.under_way.clear();
    }

    pub(super) fn count(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Known => &mut self.known,
            Lane::Unknown => &mut self.unknown,
        }
    }
}

/// The questions that may be under way at once.
#[derive(Debug)]
pub(super) struct Permits {
    all: Semaphore,
    /// A part of them: what is left is for keys that are known.
    unknown: Semaphore,
}

/// Held while a question is under way.
pub(super) struct Permit<'a> {
    _unknown: Option<SemaphorePermit<'a>>,
    _one: SemaphorePermit<'a>,
}

impl Permits {
    pub(super) fn new(concurrent: usize) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(concurrent),
            unknown: Semaphore::new(concurrent - concurrent / 4),
        }
    }

    /// Resolves when it is this question's turn.
    pub(super) async fn turn(&self, lane: Lane) -> Permit<'_> {
        const NEVER_CLOSED: &str = "the semaphores live as long as the cache";
        let unknown = match lane {
            Lane::Known => None,
            Lane::Unknown => Some(self.unknown.acquire().await.expect(NEVER_CLOSED)),
        };
        Permit {
            _unknown: unknown,
            _one: self.all.acquire().await.expect(NEVER_CLOSED),
        }
    }
}

/// A place among those that wait for an answer; bounded, because each holds a request.
pub(in crate::api_key) struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    cache: Arc<StoreCache>,
    id: Box<str>,
}

impl Asked {
    pub(super) fn join(
        outcome: watch::Receiver<Option<Outcome>>,
        cache: &Arc<StoreCache>,
        id: &str,
    ) -> Self {
        cache.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            outcome,
            cache: Arc::clone(cache),
            id: id.into(),
        }
    }

    /// What the store says. A question ends by itself; a runtime nobody drives any more must
    /// not hold a request for ever, though.
    pub(in crate::api_key) async fn answer(
        mut self,
        clock: &Clock,
    ) -> Result<Arc<Entry>, AuthError> {
        let limits = &self.cache.limits;
        let patience = limits
            .queue_deadline
            .saturating_add(limits.timeout)
            .saturating_add(Duration::from_secs(1));
        // A question that could not even be put has ended; without a runtime there are no
        // timers.
        let mut outcome = self.outcome.borrow().clone();
        if outcome.is_none() {
            let ended = self.outcome.wait_for(Option::is_some);
            if let Ok(Ok(ended)) = tokio::time::timeout(patience, ended).await {
                outcome = ended.clone();
            }
        }
        let now = clock.now();
        let found = match outcome {
            Some(Outcome::Found(entry)) => Some(entry),
            Some(Outcome::Absent) => None,
            Some(Outcome::Failed(error)) => return Err(error),
            None => return Err(StoreCache::cut_off()),
        };
        let fault = found.as_ref().and_then(|entry| entry.validity.fault(now));
        match (found, fault) {
            (Some(entry), None) => Ok(entry),
            (found, fault) => Err(refused_as(&self.id, false, found.as_deref(), fault)),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.cache.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
