//! A token bucket: so many at once, and one more each time some time has passed.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct TokenBucket {
    most: u32,
    every: Duration,
    left: u32,
    /// From when on the time to the next one counts.
    since: Duration,
}

impl TokenBucket {
    pub(crate) fn new(most: u32, every: Duration) -> Self {
        Self {
            most,
            every,
            left: most,
            since: Duration::ZERO,
        }
    }

    /// So many a second, one at least, and as many at once after a quiet second.
    pub(crate) fn per_second(most: u32) -> Self {
        Self::new(most, Duration::from_secs(1) / most.max(1))
    }

    /// When one may be taken; in the past, if it may be now.
    pub(crate) fn next(&mut self, now: Duration) -> Duration {
        self.earn(now);
        match self.left {
            0 => self.since.saturating_add(self.every),
            _ => Duration::ZERO,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.earn(now);
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// Lets the time to the next one count from now on.
    pub(crate) fn restart(&mut self, now: Duration) {
        self.earn(now);
        self.since = now;
    }

    fn earn(&mut self, now: Duration) {
        let missing = self.most - self.left;
        let passed = now.saturating_sub(self.since);
        let earned = match passed.as_nanos().checked_div(self.every.as_nanos()) {
            Some(earned) => u32::try_from(earned).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        if earned >= missing {
            self.left = self.most;
            self.since = now;
        } else {
            self.left += earned;
            self.since = self.since.saturating_add(self.every * earned);
        }
    }
}
