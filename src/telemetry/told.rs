//! A flag for what is reported once.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something was told, of which once is enough. A copy begins anew.
#[derive(Default)]
pub(crate) struct Told(AtomicBool);

impl Told {
    /// Tells it, if that was not done before.
    #[cold]
    pub(crate) fn tell(&self, tell: impl FnOnce()) {
        if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed) {
            tell();
        }
    }
}

impl Clone for Told {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What was told is no setting.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}
