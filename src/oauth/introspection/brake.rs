//! What keeps the number of calls in bounds, whatever clients send.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Whether a token is one of those the server called active when last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Known,
    Unknown,
}

/// The calls that may be under way at once.
#[derive(Debug)]
pub(super) struct Permits {
    all: Semaphore,
    /// A part of them: what is left is for tokens that are known.
    unknown: Semaphore,
}

/// Held while a call is under way.
pub(super) struct Permit<'a> {
    _unknown: Option<SemaphorePermit<'a>>,
    _one: SemaphorePermit<'a>,
}

impl Permits {
    pub(super) fn new(concurrent: usize) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(concurrent),
            unknown: Semaphore::new(concurrent - concurrent / 4),
        }
    }

    /// Resolves when it is this call's turn.
    pub(super) async fn turn(&self, lane: Lane) -> Permit<'_> {
        const NEVER_CLOSED: &str = "the semaphores live as long as the store";
        let unknown = match lane {
            Lane::Known => None,
            Lane::Unknown => Some(self.unknown.acquire().await.expect(NEVER_CLOSED)),
        };
        Permit {
            _unknown: unknown,
            _one: self.all.acquire().await.expect(NEVER_CLOSED),
        }
    }
}

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
