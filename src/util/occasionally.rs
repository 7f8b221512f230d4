//! Saying when to warn again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// In seconds.
const EVERY: u64 = 10;

/// Says when to warn of a fault that every request can repeat: every 10 seconds at most.
///
/// Each kind of fault has one of its own: a flood that reaches a limit must not silence the
/// warning that the server behind it is down.
#[derive(Debug, Default)]
pub(crate) struct Occasionally {
    /// The second of the last warning; 0 before the first.
    last: AtomicU64,
}

impl Occasionally {
    /// Whether it is time; then it is for this caller alone. `now` is monotonic.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let (now, last) = (now.as_secs(), self.last.load(Ordering::Relaxed));
        let is_over = last == 0 || now >= last.saturating_add(EVERY);
        is_over
            && self
                .last
                .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
