//! One request, counted once if it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Extensions;

use super::layer::State;
use crate::error::reason::Standing;
use crate::error::{AuthError, AuthErrorKind};
use crate::peer::CountedAddr;
use crate::refusal::{CountedBy, Counts};

/// One request, which counts once if it fails: when its response comes, or before, where that
/// waits for the body of the request.
pub(super) struct Attempt {
    state: Arc<State>,
    client: CountedAddr,
    is_counted: AtomicBool,
}

impl Attempt {
    pub(super) fn new(state: Arc<State>, client: CountedAddr) -> Arc<Self> {
        Arc::new(Self {
            state,
            client,
            is_counted: AtomicBool::new(false),
        })
    }

    /// Learns of a refusal of this request before its response comes.
    pub(super) fn watch(attempt: &Arc<Self>, extensions: &mut Extensions) {
        let inner = Arc::clone(attempt);
        let counted_by = match extensions.remove() {
            Some(outer) => CountedBy(Arc::new(Both { inner, outer })),
            None => CountedBy(inner),
        };
        extensions.insert(counted_by);
    }

    pub(super) fn count(&self, error: &AuthError) {
        if is_failed_attempt(error) && !self.is_counted.swap(true, Ordering::Relaxed) {
            self.state.failed(self.client);
        }
    }
}

impl Counts for Attempt {
    fn refused(&self, error: &AuthError) {
        self.count(error);
    }
}

/// A layer inside another one.
struct Both {
    inner: Arc<Attempt>,
    outer: CountedBy,
}

impl Counts for Both {
    fn refused(&self, error: &AuthError) {
        self.inner.count(error);
        self.outer.0.refused(error);
    }
}

/// Whether the credential may be a guess. One that was issued is none, whatever else is wrong
/// with it; nor is a request without one, which any page can make its visitors send.
fn is_failed_attempt(error: &AuthError) -> bool {
    error.kind() == AuthErrorKind::Invalid
        && matches!(
            error.as_reason().standing(),
            Standing::Guess | Standing::Custom
        )
        && !error.is_of_issued()
        && error.principal_id().is_none()
}
