//! A flag that is set once and shared by clones.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says that something is done for the first time. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Once(Arc<AtomicBool>);

impl Once {
    /// Whether it is the first time.
    pub(super) fn is_first(&self) -> bool {
        // Nearly every request comes later, and only looks.
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}
