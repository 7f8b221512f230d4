//! The life of one issuer's keys.
//!
//! A known key is served from memory, without a lock. Whether what memory holds is good enough, and
//! whether a fetch may start, is decided in `store` alone, by what `attempts` records of the
//! fetches so far; `load` is one fetch, detached from the requests that wait for it; `access` has
//! what goes with it, `jwks` reads what it brings, and `freshness` says how long that lives. `sets`
//! keeps the sets of all servers of a layer, and `together` bounds what these do.

mod access;
mod attempts;
mod freshness;
mod jwks;
mod load;
mod sets;
mod store;
mod together;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::AuthError;
use crate::jose::{Algorithm, Candidates, KeyIdentity, KeyUse, PublicKey, VerifyingKey, select};
use crate::oauth::url::UrlPolicy;

pub(in crate::oauth) use self::access::KeySetAccess;
pub(in crate::oauth) use self::jwks::parse_static;
pub(in crate::oauth) use self::sets::KeysInUse;
pub(in crate::oauth) use self::store::{KeyHint, KeyStore, Lookup};
pub(in crate::oauth) use self::together::Together;
pub(in crate::oauth) use self::waiting::{Waited, Waiting};

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub(in crate::oauth) struct Origin {
    /// The `iss` of its tokens.
    pub(in crate::oauth) issuer: Arc<str>,
    /// The issuer that its metadata name, and are found by: the same, unless the `iss` is a name
    /// alone.
    pub(in crate::oauth) metadata_of: Arc<str>,
    /// What metrics call it: the template, where there is an issuer for each tenant.
    pub(in crate::oauth) label: Arc<str>,
    pub(in crate::oauth) policy: UrlPolicy,
    pub(in crate::oauth) source: Source,
    pub(in crate::oauth) key_use: KeyUse,
    pub(in crate::oauth) access: KeySetAccess,
    /// What the keys are prepared for.
    pub(in crate::oauth) algorithms: Vec<Algorithm>,
}

/// See [`Origin`].
#[derive(Clone, Debug)]
pub(in crate::oauth) enum Source {
    Discovery,
    JwksUri(Box<str>),
    Static(Vec<PublicKey>),
}

/// A key set as it was fetched. Times are those of the clock.
#[derive(Debug)]
pub(in crate::oauth) struct KeySet {
    /// Of all sets of this process, so that two sets are told apart at a glance.
    generation: u64,
    keys: Vec<VerifyingKey>,
    times: Times,
    /// Whether a request found a refresh due that is held back, because the last one was a
    /// moment ago.
    held_back: AtomicBool,
    /// Whether a refresh was tried and failed, so that it serves past its lifetime. A set that
    /// merely sat idle may have been withdrawn since.
    outlives: AtomicBool,
}

/// How long a set in use serves past its lifetime while its refresh, which was held back, is under
/// way.
const GRACE: Duration = Duration::from_secs(1);

/// The stations of a key set's life.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From here on a refresh is due.
    wanted_at: Duration,
    /// From here on it is made, in the background: later where lifetimes are very short.
    refresh_at: Duration,
    /// Until here it serves.
    fresh_until: Duration,
    /// Until here it serves where a refresh failed.
    stale_until: Duration,
}

impl Times {
    /// For keys that were configured.
    const FOR_EVER: Self = Self {
        wanted_at: Duration::MAX,
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
            held_back: AtomicBool::new(false),
            outlives: AtomicBool::new(false),
        }
    }

    /// Whether it may serve.
    fn may_serve(&self, now: Duration) -> bool {
        let outlives = self.outlives.load(Ordering::Relaxed);
        self.is_fresh(now) || outlives && now < self.times.stale_until
    }

    fn is_fresh(&self, now: Duration) -> bool {
        let until = self.times.fresh_until;
        now < until || now < until.saturating_add(GRACE) && self.held_back.load(Ordering::Relaxed)
    }

    pub(in crate::oauth) fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys a token may be checked with.
    pub(in crate::oauth) fn select(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
    ) -> Result<Candidates, AuthError> {
        select(&self.keys, kid, alg)
    }

    /// The key of these that a signature was made with.
    pub(in crate::oauth) fn verify(
        &self,
        candidates: &Candidates,
        alg: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<&VerifyingKey> {
        let mut keys = candidates.iter().map(|index| &self.keys[index]);
        keys.find(|key| key.verify(alg, message, signature))
    }

    /// Whether a key of this material is among these.
    pub(in crate::oauth) fn holds(&self, candidates: &Candidates, key: KeyIdentity) -> bool {
        candidates
            .iter()
            .any(|index| self.keys[index].identity() == key)
    }
}

/// The state of one issuer's keys, for a readiness probe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyHealth {
    /// How many usable keys are held.
    pub keys: usize,
    /// Whether they may serve now. Past their lifetime they may not, unless a refresh failed:
    /// then for an hour more, by default.
    pub serving: bool,
    /// How long ago keys were fetched, if they ever were.
    pub age: Option<Duration>,
    /// Why the last fetch failed; `None` when it succeeded, or none was made yet.
    pub last_error: Option<Arc<str>>,
    /// How long until keys are fetched ahead of their expiry, if any are held.
    pub next_refresh: Option<Duration>,
}
