//! The streams of a revoked credential end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::futures::OwnedNotified;

use super::Revocation;
use crate::gate::{StreamEnd, Watch, Watched};
use crate::principal::{HasIdentity, Principal};

/// Watches for the revocation of one credential.
pub(super) struct RevocationWatch {
    revocation: Revocation,
    owner: Arc<dyn HasIdentity>,
    /// Made when there is something to wait for.
    changed: Option<Pin<Box<OwnedNotified>>>,
}

impl Revocation {
    /// Ends a stream when the credential it was opened with is revoked.
    pub(crate) fn watch(&self, principal: &Principal) -> Box<dyn Watch> {
        Box::new(RevocationWatch {
            revocation: self.clone(),
            owner: Arc::clone(principal.owner()),
            changed: None,
        })
    }
}

impl Watch for RevocationWatch {
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Watched {
        loop {
            let changed = self.changed.get_or_insert_with(|| {
                let changed = Arc::clone(&self.revocation.shared.changed);
                Box::pin(changed.notified_owned())
            });
            if let Poll::Ready(()) = changed.as_mut().poll(cx) {
                self.changed = None;
                continue;
            }
            // After the task is on the list: an entry that comes in between wakes it.
            return match self.revocation.is_revoked(self.owner.identity()) {
                true => Watched::End(StreamEnd::Revoked),
                false => Watched::Pass,
            };
        }
    }
}
