//! The key sets of all servers of a layer, and what a token seen before needs of one.

use std::cell::OnceCell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{GRACE, KeySet};
use crate::error::{AuthError, Reason};
use crate::jose::{Algorithm, Candidates, KeyIdentity, VerifyingKey};
use crate::oauth::jwks_options::JwksOptions;
use crate::util::cache::kept_for;
use crate::util::locked;
use crate::util::tenure::Tenure;

/// For each key that may be held there are so many bytes, on average.
const BYTES_A_KEY: usize = 4096;

/// The sets that were fetched, by issuer.
#[derive(Debug)]
pub(super) struct KeySets {
    kept: Cache<Arc<str>, Arc<KeySet>>,
    /// What is held, or more: moka drops sets by itself once they are of no use.
    held: Mutex<Size>,
    most: Size,
}

/// How much a set is, or some are.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    keys: usize,
    bytes: usize,
}

impl Size {
    fn of(set: &KeySet) -> Self {
        // What a key is prepared to is of about the same size for all kinds.
        let bytes = |key: &VerifyingKey| 2048 + key.kid().map_or(0, str::len);
        Self {
            keys: set.keys.len(),
            bytes: 1024 + set.keys.iter().map(bytes).sum::<usize>(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys.saturating_add(other.keys),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            keys: self.keys.saturating_sub(other.keys),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn fits(self, most: Self) -> bool {
        self.keys <= most.keys && self.bytes <= most.bytes
    }
}

impl KeySets {
    pub(super) fn new(limits: &JwksOptions) -> Self {
        let most = Size {
            keys: limits.total_keys,
            bytes: limits.total_keys.saturating_mul(BYTES_A_KEY),
        };
        let longest = limits.default_ttl.max(*limits.ttl_bounds.end());
        let longest = longest.saturating_add(limits.stale_if_error.max(GRACE));
        Self {
            // What does not fit is refused before moka has to choose. Should it have to: the
            // newest set is one that requests wait for.
            kept: Cache::builder()
                .max_capacity(u64::try_from(most.bytes).unwrap_or(u64::MAX))
                .weigher(|_, set: &Arc<KeySet>| {
                    u32::try_from(Size::of(set).bytes).unwrap_or(u32::MAX)
                })
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(kept_for(longest))
                .build(),
            held: Mutex::default(),
            most,
        }
    }

    fn get(&self, issuer: &str) -> Option<Arc<KeySet>> {
        self.kept.get(issuer)
    }

    /// Keeps a set in the place of its issuer's last one. Where need be, those of others that may
    /// not serve any more make way; what then is too much is refused.
    fn put(&self, issuer: &Arc<str>, set: Arc<KeySet>, now: Duration) -> Result<(), String> {
        let mut held = locked(&self.held);
        let (before, own) = (self.get(issuer), Size::of(&set));
        let before = before.map(|set| Size::of(&set)).unwrap_or_default();
        let mut all = held.minus(before).plus(own);
        if !all.fits(self.most) {
            *held = self.sweep(issuer, now);
            all = held.minus(before).plus(own);
        }
        if all.keys > self.most.keys {
            return Err(format!(
                "with its {} keys, {} would be held for all servers together, at most {} \
                 (`total_keys`)",
                own.keys, all.keys, self.most.keys
            ));
        }
        if all.bytes > self.most.bytes {
            return Err(format!(
                "with its {} bytes, {} would be held for all servers together, at most {} \
                 ({BYTES_A_KEY} for each of `total_keys`)",
                own.bytes, all.bytes, self.most.bytes
            ));
        }
        *held = all;
        self.kept.insert(Arc::clone(issuer), set);
        Ok(())
    }

    /// Drops the sets of others that may not serve any more; how much is left.
    fn sweep(&self, own: &Arc<str>, now: Duration) -> Size {
        let mut left = Size::default();
        for (issuer, set) in &self.kept {
            if issuer.as_ref() == own || set.may_serve(now) {
                left = left.plus(Size::of(&set));
            } else {
                self.kept.invalidate(issuer.as_ref());
            }
        }
        left
    }
}

/// The keys of one issuer.
#[derive(Debug)]
pub(in crate::oauth) struct KeysInUse {
    issuer: Arc<str>,
    held: Held,
    /// Until then the set serves, and there is nothing to be done about it.
    quiet: Tenure,
}

#[derive(Debug)]
enum Held {
    Configured(Arc<KeySet>),
    Fetched(Arc<KeySets>),
}

impl KeysInUse {
    pub(super) fn configured(issuer: &Arc<str>, set: KeySet) -> Self {
        let quiet = Tenure::new();
        quiet.renew(set.generation, Duration::MAX);
        Self {
            issuer: Arc::clone(issuer),
            held: Held::Configured(Arc::new(set)),
            quiet,
        }
    }

    pub(super) fn fetched(issuer: &Arc<str>, sets: &Arc<KeySets>) -> Self {
        Self {
            issuer: Arc::clone(issuer),
            held: Held::Fetched(Arc::clone(sets)),
            quiet: Tenure::new(),
        }
    }

    /// The set, whether it may serve or not.
    pub(super) fn held(&self) -> Option<Arc<KeySet>> {
        match &self.held {
            Held::Configured(set) => Some(Arc::clone(set)),
            Held::Fetched(sets) => sets.get(&self.issuer),
        }
    }

    /// Whether the set serves, and there is nothing to be done about it.
    pub(super) fn is_quiet(&self, now: Duration) -> bool {
        self.quiet.at(now).is_some()
    }

    /// Takes a set that arrived into use, if there is room for it.
    pub(super) fn put(&self, set: KeySet, now: Duration) -> Result<(), String> {
        let (generation, until) = (set.generation, set.times.wanted_at);
        if let Held::Fetched(sets) = &self.held {
            sets.put(&self.issuer, Arc::new(set), now)?;
            self.quiet.renew(generation, until);
        }
        Ok(())
    }

    /// A fetch has failed that began at `began`. If it was to refresh the set, that serves longer.
    /// No other one starts before `retry`.
    pub(super) fn outlive(&self, began: Duration, retry: Duration) {
        if let Some(set) = self.held()
            && began >= set.times.wanted_at
        {
            set.outlives.store(true, Ordering::Relaxed);
            self.quiet.prolong(retry.min(set.times.stale_until));
        }
    }

    /// The set as it is now.
    pub(in crate::oauth) fn set(&self) -> SetInUse<'_> {
        SetInUse {
            generation: self.quiet.generation(),
            keys: self,
            set: OnceCell::new(),
        }
    }
}

/// A set, which is looked up when more than its generation is asked for.
pub(in crate::oauth) struct SetInUse<'k> {
    generation: u64,
    keys: &'k KeysInUse,
    set: OnceCell<Option<Arc<KeySet>>>,
}

impl SetInUse<'_> {
    pub(in crate::oauth) fn generation(&self) -> u64 {
        self.generation
    }

    /// See [`KeySet::select`].
    pub(in crate::oauth) fn select(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
    ) -> Result<Candidates, AuthError> {
        let set = self
            .get()
            .ok_or_else(|| AuthError::new(Reason::UNKNOWN_KEY))?;
        set.select(kid, alg)
    }

    /// See [`KeySet::holds`].
    pub(in crate::oauth) fn holds(&self, candidates: &Candidates, key: KeyIdentity) -> bool {
        self.get().is_some_and(|set| set.holds(candidates, key))
    }

    /// `None`: it is gone, or another one took its place meanwhile.
    fn get(&self) -> Option<&KeySet> {
        let is_this = |set: &Arc<KeySet>| set.generation == self.generation;
        let set = self.set.get_or_init(|| self.keys.held().filter(is_this));
        set.as_deref()
    }
}
