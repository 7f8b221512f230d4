//! Limits that the key sets of all servers of a layer share, so that tenants do not multiply them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::sets::KeySets;
use crate::oauth::jwks_options::JwksOptions;
use crate::util::places::{ByClass, Class, Places};
use crate::util::{TokenBucket, locked};

#[derive(Debug)]
pub(in crate::oauth) struct Together {
    /// Requests that wait for keys.
    waiting: Arc<Places>,
    /// Requests that wait for an introspection call.
    introspecting: ByClass<Arc<Places>>,
    fetches: Mutex<TokenBucket>,
    pub(super) sets: Arc<KeySets>,
}

impl Together {
    pub(in crate::oauth) fn new(limits: &JwksOptions) -> Self {
        let fetches = limits.total_unknown_key_fetches;
        // As many in a cooldown as at once. Without one there would be nothing to divide.
        let every = limits
            .min_refetch_interval
            .checked_div(fetches)
            .unwrap_or_default();
        Self {
            waiting: Places::new(limits.total_waiting),
            introspecting: ByClass::new(|| Places::new(limits.total_waiting)),
            fetches: Mutex::new(TokenBucket::new(fetches, every)),
            sets: Arc::new(KeySets::new(limits)),
        }
    }

    /// The places of requests that wait for keys.
    pub(super) fn waiting(&self) -> &Arc<Places> {
        &self.waiting
    }

    /// The places of requests that wait for introspection, at all servers.
    pub(in crate::oauth) fn introspecting(&self, class: Class) -> &Arc<Places> {
        self.introspecting.of(class)
    }

    /// When the next fetch for an unknown key may start.
    pub(super) fn next_fetch(&self, now: Duration) -> Duration {
        self.fetches().next(now)
    }

    /// Takes a fetch for an unknown key, if one is left.
    pub(super) fn take_fetch(&self, now: Duration) -> bool {
        self.fetches().take(now)
    }

    fn fetches(&self) -> std::sync::MutexGuard<'_, TokenBucket> {
        locked(&self.fetches)
    }
}
