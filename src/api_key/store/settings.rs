//! `StoredKeys`: how a store is asked and what is cached of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ApiKeyStore;
use crate::api_key::Pepper;
use crate::error::ConfigError;

/// A store of keys, and how it is asked.
///
/// Its answers are remembered: a key that is good for 30 s, so that a revocation takes as
/// long to be heard of (see [`ApiKeys::forget`](crate::api_key::ApiKeys::forget)); a key that
/// is not, for 10 s. A key is never used past its end. Requests with the same key share one
/// question, which goes on when they go away. Where the store cannot say, the answer is 503.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::ApiKeyLayer;
/// use tower_mcp_auth::api_key::{ApiKeyStore, FindingKey, KeyLookup, StoredKeys};
///
/// #[derive(Debug)]
/// struct Empty;
///
/// impl ApiKeyStore for Empty {
///     fn find(&self, _: KeyLookup) -> FindingKey {
///         Box::pin(async { Ok(None) })
///     }
/// }
///
/// let keys = StoredKeys::new(Empty)
///     .positive_life(Duration::from_secs(5))
///     .timeout(Duration::from_secs(1));
/// let layer = ApiKeyLayer::from_store(keys);
/// # let _ = layer;
/// ```
#[derive(Clone)]
#[must_use]
pub struct StoredKeys {
    pub(super) store: Arc<dyn ApiKeyStore>,
    pub(super) pepper: Option<Pepper>,
    pub(super) limits: Limits,
}

/// The numbers questions and answers live by.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) positive_life: Duration,
    pub(super) negative_life: Duration,
    pub(super) max_keys: u64,
    pub(super) timeout: Duration,
    pub(super) concurrent: usize,
    pub(super) queue: usize,
    pub(super) queue_deadline: Duration,
    pub(super) waiting: usize,
}

impl StoredKeys {
    /// Asks `store`, with every default.
    pub fn new(store: impl ApiKeyStore) -> Self {
        Self {
            store: Arc::new(store),
            pepper: None,
            limits: Limits {
                positive_life: Duration::from_secs(30),
                negative_life: Duration::from_secs(10),
                max_keys: 10_000,
                timeout: Duration::from_secs(2),
                concurrent: 32,
                queue: 1024,
                queue_deadline: Duration::from_secs(2),
                waiting: 16_384,
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
    pub fn positive_life(mut self, life: Duration) -> Self {
        self.limits.positive_life = life;
        self
    }

    /// How long a key that was not good is refused before the store is asked again; 10 s.
    /// With zero, every request asks.
    pub fn negative_life(mut self, life: Duration) -> Self {
        self.limits.negative_life = life;
        self
    }

    /// How many keys are remembered, of those the store has and of others each; 10,000.
    pub fn max_keys(mut self, keys: u64) -> Self {
        self.limits.max_keys = keys;
        self
    }

    /// How long the store may take; 2 s. Beyond it, 503.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How many questions may be under way at once; 32. A quarter of them is for keys the
    /// store had when last asked, so that a flood of others does not lock them out.
    ///
    /// # Errors
    /// It is zero.
    pub fn concurrent_questions(mut self, questions: usize) -> Result<Self, ConfigError> {
        if questions == 0 {
            return Err(ConfigError::new(
                "concurrent_questions",
                "without a single question no key could pass",
            ));
        }
        self.limits.concurrent = questions;
        Ok(self)
    }

    /// How many questions may queue for their turn, of both kinds each, and for how long;
    /// 1,024 and 2 s. Beyond either, 503.
    pub fn queue(mut self, questions: usize, deadline: Duration) -> Self {
        self.limits.queue = questions;
        self.limits.queue_deadline = deadline;
        self
    }

    /// How many requests may wait for answers; 16,384. More get 503.
    pub fn waiting(mut self, requests: usize) -> Self {
        self.limits.waiting = requests;
        self
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeys")
            .field("store", &self.store)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
