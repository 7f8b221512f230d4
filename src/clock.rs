//! The one clock: everything in this crate that depends on time asks here.

mod elapsed;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::elapsed::{Elapsed, Hands};
use crate::util::locked;

/// The source of time of a layer: the system's, or one moved by hand in tests.
///
/// A clock has two hands. The wall clock dates tokens. What is kept for a while (keys, answers,
/// refusals) ages by whichever hand moved further since: the monotonic one stands still while
/// a machine sleeps, and the wall clock may be set back.
///
/// Clones of a manual clock share their time.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::Clock;
///
/// let clock = Clock::manual(Duration::from_secs(1_800_000_000));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), Duration::from_secs(1_800_000_060));
/// // A machine that slept for an hour: its monotonic clock stood still.
/// clock.set_wall(Duration::from_secs(1_800_003_660));
/// assert_eq!(clock.now(), Duration::from_secs(1_800_003_660));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    hands: Mutex<Hands>,
    elapsed: Elapsed,
}

/// One look at a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Time since 1970; see [`Clock::now`].
    pub(crate) wall: Duration,
    /// See [`Clock::monotonic`].
    pub(crate) monotonic: Duration,
}

struct System {
    start: Instant,
    elapsed: Elapsed,
}

/// Of the process: there is one.
static SYSTEM: LazyLock<System> = LazyLock::new(|| System {
    start: Instant::now(),
    elapsed: Elapsed::new(Hands {
        wall: system_time(),
        ran: Duration::ZERO,
    }),
});

impl Clock {
    /// The system's clock; the default everywhere.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `since_epoch` (time since 1970-01-01 UTC, kept in
    /// milliseconds) until [`advance`](Self::advance) or [`set_wall`](Self::set_wall) moves it.
    pub fn manual(since_epoch: Duration) -> Self {
        let hands = Hands {
            wall: whole_millis(since_epoch),
            ran: Duration::ZERO,
        };
        Self(Source::Manual(Arc::new(Manual {
            hands: Mutex::new(hands),
            elapsed: Elapsed::new(hands),
        })))
    }

    /// Moves both hands of a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let by = whole_millis(by);
            manual.move_hands(|hands| {
                hands.wall = hands.wall.saturating_add(by);
                hands.ran = hands.ran.saturating_add(by);
            });
        }
    }

    /// Sets the wall clock of a manual clock alone, forward or back, as an operator does, or the
    /// sleep of a machine; the system's clock is left alone.
    pub fn set_wall(&self, since_epoch: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.move_hands(|hands| hands.wall = whole_millis(since_epoch));
        }
    }

    /// Time since 1970-01-01 UTC. A system clock set before 1970 reads as 1970, at which
    /// every token is issued in the future, and so refused.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::System => system_time(),
            Source::Manual(manual) => manual.hands().wall,
        }
    }

    /// Whether both always show the same time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::System, Source::System) => true,
            (Source::Manual(one), Source::Manual(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Time since some moment before the first call, by which everything that is kept for a
    /// while ages. It never goes back. It counts the sleep of a machine, and wherever else the
    /// wall clock leaps ahead, because nothing here can tell the one from the other.
    pub(crate) fn monotonic(&self) -> Duration {
        self.read().monotonic
    }

    /// Both times at once.
    pub(crate) fn read(&self) -> Moment {
        match &self.0 {
            Source::System => {
                let system = &*SYSTEM;
                system.elapsed.read(|| Hands {
                    wall: system_time(),
                    ran: system.start.elapsed(),
                })
            }
            Source::Manual(manual) => {
                let hands = manual.hands();
                manual.elapsed.read(|| *hands)
            }
        }
    }
}

impl Manual {
    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        locked(&self.hands)
    }

    /// What moved is taken in at once: two settings of the wall clock are not one.
    fn move_hands(&self, by: impl FnOnce(&mut Hands)) {
        let mut hands = self.hands();
        by(&mut hands);
        let _ = self.elapsed.read(|| *hands);
    }
}

fn system_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
