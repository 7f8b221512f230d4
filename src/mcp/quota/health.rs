//! Whether the replicas count together, as far as this one knows.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::store::StoreError;
use crate::telemetry;
use crate::util::{TRACED_CHARS, locked, one_line};

/// What is done while the shared store gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnOutage {
    Reject,
    LocalShare(u32),
    Allow,
}

impl OnOutage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::LocalShare(_) => "local_share",
            Self::Allow => "allow",
        }
    }
}

/// What the last request was told of the shared store.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// One of the three below.
    state: AtomicU8,
    /// When it last gave no answer, in microseconds.
    failed: AtomicU64,
    why: Mutex<Option<Box<str>>>,
}

/// How long a replica is not ready after the store gave no answer, in microseconds. One that gets
/// no requests because of it would never learn that the store is back.
const NOT_READY: u64 = 10_000_000;
/// It was not asked yet.
const UNKNOWN: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

impl Outage {
    fn is_on(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DOWN
    }

    pub(super) fn answered(&self) {
        // Nearly every request only looks.
        if self.state.load(Ordering::Relaxed) == UP {
            return;
        }
        match self.state.swap(UP, Ordering::Relaxed) {
            UNKNOWN => telemetry::quota_store_up(false),
            DOWN => telemetry::quota_store_up(true),
            _ => {}
        }
    }

    /// Takes in why there was no answer, as it may be told.
    pub(super) fn failed(&self, error: &StoreError, mode: OnOutage, now: u64) -> String {
        self.failed.store(now, Ordering::Relaxed);
        let why = one_line(&error.to_string(), TRACED_CHARS);
        *locked(&self.why) = Some(why.as_str().into());
        let is_first = self.state.swap(DOWN, Ordering::Relaxed) != DOWN;
        telemetry::quota_store_failed(is_first, &why, mode.as_str());
        why
    }
}

/// Whether all replicas count together: see [`QuotaLayer::health`](super::QuotaLayer::health).
#[derive(Clone, Debug)]
#[must_use]
pub struct QuotaHealth {
    is_exact: bool,
    is_ready: bool,
    mode: &'static str,
    error: Option<Box<str>>,
}

impl QuotaHealth {
    pub(super) fn of(shared: Option<(&Arc<Outage>, OnOutage)>, now: u64) -> Self {
        let Some((outage, on_outage)) = shared else {
            return Self {
                is_exact: true,
                is_ready: true,
                mode: "memory",
                error: None,
            };
        };
        let is_on = outage.is_on();
        let since = now.saturating_sub(outage.failed.load(Ordering::Relaxed));
        let why = locked(&outage.why);
        Self {
            is_exact: !is_on,
            is_ready: !is_on || on_outage != OnOutage::Reject || since > NOT_READY,
            mode: if is_on { on_outage.as_str() } else { "shared" },
            error: why.clone().filter(|_| is_on),
        }
    }

    /// Whether requests are served that the budgets admit; and again 10 seconds after the last one
    /// that was refused because the store gave no answer, so that a replica to which none are sent
    /// meanwhile finds out whether it does.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether the limits hold over all replicas: the shared store answers, or there is none.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// How budgets are counted now: `memory`, `shared`, or during an outage of the shared store
    /// `local_share`, `reject` or `allow`.
    pub fn mode(&self) -> &'static str {
        self.mode
    }

    /// Why the shared store gave no answer.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
