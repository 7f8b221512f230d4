//! The streams of a revoked credential end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::Revocation;
use crate::gate::{StreamEnd, Watch, Watched};
use crate::principal::{HasIdentity, Principal};

/// In how many groups streams wait: each frame of one takes a lock that its group shares.
const GROUPS: usize = 16;

/// Wakes all who wait for an entry.
#[derive(Default)]
pub(super) struct Changed {
    groups: [Arc<Notify>; GROUPS],
    next: AtomicUsize,
}

impl Changed {
    pub(super) fn wake(&self) {
        for group in &self.groups {
            group.notify_waiters();
        }
    }

    fn group(&self) -> Arc<Notify> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.groups[next % GROUPS])
    }
}

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
                let group = self.revocation.shared.changed.group();
                Box::pin(group.notified_owned())
            });
            if let Poll::Ready(()) = changed.as_mut().poll(cx) {
                self.changed = None;
                continue;
            }
            // After the task is on the list: an entry that comes in between wakes it.
            if self.revocation.unknown().is_some() {
                return Watched::End(StreamEnd::Unavailable);
            }
            return match self.revocation.is_revoked(self.owner.identity()) {
                true => Watched::End(StreamEnd::Revoked),
                false => Watched::Pass,
            };
        }
    }
}
