//! The numbers of introspection, each with its setter.

use std::time::Duration;

use super::settings::Introspection;
use crate::error::ConfigError;
use crate::oauth::fetch::DEFAULT_TIMEOUT;

/// The numbers calls and answers live by.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    pub(super) positive_ttl: Duration,
    pub(super) negative_ttl: Duration,
    pub(super) cache_capacity: u64,
    pub(super) max_response_bytes: usize,
    pub(super) concurrent: usize,
    pub(super) max_queued: usize,
    pub(super) queue_timeout: Duration,
    pub(super) unknown_token_rate_limit: u32,
    pub(super) max_waiting_requests: usize,
}

impl Limits {
    /// The defaults; each setter names its own.
    pub(super) fn new() -> Self {
        let seconds = Duration::from_secs;
        Self {
            timeout: DEFAULT_TIMEOUT,
            positive_ttl: seconds(30),
            negative_ttl: seconds(10),
            cache_capacity: 10_000,
            max_response_bytes: 64 * 1024,
            concurrent: 32,
            max_queued: 1024,
            queue_timeout: seconds(2),
            unknown_token_rate_limit: 500,
            max_waiting_requests: 16_384,
        }
    }
}

impl Introspection {
    /// How long an answer "active" is used, and never past `exp`; 30 s. With zero, every
    /// request asks anew and a revoked token is refused at once; requests that arrive while
    /// a call about the same token is under way share its answer.
    pub fn positive_ttl(mut self, life: Duration) -> Self {
        self.limits.positive_ttl = life;
        self
    }

    /// How long a refusal is used; 10 s. With zero, every request asks anew.
    pub fn negative_ttl(mut self, life: Duration) -> Self {
        self.limits.negative_ttl = life;
        self
    }

    /// How many answers are kept, of good tokens and of refused ones each; 10,000.
    pub fn cache_capacity(mut self, answers: u64) -> Self {
        self.limits.cache_capacity = answers;
        self
    }

    /// The largest answer, in bytes; 64 KiB.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_response_bytes = bytes;
        self
    }

    /// How long a call may take, its turn not counted; 5 s. Where the endpoint is discovered, half
    /// of it is for that. The request is bounded by the client too: see
    /// [time limits](crate::oauth#time-limits).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How many calls may be under way at once; 32. Half of them (of two or more) is for tokens
    /// that were answered active within ten minutes, so that a flood of others does not lock
    /// them out.
    ///
    /// # Errors
    /// It is zero.
    pub fn max_concurrent_requests(mut self, calls: usize) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new(
                "max_concurrent_requests",
                "without a single call no token could pass",
            ));
        }
        self.limits.concurrent = calls;
        Ok(self)
    }

    /// How many calls may wait for their turn; 1,024. More get 503.
    pub fn max_queued(mut self, calls: usize) -> Self {
        self.limits.max_queued = calls;
        self
    }

    /// How long a call may wait for its turn; 2 s. After that, 503.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.limits.queue_timeout = timeout;
        self
    }

    /// Calls a second about tokens that are not known to be good; 500.
    ///
    /// These are new ones, and those that were not good when last asked about. Beyond it, 503.
    ///
    /// # Errors
    /// It is zero.
    pub fn unknown_token_rate_limit(mut self, calls: u32) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new(
                "unknown_token_rate_limit",
                "without a single call no token could pass",
            ));
        }
        self.limits.unknown_token_rate_limit = calls;
        Ok(self)
    }

    /// How many requests may wait for answers; 16,384, and as many more with tokens that were
    /// answered active within ten minutes. Beyond it, 503. At least one: zero is refused by
    /// [`AuthorizationServer::introspection`](crate::oauth::AuthorizationServer::introspection).
    pub fn max_waiting_requests(mut self, requests: usize) -> Self {
        self.limits.max_waiting_requests = requests;
        self
    }
}
