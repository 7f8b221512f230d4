//! What the keys of all servers of one layer share, so that many tenants do not multiply it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::budget::Budget;
use super::store::KeyStore;
use crate::oauth::jwks_options::JwksOptions;
use crate::util::places::{ByClass, Class, Place, Places};

#[derive(Debug)]
pub(in crate::oauth) struct Together {
    /// Requests that wait for keys.
    waiting: Arc<Places>,
    /// Requests that wait for an introspection call.
    introspecting: ByClass<Arc<Places>>,
    fetches: Mutex<Budget>,
    held: Mutex<Vec<Held>>,
    most_keys: usize,
}

/// How many keys a store holds.
#[derive(Debug)]
struct Held {
    store: Weak<KeyStore>,
    keys: usize,
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
            fetches: Mutex::new(Budget::new(fetches, every)),
            held: Mutex::default(),
            most_keys: limits.total_keys,
        }
    }

    /// Takes a place for a request that waits for keys, if one is left.
    pub(super) fn enter(&self) -> Option<Place> {
        Place::of(&self.waiting)
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

    /// Makes room for a set of `keys` that arrived for `store`. The sets of others that may not
    /// serve any more are dropped where need be; what then is too much is refused.
    pub(super) fn hold(
        &self,
        store: &Arc<KeyStore>,
        keys: usize,
        now: Duration,
    ) -> Result<(), String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|own| own.store.strong_count() > 0);
        let own = held
            .iter()
            .position(|own| own.store.as_ptr() == Arc::as_ptr(store));
        let before = own.map_or(0, |index| held[index].keys);
        let mut all = held.iter().map(|own| own.keys).sum::<usize>() - before + keys;
        for (index, other) in held.iter_mut().enumerate() {
            if all <= self.most_keys {
                break;
            }
            if Some(index) != own
                && other.keys > 0
                && let Some(store) = other.store.upgrade()
                && store.drop_if_useless(now)
            {
                all -= other.keys;
                other.keys = 0;
            }
        }
        if all > self.most_keys {
            return Err(format!(
                "with its {keys} keys, {all} would be held for all servers together, at most {} \
                 (`total_keys`)",
                self.most_keys
            ));
        }
        match own {
            Some(index) => held[index].keys = keys,
            None => held.push(Held {
                store: Arc::downgrade(store),
                keys,
            }),
        }
        Ok(())
    }

    /// Nothing panics while it is held.
    fn fetches(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
