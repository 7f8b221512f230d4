//! How a configuration has key sets fetched and kept.

use serde::Deserialize;

use super::common::together;
use super::sections::section;
use super::units::{Size, Span};
use crate::error::ConfigError;
use crate::oauth::JwksOptions;

section! {
    /// How key sets are fetched and kept.
    JwksOptionsSection {
        /// How long a fetch may take, over all its requests.
        fetch_timeout: Option<Span>,
        /// How long after a fetch there may be one more for an unknown key id.
        min_refetch_interval: Option<Span>,
        /// How many fetches for unknown key ids there may be at once, for one server.
        unknown_key_fetches: Option<u32>,
        /// The same for all servers together.
        total_unknown_key_fetches: Option<u32>,
        /// How long a discovered place of keys is used before it is discovered again.
        rediscovery: Option<Span>,
        /// How long keys serve past their life when they cannot be fetched.
        stale_if_error: Option<Span>,
        /// How long keys are fresh where the server does not say.
        default_ttl: Option<Span>,
        /// How long they are fresh at least and at most, whatever the server says; given together.
        ttl_min: Option<Span>,
        ttl_max: Option<Span>,
        /// How long to wait after a failure at first, and at most; given together.
        backoff_min: Option<Span>,
        backoff_max: Option<Span>,
        /// How many requests may wait.
        max_waiting_requests: Option<usize>,
        /// The same for all servers together.
        total_waiting: Option<usize>,
        /// How large a metadata document may be.
        max_document_bytes: Option<Size>,
        /// How large a key set may be.
        max_set_bytes: Option<Size>,
        /// How many keys a set may hold.
        max_keys: Option<usize>,
        /// How many keys are held for all servers together.
        total_keys: Option<usize>,
    }
}

impl JwksOptionsSection {
    pub(super) fn options(&self) -> Result<JwksOptions, ConfigError> {
        let path = |key: &str| format!("oauth.jwks_options.{key}");
        let mut options = JwksOptions::new();
        if let Some(Span(timeout)) = self.fetch_timeout {
            options = options.fetch_timeout(timeout);
        }
        if let Some(Span(interval)) = self.min_refetch_interval {
            options = options.min_refetch_interval(interval);
        }
        if let Some(fetches) = self.unknown_key_fetches {
            options = options.unknown_key_fetches(fetches);
        }
        if let Some(fetches) = self.total_unknown_key_fetches {
            options = options.total_unknown_key_fetches(fetches);
        }
        if let Some(Span(after)) = self.rediscovery {
            options = options.rediscovery(after);
        }
        if let Some(Span(stale)) = self.stale_if_error {
            options = options.stale_if_error(stale);
        }
        if let Some(Span(ttl)) = self.default_ttl {
            options = options.default_ttl(ttl);
        }
        match (self.ttl_min, self.ttl_max) {
            (Some(Span(least)), Some(Span(most))) => options = options.ttl_bounds(least..=most),
            (None, None) => {}
            _ => {
                return Err(together("ttl_min", "ttl_max", path("ttl_min")));
            }
        }
        match (self.backoff_min, self.backoff_max) {
            (Some(Span(least)), Some(Span(most))) => options = options.backoff(least..=most),
            (None, None) => {}
            _ => return Err(together("backoff_min", "backoff_max", path("backoff_min"))),
        }
        if let Some(requests) = self.max_waiting_requests {
            options = options.max_waiting_requests(requests);
        }
        if let Some(requests) = self.total_waiting {
            options = options.total_waiting(requests);
        }
        if let Some(size) = self.max_document_bytes {
            options = options.max_document_bytes(size.bytes(path("max_document_bytes"))?);
        }
        if let Some(size) = self.max_set_bytes {
            options = options.max_set_bytes(size.bytes(path("max_set_bytes"))?);
        }
        if let Some(keys) = self.max_keys {
            options = options.max_keys(keys);
        }
        if let Some(keys) = self.total_keys {
            options = options.total_keys(keys);
        }
        Ok(options)
    }
}
