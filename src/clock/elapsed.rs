//! Time that has passed, by both hands of a clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::Moment;
use crate::util::locked;

/// How far the hands may drift apart before it counts. They are read one after the other, and
/// time servers slew the one.
const TOLERANCE: u64 = 1000;

/// What the two hands show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hands {
    pub(super) wall: Duration,
    /// What the monotonic clock counted; on many systems not the time asleep.
    pub(super) ran: Duration,
}

/// What the monotonic hand missed while the wall clock went on. All in milliseconds.
#[derive(Debug)]
pub(super) struct Elapsed {
    /// How far the wall clock was ahead of the other hand when they were last compared.
    ahead: AtomicI64,
    missed: AtomicU64,
    /// Held by the thread that takes in a leap.
    comparing: Mutex<()>,
}

impl Elapsed {
    pub(super) fn new(hands: Hands) -> Self {
        Self {
            ahead: AtomicI64::new(hands.ahead()),
            missed: AtomicU64::new(0),
            comparing: Mutex::new(()),
        }
    }

    pub(super) fn read(&self, read: impl Fn() -> Hands) -> Moment {
        let hands = read();
        // `missed` is stored first, so a thread that sees that a leap was taken in sees it counted.
        let ahead = self.ahead.load(Ordering::Acquire);
        if hands.ahead().abs_diff(ahead) <= TOLERANCE {
            return self.moment(hands);
        }
        self.compare(read)
    }

    #[cold]
    fn compare(&self, read: impl Fn() -> Hands) -> Moment {
        let _comparing = locked(&self.comparing);
        // Read again: another thread may have taken in the leap that was seen.
        let hands = read();
        let leap = hands
            .ahead()
            .saturating_sub(self.ahead.load(Ordering::Relaxed));
        if leap.unsigned_abs() > TOLERANCE {
            if let Ok(forward) = u64::try_from(leap) {
                let missed = self.missed.load(Ordering::Relaxed);
                self.missed
                    .store(missed.saturating_add(forward), Ordering::Relaxed);
            }
            self.ahead.store(hands.ahead(), Ordering::Release);
        }
        self.moment(hands)
    }

    fn moment(&self, hands: Hands) -> Moment {
        let missed = Duration::from_millis(self.missed.load(Ordering::Relaxed));
        Moment {
            wall: hands.wall,
            monotonic: hands.ran.saturating_add(missed),
        }
    }
}

impl Hands {
    fn ahead(self) -> i64 {
        let millis = |hand: Duration| i64::try_from(hand.as_millis()).unwrap_or(i64::MAX);
        millis(self.wall).saturating_sub(millis(self.ran))
    }
}
