//! The life of one issuer's keys.
//!
//! A known key is served from memory, without a lock. Whether what memory holds is good
//! enough, and whether a fetch may start, is decided in `store` alone; `flight` is one
//! fetch, detached from the requests that wait for it; `jwks` reads what it brings.

mod flight;
mod freshness;
mod jwks;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::AuthError;
use crate::jose::{Algorithm, VerifyingKey, select};

pub(in crate::oauth) use self::jwks::parse_static;
pub(in crate::oauth) use self::store::{KeyStore, KeysInUse, Lookup, Waiting};

/// The numbers a key set lives by.
#[derive(Clone, Debug)]
pub(in crate::oauth) struct Bounds {
    /// Over discovery and key set together.
    pub(in crate::oauth) deadline: Duration,
    /// Between a fetch and the next one for an unknown key id.
    pub(in crate::oauth) cooldown: Duration,
    /// How long keys serve past their lifetime while the server is down.
    pub(in crate::oauth) stale: Duration,
    pub(in crate::oauth) backoff_first: Duration,
    pub(in crate::oauth) backoff_most: Duration,
    /// While no keys are held, recovery should not take a minute.
    pub(in crate::oauth) backoff_most_cold: Duration,
    pub(in crate::oauth) waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            cooldown: Duration::from_secs(30),
            stale: Duration::from_secs(3600),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            backoff_most_cold: Duration::from_secs(15),
            waiting: 16_384,
        }
    }
}

/// A key set as it was fetched. Times are those of the clock.
#[derive(Debug)]
pub(in crate::oauth) struct KeySet {
    /// Of all sets of this process, so that two sets are told apart at a glance.
    generation: u64,
    keys: Vec<VerifyingKey>,
    times: Times,
}

/// The stations of a key set's life.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From here on it is refreshed in the background.
    refresh_at: Duration,
    /// Until here it serves.
    fresh_until: Duration,
    /// Until here it serves where a refresh failed.
    stale_until: Duration,
}

impl Times {
    /// For keys that were configured.
    const FOR_EVER: Self = Self {
        refresh_at: Duration::MAX,
        fresh_until: Duration::MAX,
        stale_until: Duration::MAX,
    };
}

impl KeySet {
    fn new(keys: Vec<VerifyingKey>, times: Times) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            keys,
            times,
        }
    }

    pub(in crate::oauth) fn generation(&self) -> u64 {
        self.generation
    }

    /// The one key for a token.
    pub(in crate::oauth) fn select(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
    ) -> Result<usize, AuthError> {
        select(&self.keys, kid, alg)
    }

    pub(in crate::oauth) fn key(&self, index: usize) -> &VerifyingKey {
        &self.keys[index]
    }
}

/// The state of one issuer's keys, for a readiness probe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyHealth {
    /// How many usable keys are held.
    pub keys: usize,
    /// How long ago keys were fetched, if they ever were.
    pub age: Option<Duration>,
    /// Why the last fetch failed; `None` when it succeeded, or none was made yet.
    pub last_error: Option<Arc<str>>,
    /// How long until keys are fetched ahead of their expiry, if any are held.
    pub next_refresh: Option<Duration>,
}
