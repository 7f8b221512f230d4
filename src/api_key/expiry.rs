//! Keys that end soon: who is warned of them, and how often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::entry::Entry;
use crate::crypto::Digest;
use crate::telemetry;

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
    /// When each was warned of, in seconds since 1970. Apart from the entries: what a store said is
    /// forgotten when nobody asks for it.
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

    /// The key of this entry was accepted; `now` is asked for where it has an end.
    pub(super) fn accepted(&self, entry: &Entry, now: impl FnOnce() -> Duration) {
        let Some(expires_at) = entry.expires_at() else {
            return;
        };
        let now = now();
        let left = expires_at.saturating_sub(now);
        if left >= self.before || !entry.is_warning_due(now) || !self.is_due(entry, now) {
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
        // Nothing panics under this lock.
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
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
