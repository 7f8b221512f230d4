//! `QuotaLimit`: how much is allowed in which time, and the one algorithm that decides.

use std::time::Duration;

use crate::error::ConfigError;

/// The most calls a second. Beyond it the rounding to microseconds would be more than 1 %.
const MOST_PER_SECOND: u64 = 10_000;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// How long a bucket may take to fill. With a date in front of it, it is exact in the numbers of an
/// engine, which are doubles: 2^53 microseconds are 285 years.
const LONGEST_FILL: Duration = Duration::from_secs(400 * 86_400);
/// The most replicas that share a limit.
pub(crate) const MOST_REPLICAS: u32 = 10_000;

/// So many in a window, and how many of them at once.
///
/// It is a bucket that holds `burst` and gets `count` in each window, one after the other: the
/// generic cell rate algorithm. In any time `t` at most `burst + t * count / window` pass. All
/// times are whole microseconds, and where `window / count` is none it is rounded up, so that a
/// limit is never passed.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::store::QuotaLimit;
///
/// let limit = QuotaLimit::new(60, Duration::from_secs(60))?.burst(2)?;
/// let (never, now) = (Duration::ZERO, Duration::from_secs(1_800_000_000));
/// // Two at once are admitted, and the third is not: in a second there is room for it.
/// let one = limit.charge(never, now, 1);
/// let two = limit.charge(one.tat(), now, 1);
/// let three = limit.charge(two.tat(), now, 1);
/// assert!(one.is_admitted() && two.is_admitted() && !three.is_admitted());
/// assert_eq!(three.retry_in(), Some(Duration::from_secs(1)));
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaLimit {
    count: u32,
    window: Duration,
    burst: u32,
    /// In which one more is allowed, in microseconds.
    interval: u64,
}

impl QuotaLimit {
    /// `count` in each `window`, all of which may come at once.
    ///
    /// # Errors
    /// The count is 0, the window is shorter than a millisecond or longer than 31 days, or it is
    /// more than 10,000 a second.
    pub fn new(count: u32, window: Duration) -> Result<Self, ConfigError> {
        if count == 0 {
            return Err(ConfigError::new(
                "limit",
                "0 would refuse every request: give a number of calls",
            ));
        }
        if !(SHORTEST..=LONGEST).contains(&window) {
            return Err(ConfigError::new(
                "window",
                format!("{window:?} is none of 1 ms to 31 days"),
            ));
        }
        let interval = micros(window).div_ceil(u64::from(count));
        let shortest = 1_000_000 / MOST_PER_SECOND;
        if u64::from(count) * shortest > micros(window) {
            return Err(ConfigError::new(
                "limit",
                format!("{count} in {window:?} is more than {MOST_PER_SECOND} a second"),
            ));
        }
        Ok(Self {
            count,
            window,
            burst: count,
            interval,
        })
    }

    /// How many may come at once, after a time without any; by default as many as in a window.
    ///
    /// # Errors
    /// It is 0, or so many that to regain them takes more than 400 days.
    pub fn burst(mut self, burst: u32) -> Result<Self, ConfigError> {
        if burst == 0 {
            return Err(ConfigError::new(
                "burst",
                "0 would refuse every request: give 1 or more",
            ));
        }
        let fill = self.interval.checked_mul(u64::from(burst));
        if fill.is_none_or(|fill| fill > micros(LONGEST_FILL)) {
            return Err(ConfigError::new(
                "burst",
                format!("{burst} are regained in more than 400 days: give fewer"),
            ));
        }
        self.burst = burst;
        Ok(self)
    }

    /// The part of one of so many replicas. `None`: it would be less than one call at once.
    pub fn share_of(self, replicas: u32) -> Option<Self> {
        if replicas == 0 || replicas > MOST_REPLICAS {
            return None;
        }
        let burst = self.burst / replicas;
        (burst > 0).then_some(Self {
            burst,
            // At most 31 days, ten thousand times.
            interval: self.interval.saturating_mul(replicas.into()),
            ..self
        })
    }

    /// How many in a window.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The window.
    pub fn window(self) -> Duration {
        self.window
    }

    /// How many at once; nothing that costs more is ever admitted.
    pub fn most_at_once(self) -> u32 {
        self.burst
    }

    /// Whether something of this cost is admitted at `now`: a pure function.
    ///
    /// `tat` is the time at which the bucket is full again, as the last charge left it; zero where
    /// there was none. One that is further ahead than an empty bucket takes to fill is of a clock
    /// that was set back, or of another limit, and counts as an empty bucket.
    pub fn charge(self, tat: Duration, now: Duration, cost: u32) -> QuotaState {
        let now = micros(now);
        let debt = self.debt(micros(tat), now);
        let (admitted, debt) = match self.admit(debt, cost) {
            Some(debt) => (true, debt),
            None => (false, debt),
        };
        QuotaState {
            limit: self,
            cost,
            admitted,
            now,
            debt,
        }
    }

    /// The state that a store tells of: how long until the bucket is full, after what was admitted
    /// or before what was not.
    pub fn state(self, cost: u32, admitted: bool, now: Duration, debt: Duration) -> QuotaState {
        QuotaState {
            limit: self,
            cost,
            admitted,
            now: micros(now),
            debt: micros(debt).min(self.room()),
        }
    }

    /// How long an empty bucket takes to fill.
    pub(crate) fn room(self) -> u64 {
        self.interval * u64::from(self.burst)
    }

    /// What a charge adds; `None` where it is more than the bucket holds.
    pub(crate) fn price(self, cost: u32) -> Option<u64> {
        (cost <= self.burst).then(|| self.interval * u64::from(cost))
    }

    fn debt(self, tat: u64, now: u64) -> u64 {
        tat.saturating_sub(now).min(self.room())
    }

    fn admit(self, debt: u64, cost: u32) -> Option<u64> {
        let debt = debt + self.price(cost)?;
        (debt <= self.room()).then_some(debt)
    }
}

/// Where a bucket stands after a charge, or after one that was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    limit: QuotaLimit,
    cost: u32,
    admitted: bool,
    now: u64,
    debt: u64,
}

impl QuotaState {
    /// Whether there was room for it.
    pub fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The time of the store.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    /// When the bucket is full again, by the clock of the store.
    pub fn tat(&self) -> Duration {
        Duration::from_micros(self.now.saturating_add(self.debt))
    }

    /// How long until the bucket is full again.
    pub fn resets_in(&self) -> Duration {
        Duration::from_micros(self.debt)
    }

    /// How many more of cost 1 would be admitted now.
    pub fn remaining(&self) -> u32 {
        let left = self.limit.room() - self.debt;
        // At most the burst.
        u32::try_from(left / self.limit.interval).unwrap_or(u32::MAX)
    }

    /// How long until the same cost is admitted, if nothing else comes before. `None`: it was
    /// admitted, would be now, or never is.
    pub fn retry_in(&self) -> Option<Duration> {
        if self.admitted {
            return None;
        }
        let needed = self.debt + self.limit.price(self.cost)?;
        let wait = needed.checked_sub(self.limit.room())?;
        (wait > 0).then(|| Duration::from_micros(wait))
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
