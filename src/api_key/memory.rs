//! Keys in memory, replaced all at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use super::digest::Pepper;
use super::set::KeySet;

/// Keys that are replaced all at once.
pub(super) struct Memory {
    pub(super) keys: ArcSwap<KeySet>,
    pub(super) pepper: Option<Pepper>,
    /// Whether a layer with these keys stands beside one that has several resources.
    pub(super) beside_several: Arc<AtomicBool>,
}

impl Memory {
    pub(super) fn new(keys: KeySet, pepper: Option<Pepper>) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            pepper,
            beside_several: Arc::default(),
        }
    }

    pub(super) fn replace(&self, keys: KeySet) {
        keys.succeed(&self.keys.load());
        self.keys.store(Arc::new(keys));
    }
}
