//! The calls under way, and what waits for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::answer::{Active, Good, Judged};
use super::pauses::Pauses;
use super::rate::Rate;
use super::store::{Introspector, unavailable};
use crate::error::AuthError;
use crate::oauth::remembered::Entry;
use crate::util::asking::{Lane, Record};

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
    pub(super) pauses: Pauses,
}

impl Calls {
    pub(super) fn new(unknown_token_rate_limit: u32, now: Duration) -> Self {
        Self {
            record: Record::default(),
            rate: Rate::new(unknown_token_rate_limit, now),
            pauses: Pauses::default(),
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
    /// There is no telling. `keep`: for so long the server is not asked again about this token.
    Nothing {
        error: AuthError,
        keep: Option<Duration>,
    },
}

/// A place among those that wait for a call; bounded, because each holds a request.
pub(in crate::oauth) struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    store: Arc<Introspector>,
    lane: Lane,
}

impl Asked {
    pub(super) fn join(
        outcome: watch::Receiver<Option<Outcome>>,
        store: &Arc<Introspector>,
        lane: Lane,
    ) -> Self {
        store.waiting(lane).fetch_add(1, Ordering::Relaxed);
        let all = store.together.introspecting(lane);
        all.fetch_add(1, Ordering::Relaxed);
        Self {
            outcome,
            store: Arc::clone(store),
            lane,
        }
    }

    /// What the authorization server says. A call ends by itself; a runtime nobody drives any
    /// more must not hold a request for ever, though.
    pub(in crate::oauth) async fn answer(mut self) -> Result<Good, AuthError> {
        let limits = &self.store.limits;
        let patience = limits
            .queue_timeout
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
        let waiting = self.store.waiting(self.lane);
        waiting.fetch_sub(1, Ordering::Relaxed);
        let all = self.store.together.introspecting(self.lane);
        all.fetch_sub(1, Ordering::Relaxed);
    }
}
