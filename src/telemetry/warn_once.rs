//! A flag for what is reported once.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something was told, of which once is enough. A copy begins anew.
#[derive(Default)]
pub(crate) struct WarnOnce(AtomicBool);

impl WarnOnce {
    /// Tells it, if that was not done before.
    #[cold]
    pub(crate) fn warn(&self, warn: impl FnOnce()) {
        if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed) {
            warn();
        }
    }
}

impl Clone for WarnOnce {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What was told is no setting.
impl fmt::Debug for WarnOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarnOnce")
    }
}
