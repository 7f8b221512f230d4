//! The one clock: everything in this crate that depends on time asks here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The source of time of a layer: the system's, or one moved by hand in tests.
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
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock; the default everywhere.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `since_epoch` (time since 1970-01-01 UTC, kept in
    /// milliseconds) until [`advance`](Self::advance) moves it.
    pub fn manual(since_epoch: Duration) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(millis(
            since_epoch,
        )))))
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Time since 1970-01-01 UTC. A system clock set before 1970 reads as 1970, at which
    /// every token is issued in the future, and so refused.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            Source::Manual(now) => Duration::from_millis(now.load(Ordering::SeqCst)),
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

    /// Time since some moment before the first call, which no setting of the clock moves:
    /// what is kept for a while is kept by this.
    pub(crate) fn monotonic(&self) -> Duration {
        use std::sync::LazyLock;
        use std::time::Instant;

        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.0 {
            Source::System => START.elapsed(),
            Source::Manual(_) => self.now(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
