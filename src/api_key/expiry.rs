//! Warnings of API keys that expire soon, and how often they are given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::entry::Entry;
use crate::clock::Clock;
use crate::crypto::Digest;
use crate::telemetry;
use crate::util::locked;

/// How long before its end a key is warned of.
const DEFAULT: Duration = Duration::from_secs(14 * 86_400);
/// How often.
pub(super) const EVERY: Duration = Duration::from_secs(86_400);
/// Of how many keys it is known that they were warned of. More are not warned of on the same day.
const MAX_KEYS: usize = 4096;

/// Warns of accepted keys that end soon, of each once a day.
#[derive(Clone)]
pub(super) struct ExpiryWarning {
    before: Duration,
    /// When each was warned of, in seconds of the monotonic clock. It is not in the entries: those
    /// of a store are dropped when they are not used.
    warned: Arc<Mutex<HashMap<Digest, u64>>>,
}

impl Default for ExpiryWarning {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

impl ExpiryWarning {
    pub(super) fn new(before: Duration) -> Self {
        Self {
            before,
            warned: Arc::default(),
        }
    }

    /// The key of this entry was accepted; the clock is read where it has an end.
    pub(super) fn accepted(&self, entry: &Entry, clock: &Clock) {
        let Some(expires_at) = entry.expires_at() else {
            return;
        };
        let left = expires_at.saturating_sub(clock.now());
        if left >= self.before {
            return;
        }
        // A day is not measured by the wall clock, which may be set back.
        let now = clock.monotonic();
        if !entry.is_warning_due(now) || !self.is_due(entry, now) {
            return;
        }
        telemetry::api_key_expires_soon(
            entry.id(),
            entry.name(),
            entry.owner(),
            expires_at.as_secs(),
            left.as_secs(),
        );
    }

    fn is_due(&self, entry: &Entry, now: Duration) -> bool {
        let mut warned = locked(&self.warned);
        let now = now.as_secs();
        let is_over = |at: u64| now >= at.saturating_add(EVERY.as_secs());
        if warned.get(entry.digest()).is_some_and(|at| !is_over(*at)) {
            return false;
        }
        if warned.len() >= MAX_KEYS {
            warned.retain(|_, at| !is_over(*at));
        }
        if warned.len() >= MAX_KEYS {
            return false;
        }
        warned.insert(*entry.digest(), now);
        true
    }
}
