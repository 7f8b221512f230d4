//! `JwksOptions`: lifetimes and limits of key sets.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fetch::DEFAULT_TIMEOUT;
use crate::error::ConfigError;
use crate::util::with_jitter;

/// Shorter ones would have keys fetched for nearly every request.
pub(in crate::oauth) const LEAST_LIFETIME: Duration = Duration::from_secs(1);

/// The numbers the keys of an authorization server live by. Each has a default that fits
/// servers of real life.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::oauth::JwksOptions;
///
/// let limits = JwksOptions::new()
///     .stale_if_error(Duration::from_secs(600))
///     .min_refetch_interval(Duration::from_secs(10));
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct JwksOptions {
    pub(in crate::oauth) fetch_timeout: Duration,
    pub(in crate::oauth) min_refetch_interval: Duration,
    pub(in crate::oauth) unknown_key_fetches: u32,
    pub(in crate::oauth) total_unknown_key_fetches: u32,
    pub(in crate::oauth) rediscovery: Duration,
    pub(in crate::oauth) stale_if_error: Duration,
    pub(in crate::oauth) backoff: RangeInclusive<Duration>,
    /// While no keys are held, recovery should not take a minute.
    pub(in crate::oauth) backoff_most_cold: Duration,
    pub(in crate::oauth) default_ttl: Duration,
    pub(in crate::oauth) ttl_bounds: RangeInclusive<Duration>,
    pub(in crate::oauth) max_waiting_requests: usize,
    pub(in crate::oauth) total_waiting: usize,
    pub(in crate::oauth) max_document_bytes: usize,
    pub(in crate::oauth) max_set_bytes: usize,
    pub(in crate::oauth) max_keys: usize,
    pub(in crate::oauth) total_keys: usize,
}

impl Default for JwksOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl JwksOptions {
    /// The defaults; each setter names its own.
    pub fn new() -> Self {
        let seconds = Duration::from_secs;
        Self {
            fetch_timeout: DEFAULT_TIMEOUT,
            min_refetch_interval: seconds(30),
            unknown_key_fetches: 3,
            total_unknown_key_fetches: 30,
            rediscovery: seconds(3600),
            stale_if_error: seconds(3600),
            backoff: seconds(1)..=seconds(60),
            backoff_most_cold: seconds(15),
            default_ttl: seconds(600),
            ttl_bounds: seconds(60)..=seconds(3600),
            max_waiting_requests: 16_384,
            total_waiting: 32_768,
            max_document_bytes: 64 * 1024,
            max_set_bytes: 256 * 1024,
            max_keys: 100,
            total_keys: 100_000,
        }
    }

    /// How long a fetch may take, every place of discovery and the key set together; 5 s. Each
    /// request of it is bounded by the client too: see [time limits](crate::oauth#time-limits).
    pub fn fetch_timeout(mut self, fetch_timeout: Duration) -> Self {
        self.fetch_timeout = fetch_timeout;
        self
    }

    /// The least time between two fetches for unknown key ids; 30 s.
    ///
    /// An id that a fetch did not bring is not asked for again for as long.
    /// See [`unknown_key_fetches`](Self::unknown_key_fetches).
    pub fn min_refetch_interval(mut self, min_refetch_interval: Duration) -> Self {
        self.min_refetch_interval = min_refetch_interval;
        self
    }

    /// How many fetches there may be at once for unknown key ids of one server; 3, and one more
    /// per [`min_refetch_interval`](Self::min_refetch_interval), counted from the last fetch.
    ///
    /// Every caller can send such an id. While there is no fetch left, a token that was issued (by
    /// its unproven `iat`) after the last successful fetch began is answered with 503 and
    /// `Retry-After`: its key may be new. Others are 401 `unknown_key`.
    pub fn unknown_key_fetches(mut self, fetches: u32) -> Self {
        self.unknown_key_fetches = fetches;
        self
    }

    /// The same for all servers of a layer together, tenants above all; 30, and as many more
    /// per [`min_refetch_interval`](Self::min_refetch_interval).
    pub fn total_unknown_key_fetches(mut self, fetches: u32) -> Self {
        self.total_unknown_key_fetches = fetches;
        self
    }

    /// How long a discovered endpoint is used before it is discovered again; 1 h.
    ///
    /// That is the `jwks_uri`, and the introspection endpoint. A `jwks_uri` is discovered again for
    /// an unknown key id too, by [`warm_up`](crate::OAuthLayer::warm_up), and after a failed fetch.
    /// Where discovery fails, the place that is known goes on to be used. A configured `jwks_uri`
    /// is never discovered.
    pub fn rediscovery(mut self, after: Duration) -> Self {
        self.rediscovery = after;
        self
    }

    /// How long keys serve past their lifetime while they cannot be refreshed; 1 h.
    pub fn stale_if_error(mut self, stale_if_error: Duration) -> Self {
        self.stale_if_error = stale_if_error;
        self
    }

    /// How long to wait after a failed fetch: at first, and, doubling, at most; 1 s to 60 s,
    /// and no more than 15 s while no keys are held.
    pub fn backoff(mut self, backoff: RangeInclusive<Duration>) -> Self {
        self.backoff_most_cold = self.backoff_most_cold.min(*backoff.end());
        self.backoff = backoff;
        self
    }

    /// How long keys are fresh where the server does not say; 10 min, 1 s at least, and within
    /// [`ttl_bounds`](Self::ttl_bounds).
    ///
    /// Keys in use are refreshed in the background when a fifth of it is left (10 s at least,
    /// and half of it at most), and no more often than once a second.
    pub fn default_ttl(mut self, default_ttl: Duration) -> Self {
        self.default_ttl = default_ttl;
        self
    }

    /// What a server may say of that, in `Cache-Control` or `Expires`; 1 min to 1 h. Less than
    /// 1 s counts as 1 s.
    pub fn ttl_bounds(mut self, ttl_bounds: RangeInclusive<Duration>) -> Self {
        self.ttl_bounds = ttl_bounds;
        self
    }

    /// How many requests may wait for the keys of one server; 16,384. More get 503.
    pub fn max_waiting_requests(mut self, requests: usize) -> Self {
        self.max_waiting_requests = requests;
        self
    }

    /// How many requests may wait for the keys of all servers of a layer together; 32,768. More
    /// get 503. So many again may wait for introspection with tokens that were good lately, and
    /// so many with other tokens: at least one, where there is introspection.
    pub fn total_waiting(mut self, requests: usize) -> Self {
        self.total_waiting = requests;
        self
    }

    /// The largest metadata document; 64 KiB.
    pub fn max_document_bytes(mut self, bytes: usize) -> Self {
        self.max_document_bytes = bytes;
        self
    }

    /// The largest key set, in bytes; 256 KiB.
    pub fn max_set_bytes(mut self, bytes: usize) -> Self {
        self.max_set_bytes = bytes;
        self
    }

    /// The largest key set, in keys; 100. A larger set is refused whole.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// How many keys are held for all servers of a layer together; 100,000, of 4 KiB each on
    /// average. For a set that does not fit, those that may not serve any more make way; if that
    /// is not enough, its fetch counts as failed.
    pub fn total_keys(mut self, keys: usize) -> Self {
        self.total_keys = keys;
        self
    }

    /// How long to wait after so many failures and one more: doubling, with jitter downwards.
    pub(in crate::oauth) fn backoff_after(
        &self,
        failures: u32,
        holds_what_it_needs: bool,
    ) -> Duration {
        let most = match holds_what_it_needs {
            true => *self.backoff.end(),
            false => self.backoff_most_cold,
        };
        let full = self
            .backoff
            .start()
            .saturating_mul(1 << failures.min(16))
            .min(most);
        with_jitter(full)
    }

    /// Refuses numbers with which no token could ever pass, and ranges that are none.
    pub(in crate::oauth) fn check(&self) -> Result<(), ConfigError> {
        let ranges = [("backoff", &self.backoff), ("ttl_bounds", &self.ttl_bounds)];
        if let Some((setting, _)) = ranges.iter().find(|(_, range)| range.is_empty()) {
            return Err(ConfigError::new(
                setting,
                "invalid range: minimum exceeds maximum",
            ));
        }
        let zeros = [
            (
                "fetch_timeout",
                self.fetch_timeout.is_zero(),
                "no fetch would ever succeed",
            ),
            (
                "default_ttl",
                self.default_ttl.is_zero(),
                "keys would arrive too old to serve",
            ),
            (
                "max_document_bytes",
                self.max_document_bytes == 0,
                "no metadata would fit",
            ),
            (
                "max_set_bytes",
                self.max_set_bytes == 0,
                "no key set would fit",
            ),
            ("max_keys", self.max_keys == 0, "no key set would fit"),
            ("total_keys", self.total_keys == 0, "no key set would fit"),
            (
                "unknown_key_fetches",
                self.unknown_key_fetches == 0,
                "tokens of a new key would wait for the next refresh",
            ),
            (
                "total_unknown_key_fetches",
                self.total_unknown_key_fetches == 0,
                "tokens of a new key would wait for the next refresh",
            ),
        ];
        if !self.default_ttl.is_zero() && self.default_ttl < LEAST_LIFETIME {
            return Err(ConfigError::new(
                "default_ttl",
                "keys would be fetched for nearly every request; give 1 s at least",
            ));
        }
        if let Some((setting, _, why)) = zeros.into_iter().find(|(_, is_zero, _)| *is_zero) {
            return Err(ConfigError::new(
                setting,
                format!("with zero {why}; leave the setting out for its default"),
            ));
        }
        let (least, most) = (*self.ttl_bounds.start(), *self.ttl_bounds.end());
        // What is shorter counts as that.
        let most = most.max(LEAST_LIFETIME);
        if !(least..=most).contains(&self.default_ttl) {
            return Err(ConfigError::new(
                "default_ttl",
                format!(
                    "{:?} is outside `ttl_bounds`, {least:?} to {most:?}: what a server says would \
                     be kept within bounds that its silence is not; set both",
                    self.default_ttl
                ),
            ));
        }
        Ok(())
    }
}
