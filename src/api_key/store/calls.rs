//! The questions under way, and what waits for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::cache::StoreCache;
use crate::api_key::entry::{Entry, Proof, refused_as};
use crate::clock::Clock;
use crate::error::AuthError;
use crate::util::single_flight::Record;

/// What requests learn from a question.
#[derive(Clone)]
pub(super) enum Outcome {
    Found(Arc<Entry>),
    Absent,
    /// Nobody knows.
    Failed(AuthError),
}

/// What is known of the questions so far.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) record: Record<Outcome>,
    /// No question before this.
    pub(super) not_before: Duration,
}

/// A place among those that wait for an answer; bounded, because each holds a request.
pub(in crate::api_key) struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    cache: Arc<StoreCache>,
    id: Box<str>,
}

impl Asked {
    pub(super) fn join(
        outcome: watch::Receiver<Option<Outcome>>,
        cache: &Arc<StoreCache>,
        id: &str,
    ) -> Self {
        cache.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            outcome,
            cache: Arc::clone(cache),
            id: id.into(),
        }
    }

    /// What the store says. A question ends by itself; a runtime nobody drives any more must
    /// not hold a request for ever, though.
    pub(in crate::api_key) async fn answer(
        mut self,
        clock: &Clock,
        proof: Proof,
    ) -> Result<Arc<Entry>, AuthError> {
        let limits = &self.cache.limits;
        let patience = limits
            .queue_timeout
            .saturating_add(limits.timeout)
            .saturating_add(Duration::from_secs(1));
        // A question that could not even be put has ended; without a runtime there are no
        // timers.
        let mut outcome = self.outcome.borrow().clone();
        if outcome.is_none() {
            let ended = self.outcome.wait_for(Option::is_some);
            if let Ok(Ok(ended)) = tokio::time::timeout(patience, ended).await {
                outcome = ended.clone();
            }
        }
        let now = clock.now();
        let found = match outcome {
            Some(Outcome::Found(entry)) => Some(entry),
            Some(Outcome::Absent) => None,
            Some(Outcome::Failed(error)) => return Err(error),
            None => return Err(StoreCache::cut_off()),
        };
        let fault = found.as_ref().and_then(|entry| entry.fault(now));
        match (found, fault) {
            (Some(entry), None) => Ok(entry),
            (found, fault) => {
                let found = found.as_deref();
                Err(refused_as(&self.id, false, found, fault, proof))
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.cache.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
