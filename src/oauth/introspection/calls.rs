//! The calls under way, and what waits for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::answer::{Active, Good, Judged};
use super::rate::Rate;
use super::store::{Introspector, unavailable};
use crate::asking::Record;
use crate::error::AuthError;
use crate::oauth::keys::jitter;
use crate::oauth::remembered::Entry;
use crate::oauth::token_cache::TokenDigest;

/// How long calls pause when nobody is reached: at first, and, doubling, at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What requests learn from a call.
#[derive(Clone)]
pub(super) enum Outcome {
    Active(Arc<Entry<Active>>),
    Refused(AuthError),
}

/// What is known of the calls so far.
pub(super) struct Calls {
    pub(super) record: Record<Outcome>,
    pub(super) rate: Rate,
    /// No call before this.
    pub(super) not_before: Duration,
    /// Why.
    pub(super) paused_for: Box<str>,
    /// How many times in a row nobody was reached, one token alone not counted.
    failures: u32,
    /// The token about which nobody was reached first.
    unreached: Option<TokenDigest>,
    /// Whether the pause ends when somebody is reached: no server asked for it.
    liftable: bool,
}

impl Calls {
    pub(super) fn new(new_tokens_per_second: u32, now: Duration) -> Self {
        Self {
            record: Record::default(),
            rate: Rate::new(new_tokens_per_second, now),
            not_before: Duration::ZERO,
            paused_for: Box::default(),
            failures: 0,
            unreached: None,
            liftable: false,
        }
    }

    /// The server answered. A pause it asked for still holds.
    pub(super) fn reached(&mut self) {
        self.failures = 0;
        self.unreached = None;
        if self.liftable {
            self.not_before = Duration::ZERO;
        }
    }

    /// Nobody was reached about a token; how long to pause for it. One token alone is no
    /// outage: strangers may know one at which a server hangs.
    pub(super) fn unreached(&mut self, digest: TokenDigest, now: Duration) -> Option<Duration> {
        let first = *self.unreached.get_or_insert(digest);
        if first == digest && self.failures == 0 {
            return None;
        }
        let (shortest, most) = BACKOFF;
        let full = shortest
            .saturating_mul(1 << self.failures.min(16))
            .min(most);
        // Calls that were under way together failed once.
        if now >= self.not_before {
            self.failures = self.failures.saturating_add(1);
        }
        // Jitter downwards, so that replicas do not come back in step.
        Some(full.mul_f64(0.5 + jitter() / 2.0))
    }

    /// No call is made before `until`. Of pauses that overlap the longest holds.
    pub(super) fn pause(&mut self, until: Duration, why: &str, liftable: bool) {
        if until > self.not_before {
            self.not_before = until;
            self.paused_for = why.into();
            self.liftable = liftable;
        }
    }
}

/// What a call brought.
#[expect(clippy::large_enum_variant, reason = "it is moved once a call")]
pub(super) enum Landed {
    /// `life`: what is left until `exp`.
    Active { judged: Judged, life: Duration },
    /// `keep`: it will be refused for the same reason for a while.
    Refused { error: AuthError, keep: bool },
    /// Nobody knows.
    Nothing(AuthError),
}

/// A place among those that wait for a call; bounded, because each holds a request.
pub(in crate::oauth) struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    store: Arc<Introspector>,
}

impl Asked {
    pub(super) fn join(
        outcome: watch::Receiver<Option<Outcome>>,
        store: &Arc<Introspector>,
    ) -> Self {
        store.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            outcome,
            store: Arc::clone(store),
        }
    }

    /// What the authorization server says. A call ends by itself; a runtime nobody drives any
    /// more must not hold a request for ever, though.
    pub(in crate::oauth) async fn answer(mut self) -> Result<Good, AuthError> {
        let limits = &self.store.limits;
        let patience = limits
            .queue_deadline
            .saturating_add(limits.timeout)
            .saturating_add(Duration::from_secs(1));
        // A call that could not even start has ended; without a runtime there are no timers.
        let mut outcome = self.outcome.borrow().clone();
        if outcome.is_none() {
            let ended = self.outcome.wait_for(Option::is_some);
            if let Ok(Ok(ended)) = tokio::time::timeout(patience, ended).await {
                outcome = ended.clone();
            }
        }
        match outcome {
            Some(Outcome::Active(active)) => Ok(Good::of(active, &self.store.profile)),
            Some(Outcome::Refused(error)) => Err(error),
            None => Err(unavailable("introspection_failed", Duration::ZERO)
                .with_detail("the call was cut off")),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.store.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
