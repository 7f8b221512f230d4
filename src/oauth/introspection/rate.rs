//! How often there may be a call about a token that is not known to be good.

use std::time::Duration;

/// A token bucket: so many calls a second, and as many at once after a quiet second.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    left: f64,
    at: Duration,
}

impl Rate {
    pub(super) fn new(per_second: u32, now: Duration) -> Self {
        Self {
            per_second: f64::from(per_second),
            left: f64::from(per_second),
            at: now,
        }
    }

    /// Takes one, if there is one left at `now`.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        self.at = now.max(self.at);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}
