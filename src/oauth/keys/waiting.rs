//! A place among those that wait for a fetch.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::store::KeyStore;
use crate::util::places::Place;

/// What a request has waited for already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Waited {
    /// Nothing yet.
    No,
    /// A fetch that began before the request came: it may not have looked for what the request
    /// needs. So a request waits twice at most.
    ForAnother,
    /// A fetch that began for it, or the second one. What is known now is final.
    ForOwn,
    /// A fetch that has not ended, though it should have: nothing is known.
    InVain,
}

/// See the module. Places are bounded, because each holds a request.
pub(in crate::oauth) struct Waiting {
    ended: watch::Receiver<()>,
    store: Arc<KeyStore>,
    then: Waited,
    _place: Place,
}

impl Waiting {
    /// A place that was counted already; `then` is what its request has waited for afterwards.
    pub(super) fn new(
        ended: watch::Receiver<()>,
        store: Arc<KeyStore>,
        then: Waited,
        place: Place,
    ) -> Self {
        Self {
            ended,
            store,
            then,
            _place: place,
        }
    }

    /// Resolves when the fetch has ended, however it did.
    pub(in crate::oauth) async fn ended(mut self) -> Waited {
        if ended(&mut self.ended, self.store.limits.fetch_timeout).await {
            self.then
        } else {
            Waited::InVain
        }
    }
}

/// Whether a fetch has ended: resolves when it has, or should have. It ends by itself within `deadline`. It runs where it was
/// started, though, and a runtime that is no longer driven must not hold a request for ever.
pub(super) async fn ended(fetch: &mut watch::Receiver<()>, deadline: Duration) -> bool {
    let patience = deadline.saturating_add(Duration::from_secs(1));
    // An error means that the sender is gone: the fetch has ended as well.
    tokio::time::timeout(patience, fetch.changed())
        .await
        .is_ok()
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.store.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
