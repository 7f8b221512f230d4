//! `CachedApiKeyStore`: how a store is asked and what is cached of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ApiKeyStore;
use crate::api_key::Pepper;
use crate::error::ConfigError;
use crate::telemetry;

/// A store of keys, and how it is asked.
///
/// Its answers are remembered: a key that is good for 30 s, so that a revocation takes as
/// long to be heard of (see
/// [`ApiKeyProvider::invalidate`](crate::api_key::ApiKeyProvider::invalidate)); a key that is not,
/// for 10 s. A key is never used past its end. Requests with the same key share one
/// question, which goes on when they go away.
///
/// # Store outages
///
/// While the store gives no answer, a key that it called good is served for up to 60 s after that
/// ([`max_staleness`](Self::max_staleness)), and never past its end. Then it is 503. Every other
/// key is 503 at once: nothing is known of it, and that is never a 401.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::ApiKeyLayer;
/// use tower_mcp_auth::api_key::{ApiKeyStore, LookupFuture, KeyLookup, CachedApiKeyStore};
///
/// #[derive(Debug)]
/// struct Empty;
///
/// impl ApiKeyStore for Empty {
///     fn find(&self, _: KeyLookup) -> LookupFuture {
///         Box::pin(async { Ok(None) })
///     }
/// }
///
/// let keys = CachedApiKeyStore::new(Empty)
///     .positive_ttl(Duration::from_secs(5))
///     .timeout(Duration::from_secs(1))?;
/// let layer = ApiKeyLayer::from_store(keys);
/// # let _ = layer;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct CachedApiKeyStore {
    pub(super) store: Arc<dyn ApiKeyStore>,
    pub(super) pepper: Option<Pepper>,
    pub(super) limits: Limits,
}

/// The numbers questions and answers live by.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) positive_ttl: Duration,
    pub(super) negative_ttl: Duration,
    pub(super) max_staleness: Duration,
    pub(super) allow_on_outage: bool,
    pub(super) max_keys: u64,
    pub(super) timeout: Duration,
    pub(super) concurrent: usize,
    pub(super) max_queued: usize,
    pub(super) queue_timeout: Duration,
    pub(super) max_waiting_requests: usize,
}

impl Limits {
    /// How long after the store's answer a key may still be used.
    pub(super) fn longest_use(&self) -> Duration {
        match self.allow_on_outage {
            true => Duration::MAX,
            false => self.positive_ttl.max(self.max_staleness),
        }
    }
}

impl CachedApiKeyStore {
    /// Asks `store`, with every default.
    pub fn new(store: impl ApiKeyStore) -> Self {
        Self {
            store: Arc::new(store),
            pepper: None,
            limits: Limits {
                positive_ttl: Duration::from_secs(30),
                negative_ttl: Duration::from_secs(10),
                max_staleness: Duration::from_secs(60),
                allow_on_outage: false,
                max_keys: 10_000,
                timeout: Duration::from_secs(2),
                concurrent: 32,
                max_queued: 1024,
                queue_timeout: Duration::from_secs(2),
                max_waiting_requests: 16_384,
            },
        }
    }

    /// Looks for foreign keys as well, by their digests with this pepper. Without one, a key
    /// that was not generated is unknown, and the store not asked.
    pub fn pepper(mut self, pepper: Pepper) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// How long a good key is used before the store is asked again, and never past its end;
    /// 30 s. With zero, every request asks: a revoked key is refused at once.
    pub fn positive_ttl(mut self, life: Duration) -> Self {
        self.limits.positive_ttl = life;
        self
    }

    /// How long a key that was not good is refused before the store is asked again; 10 s.
    /// With zero, every request asks.
    pub fn negative_ttl(mut self, life: Duration) -> Self {
        self.limits.negative_ttl = life;
        self
    }

    /// How long a good key is used while the store gives no answer, counted from when the store
    /// last called it good, and never past its end; 60 s. Then it is 503.
    ///
    /// A revocation is heard of within this time or the
    /// [`positive_ttl`](Self::positive_ttl), whichever is longer, whatever becomes of the store.
    /// With zero, a failing store is 503 as soon as the `positive_ttl` is over.
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.limits.max_staleness = age;
        self
    }

    /// Goes on with good keys for as long as the store cannot be asked, beyond
    /// [`max_staleness`](Self::max_staleness); by default it does not.
    ///
    /// This lets in every key that the store has called good to this layer, until the key expires,
    /// also if it was revoked since, or lost scopes: that is not known before the store is back. An
    /// attacker that can cut this server off from the store keeps a revoked key alive.
    /// Keys that are not remembered ([`max_keys`](Self::max_keys)) stay 503, and so does a key of
    /// which the store [says](super::ApiKeyStoreError::failed) what cannot be used.
    pub fn dangerously_allow_on_outage(mut self) -> Self {
        telemetry::weakened(
            "dangerously_allow_on_outage",
            "while the API key store cannot be asked, keys are good that may be revoked",
        );
        self.limits.allow_on_outage = true;
        self
    }

    /// How many keys are remembered, of those the store has and of others each; 10,000.
    pub fn max_keys(mut self, keys: u64) -> Self {
        self.limits.max_keys = keys;
        self
    }

    /// How long the store may take; 2 s. Beyond it, 503.
    ///
    /// # Errors
    /// It is zero.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            let why = "with zero no question would ever be answered";
            return Err(ConfigError::new("timeout", why));
        }
        self.limits.timeout = timeout;
        Ok(self)
    }

    /// How many questions may be under way at once; 32. A quarter of them is for keys the
    /// store had when last asked, so that a flood of others does not lock them out.
    ///
    /// # Errors
    /// It is zero.
    pub fn max_concurrent_lookups(mut self, questions: usize) -> Result<Self, ConfigError> {
        if questions == 0 {
            return Err(ConfigError::new(
                "max_concurrent_lookups",
                "without a single question no key could pass",
            ));
        }
        self.limits.concurrent = questions;
        Ok(self)
    }

    /// How many lookups may wait for their turn, for known keys and for others each; 1,024. More
    /// get 503.
    pub fn max_queued(mut self, lookups: usize) -> Self {
        self.limits.max_queued = lookups;
        self
    }

    /// How long a lookup may wait for its turn; 2 s. After that, 503.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.limits.queue_timeout = timeout;
        self
    }

    /// How many requests may wait for answers; 16,384. More get 503.
    ///
    /// # Errors
    /// It is zero.
    pub fn max_waiting_requests(mut self, requests: usize) -> Result<Self, ConfigError> {
        if requests == 0 {
            return Err(ConfigError::new(
                "max_waiting_requests",
                "with zero no request could wait for an answer",
            ));
        }
        self.limits.max_waiting_requests = requests;
        Ok(self)
    }
}

impl fmt::Debug for CachedApiKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedApiKeyStore")
            .field("store", &self.store)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
