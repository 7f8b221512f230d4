//! What is known of the fetches so far, and when the next one may start.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::together::Together;
use crate::clock::Moment;
use crate::oauth::jwks_options::JwksOptions;
use crate::util::TokenBucket;

/// Why a fetch is asked for; it decides how soon after the last one it may be. The key ids are
/// those of the tokens it is for.
#[derive(Clone, Copy)]
pub(super) enum Need<'t> {
    /// There are no keys that may serve: as soon as the backoff allows.
    Keys(Option<&'t str>),
    /// A token names a key that is not held. Any client can cause this at will, so it has a
    /// budget.
    UnknownKey(Option<&'t str>),
    /// Keys are near the end of their lifetime.
    Refresh,
    /// The operator asked.
    Now,
}

#[derive(Debug)]
pub(in crate::oauth) struct Attempts {
    /// How many were begun.
    pub(super) begun: u64,
    /// When the last one began.
    pub(super) last: Option<Duration>,
    pub(super) last_success: Option<Duration>,
    /// When that one began: what was published later it cannot have brought.
    pub(super) success_began: Option<Duration>,
    /// Why the last attempt failed; `None` when it succeeded.
    pub(super) failure: Option<Arc<str>>,
    pub(super) failures: u32,
    pub(super) not_before: Duration,
    /// Whether the last one looks for the place of the keys, where that may change.
    pub(super) discovers: bool,
    /// Where the keys were by the last discovery.
    pub(super) place: Option<Place>,
    /// From the last fetch to the refresh of what it brought.
    pub(super) interval: Duration,
    /// For fetches that an unknown key causes.
    pub(super) budget: TokenBucket,
    pub(super) sought: SoughtKey,
}

/// What discovery found.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) jwks_uri: Box<str>,
    /// When; `None` where it is to be looked for again, because a fetch failed.
    pub(super) discovered: Option<Duration>,
    /// After a discovery that failed: no refresh tries it again before.
    pub(super) not_before: Duration,
}

impl Attempts {
    pub(super) fn new(limits: &JwksOptions) -> Self {
        Self {
            begun: 0,
            last: None,
            last_success: None,
            success_began: None,
            failure: None,
            failures: 0,
            not_before: Duration::ZERO,
            discovers: false,
            place: None,
            interval: Duration::ZERO,
            budget: TokenBucket::new(limits.unknown_key_fetches, limits.min_refetch_interval),
            sought: SoughtKey::default(),
        }
    }

    /// When the next fetch for this reason may start; in the past, if it may now.
    pub(super) fn next(
        &mut self,
        need: Need<'_>,
        now: Duration,
        limits: &JwksOptions,
        together: &Together,
    ) -> Duration {
        match need {
            Need::Now => Duration::ZERO,
            Need::Keys(_) | Need::Refresh => self.not_before,
            Need::UnknownKey(kid) => {
                let spent = self.budget.next(now).max(together.next_fetch(now));
                let cooled = self.last.map_or(Duration::ZERO, |last| {
                    last.saturating_add(limits.min_refetch_interval)
                });
                // A fetch that failed has not looked for it.
                let sought = self.failure.is_none() && self.sought.is(kid);
                let sought = if sought { cooled } else { Duration::ZERO };
                self.not_before.max(spent).max(sought)
            }
        }
    }

    /// Takes a fetch from what bounds those for this reason, if one is left.
    pub(super) fn take(&mut self, need: Need<'_>, now: Duration, together: &Together) -> bool {
        match need {
            Need::UnknownKey(_) => together.take_fetch(now) && self.budget.take(now),
            Need::Keys(_) | Need::Refresh | Need::Now => true,
        }
    }

    /// Whether what was published when a token was issued may be newer than what is held.
    pub(super) fn may_have_missed(&self, iat: Duration, now: Moment) -> bool {
        self.success_began.is_some_and(|began| {
            // By the wall clock as it is set now.
            let age = now.monotonic.saturating_sub(began);
            iat > now.wall.saturating_sub(age)
        })
    }

    /// Whether a refresh looks for the place of the keys first: there is none, or it would be
    /// older than `life` before the next refresh.
    pub(super) fn place_is_old(&self, now: Duration, life: Duration) -> bool {
        let Some(place) = &self.place else {
            return true;
        };
        let is_old = |at: Duration| now.saturating_add(self.interval) >= at.saturating_add(life);
        place.discovered.is_none_or(is_old) && now >= place.not_before
    }
}

/// The id of the key that the last fetch was made for. If it was not brought, it is not asked for
/// again until the next fetch, or until the cooldown is over.
#[derive(Debug, Default)]
pub(super) struct SoughtKey {
    hasher: RandomState,
    /// A seeded digest, because an id may be as long as a token.
    kid: Option<u64>,
}

impl SoughtKey {
    /// A fetch begins, for this one. The inner `None` is a token without a key id.
    pub(super) fn begin(&mut self, kid: Option<Option<&str>>) {
        self.kid = kid.map(|kid| self.hasher.hash_one(kid));
    }

    pub(super) fn is(&self, kid: Option<&str>) -> bool {
        self.kid == Some(self.hasher.hash_one(kid))
    }
}
