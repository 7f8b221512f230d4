//! What the development issuer's server and its handles share.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::behaviour::Faults;
use super::endpoint::Paths;
use super::introspection::Introspection;
use super::keys::KeyRing;
use super::request::Recorder;
use super::store::Store;
use crate::clock::Clock;
use crate::util::locked;

pub(super) struct Shared {
    pub(super) url: String,
    pub(super) paths: Paths,
    pub(super) keys: KeyRing,
    pub(super) faults: Faults,
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
    pub(super) scopes_supported: Vec<String>,
    pub(super) token_lifetime: Duration,
    pub(super) introspection: Introspection,
    /// The prefix of the tokens that the token endpoint issues, if they are opaque.
    pub(super) opaque_tokens: Option<String>,
    pub(super) store: Mutex<Store>,
}

impl Shared {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.store)
    }
}
