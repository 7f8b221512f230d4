//! Which acceptance answers which refusal for scopes.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::Clock;
use crate::util::{locked, millis};

/// How many refusals wait for their acceptance at most.
const MAX_OPEN: usize = 1024;
/// How many of them may be of one principal.
const MAX_OF_ONE: usize = 64;
/// How long one waits: a sign-in takes minutes.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// What a refusal for scopes and the acceptance that follows have in common: a random number,
/// shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepUpId(u64);

impl fmt::Display for StepUpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for StepUpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The refusals that wait.
pub(super) struct StepUps {
    /// One bit for what each of them is known by: most acceptances need no lock.
    filter: AtomicU64,
    /// When the last of them ends, in milliseconds by the clock.
    end: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
    /// Keyed at random, so that no caller can make one operation pass for another.
    hasher: RandomState,
    clock: Clock,
}

struct Open {
    id: StepUpId,
    /// The hash of the principal who was refused.
    who: u64,
    until: Duration,
}

impl StepUps {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            filter: AtomicU64::new(0),
            end: AtomicU64::new(0),
            open: Mutex::default(),
            hasher: RandomState::new(),
            clock,
        }
    }

    /// Notes a refusal; a repeated one keeps its id, and with it its place. Who has as many as
    /// one may have makes room among their own, and none of another caller is forgotten for them.
    pub(super) fn asked(&self, who: impl Hash, what: impl Hash) -> StepUpId {
        let (who, key) = (self.hasher.hash_one(who), self.hasher.hash_one(what));
        let now = self.clock.monotonic();
        let until = now.saturating_add(LIFE);
        let mut open = self.open();
        if let Some(known) = open.get_mut(&key)
            && now < known.until
        {
            known.until = until;
            let id = known.id;
            self.note(&open);
            return id;
        }
        open.retain(|_, open| now < open.until);
        let own = open.values().filter(|open| open.who == who).count();
        let one_too_many = own >= MAX_OF_ONE;
        if one_too_many || open.len() >= MAX_OPEN {
            let can_go = open
                .iter()
                .filter(|(_, open)| !one_too_many || open.who == who);
            let oldest = can_go.min_by_key(|(_, open)| open.until);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.map(|key| open.remove(&key));
        }
        let id = StepUpId(Self::random());
        open.insert(key, Open { id, who, until });
        self.note(&open);
        id
    }

    /// Whether none waits. What is over is forgotten by the first who asks.
    pub(super) fn is_empty(&self) -> bool {
        if self.filter.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let now = self.clock.monotonic();
        if millis(now) < self.end.load(Ordering::Relaxed) {
            return false;
        }
        let mut open = self.open();
        open.retain(|_, open| now < open.until);
        self.note(&open);
        open.is_empty()
    }

    /// Takes the refusal that an acceptance answers.
    pub(super) fn granted(&self, what: impl Hash) -> Option<StepUpId> {
        let key = self.hasher.hash_one(what);
        if self.filter.load(Ordering::Relaxed) & bit(key) == 0 {
            return None;
        }
        let now = self.clock.monotonic();
        let mut open = self.open();
        let taken = open.remove(&key)?;
        self.note(&open);
        (now < taken.until).then_some(taken.id)
    }

    fn note(&self, open: &HashMap<u64, Open>) {
        let filter = open.keys().fold(0, |filter, key| filter | bit(*key));
        let end = open.values().map(|open| millis(open.until)).max();
        self.end.store(end.unwrap_or(0), Ordering::Relaxed);
        self.filter.store(filter, Ordering::Relaxed);
    }

    /// It only has to be another one each time; where the system has no randomness to give,
    /// the seed of the standard library's hasher will do.
    fn random() -> u64 {
        getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(()))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        locked(&self.open)
    }
}

fn bit(key: u64) -> u64 {
    1 << (key >> 58)
}
