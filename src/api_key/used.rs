//! What is told when a key was used: the hook that is called, and the warning of its end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::digest::KeyDigest;
use super::entry::Entry;
use super::expiry::ExpiryWarning;
use crate::auth::Authenticated;
use crate::clock::Clock;
use crate::principal::Principal;

/// That a key was used: see [`ApiKeyLayer::on_use`](super::ApiKeyLayer::on_use).
pub struct ApiKeyUse<'a> {
    entry: &'a Entry,
    at: Duration,
}

impl ApiKeyUse<'_> {
    /// The id of the key, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.entry.id()
    }

    /// The name of the key, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.entry.name()
    }

    /// The owner of the key, if that is known.
    pub fn owner(&self) -> Option<&str> {
        self.entry.owner()
    }

    /// What the store keeps of the key; `None` for keys that were given themselves.
    pub fn digest(&self) -> Option<KeyDigest> {
        self.entry.kind().map(|kind| KeyDigest {
            kind,
            bytes: *self.entry.digest(),
        })
    }

    /// When.
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.at).unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Debug for ApiKeyUse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyUse")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("owner", &self.owner())
            .field("at", &self.at())
            .finish()
    }
}

/// Whom the uses of keys are told.
#[derive(Clone)]
pub(super) struct Hook {
    interval: Duration,
    hook: Arc<dyn Fn(&ApiKeyUse<'_>) + Send + Sync>,
}

impl Hook {
    pub(super) fn new(
        interval: Duration,
        hook: impl Fn(&ApiKeyUse<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            interval,
            hook: Arc::new(hook),
        }
    }

    fn used(&self, entry: &Entry, clock: &Clock) {
        // The interval is not measured by the wall clock, which may be set back.
        let moment = clock.read();
        if entry.is_due(moment.monotonic, self.interval) {
            let at = moment.wall;
            (self.hook)(&ApiKeyUse { entry, at });
        }
    }
}

/// What follows the use of a key: the hook, and the warning of its end.
#[derive(Clone, Default)]
pub(super) struct UseNotifier {
    pub(super) hook: Option<Hook>,
    pub(super) expiry: ExpiryWarning,
}

impl UseNotifier {
    /// The key of this entry is good.
    pub(super) fn accept(&self, entry: &Entry, clock: &Clock) -> Authenticated {
        if let Some(hook) = &self.hook {
            hook.used(entry, clock);
        }
        self.expiry.accepted(entry, clock);
        let principal = Principal::of(Arc::clone(&entry.identity));
        Authenticated::until(principal, entry.expires_at())
    }
}
