//! One question, detached from the requests that wait for its answer.

use std::sync::Arc;

use tokio::sync::watch;

use super::ApiKeyStoreError;
use super::KeyLookup;
use super::cache::StoreCache;
use super::calls::Outcome;
use crate::api_key::ApiKey;
use crate::clock::Clock;
use crate::util::single_flight::Lane;

/// What a question brought.
pub(super) enum Landed {
    Answer(Option<ApiKey>),
    Error(ApiKeyStoreError),
    /// It never got its turn.
    Limited,
}

/// A question under way. It lands when dropped, so that a panic, or a runtime shutting down,
/// is a failed question and not requests that wait for ever.
#[must_use]
pub(super) struct Flight {
    pub(super) cache: Arc<StoreCache>,
    pub(super) sender: watch::Sender<Option<Outcome>>,
    pub(super) wanted: KeyLookup,
    pub(super) number: u64,
    pub(super) lane: Lane,
    pub(super) clock: Clock,
    pub(super) landed: Option<Landed>,
}

impl Flight {
    /// Asks in a task of its own: whoever wants to know may go away.
    pub(super) fn launch(mut self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.fly())),
            Err(_) => {
                let why = "there is no Tokio runtime to ask in";
                self.landed = Some(Landed::Error(ApiKeyStoreError::unreachable(why)));
            }
        }
    }

    async fn fly(mut self) {
        let cache = Arc::clone(&self.cache);
        let turn = cache.permits.turn(self.lane);
        let Ok(_permit) = tokio::time::timeout(cache.limits.queue_timeout, turn).await else {
            self.landed = Some(Landed::Limited);
            return;
        };
        let limit = cache.limits.timeout;
        let answer = cache.store.find(self.wanted.clone());
        self.landed = Some(match tokio::time::timeout(limit, answer).await {
            Ok(Ok(found)) => Landed::Answer(found),
            Ok(Err(error)) => Landed::Error(error),
            Err(_) => Landed::Error(ApiKeyStoreError::unreachable(format!(
                "no answer within {} ms",
                limit.as_millis()
            ))),
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let landed = self
            .landed
            .take()
            .unwrap_or_else(|| Landed::Error(ApiKeyStoreError::failed("the question was cut off")));
        let outcome = self.cache.land(
            (self.wanted.digest(), self.number, self.lane),
            landed,
            &self.clock,
        );
        self.sender.send_replace(Some(outcome));
    }
}
