//! `ReloadHandle`: swaps the layer in force.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::error::ConfigError;
use crate::telemetry;
use crate::util::locked;

/// The layer in force, and the number of its generation.
pub(super) struct Current<L> {
    pub(super) generation: u64,
    pub(super) layer: L,
}

/// What a layer, its services and its handles share.
pub(super) struct Shared<L> {
    current: ArcSwap<Current<L>>,
    /// That of `current`, or for a moment one less: what a request looks at.
    generation: AtomicU64,
    /// Attempts are numbered as they begin.
    begun: AtomicU64,
    clock: Clock,
    history: Mutex<History>,
}

struct History {
    /// The attempt that made the current layer.
    in_force: u64,
    /// The attempt the status tells of.
    reported: u64,
    status: ReloadStatus,
}

impl<L> Shared<L> {
    /// A service built for an older one is stale.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn current(&self) -> Arc<Current<L>> {
        self.current.load_full()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        locked(&self.history)
    }

    pub(super) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result
    where
        L: fmt::Debug,
    {
        let current = self.current();
        f.debug_struct(name)
            .field("generation", &current.generation)
            .field("layer", &current.layer)
            .finish_non_exhaustive()
    }
}

/// Swaps what a [`ReloadLayer`](super::ReloadLayer) is; see the [module docs](crate::reload).
///
/// Clones do the same. It can be used from any thread.
pub struct ReloadHandle<L> {
    shared: Arc<Shared<L>>,
}

impl<L> ReloadHandle<L> {
    pub(super) fn new(layer: L, clock: Clock) -> Self {
        let now = clock.now();
        Self {
            shared: Arc::new(Shared {
                current: ArcSwap::from_pointee(Current {
                    generation: 1,
                    layer,
                }),
                generation: AtomicU64::new(1),
                begun: AtomicU64::new(0),
                clock,
                history: Mutex::new(History {
                    in_force: 0,
                    reported: 0,
                    status: ReloadStatus {
                        generation: 1,
                        since: now,
                        last_attempt: now,
                        error: None,
                    },
                }),
            }),
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared<L>> {
        Arc::clone(&self.shared)
    }

    /// Swaps at once, and gives the new generation. All requests that arrive afterwards are
    /// judged by `layer`.
    pub fn reload(&self, layer: L) -> u64 {
        let history = self.shared.history();
        // Begun under the lock, so no attempt in force began later.
        let attempt = self.begin();
        self.swap(history, attempt, layer)
    }

    /// Makes a layer, and swaps if that succeeds; gives the new generation. Otherwise the
    /// last good one stays, and an `error` is traced.
    ///
    /// Of two attempts at once the one that began later wins, however long each takes.
    ///
    /// # Errors
    /// That of `make`; an attempt that began later is in force already.
    pub fn try_reload<F>(&self, make: F) -> Result<u64, ConfigError>
    where
        F: FnOnce() -> Result<L, ConfigError>,
    {
        let attempt = self.begin();
        self.end(attempt, make())
    }

    /// [`try_reload`](Self::try_reload) with a future: for a layer that is warmed up before
    /// the swap. The attempt begins when it is polled first; dropped before its end, it
    /// changes nothing.
    ///
    /// # Errors
    /// As for `try_reload`.
    pub async fn try_reload_async<F>(&self, make: F) -> Result<u64, ConfigError>
    where
        F: Future<Output = Result<L, ConfigError>>,
    {
        let attempt = self.begin();
        let made = make.await;
        self.end(attempt, made)
    }

    /// What is in force and how the last reload ended: for a readiness probe.
    pub fn status(&self) -> ReloadStatus {
        self.shared.history().status.clone()
    }

    fn begin(&self) -> u64 {
        // Only its order counts: what it numbers is guarded by the lock of the history.
        self.shared.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn end(&self, attempt: u64, made: Result<L, ConfigError>) -> Result<u64, ConfigError> {
        let mut history = self.shared.history();
        let error = match made {
            Ok(_) if attempt < history.in_force => {
                return Err(ConfigError::new(
                    "reload",
                    "a reload that began later is in force already",
                ));
            }
            Ok(layer) => return Ok(self.swap(history, attempt, layer)),
            Err(error) => error,
        };
        if attempt > history.reported {
            history.reported = attempt;
            history.status.last_attempt = self.shared.clock.now();
            history.status.error = Some(error.clone());
        }
        let generation = history.status.generation;
        drop(history);
        telemetry::reload_failed(generation, &error);
        Err(error)
    }

    fn swap(&self, mut history: MutexGuard<'_, History>, attempt: u64, layer: L) -> u64 {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let generation = history.status.generation + 1;
        let old = shared.current.swap(Arc::new(Current { generation, layer }));
        // After the layer: who sees this number finds a layer at least as new.
        shared.generation.store(generation, Ordering::Release);
        history.in_force = attempt;
        history.status.generation = generation;
        history.status.since = now;
        // The failure of an attempt that began later stays told: what is in force is not what
        // was last configured.
        if attempt > history.reported {
            history.reported = attempt;
            history.status.last_attempt = now;
            history.status.error = None;
        }
        // The end of a whole stack may be in here: not under the lock.
        drop(history);
        drop(old);
        telemetry::reloaded(generation);
        generation
    }
}

impl<L> Clone for ReloadHandle<L> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<L: fmt::Debug> fmt::Debug for ReloadHandle<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug("ReloadHandle", f)
    }
}

/// What a [`ReloadHandle`] last did.
#[derive(Clone, Debug)]
#[must_use]
pub struct ReloadStatus {
    generation: u64,
    since: Duration,
    last_attempt: Duration,
    error: Option<ConfigError>,
}

impl ReloadStatus {
    /// The generation in force: 1 at start, and one more with each successful reload.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Since when it is in force.
    pub fn since(&self) -> SystemTime {
        UNIX_EPOCH + self.since
    }

    /// When the last attempt to reload ended; the start, if there was none.
    pub fn last_attempt(&self) -> SystemTime {
        UNIX_EPOCH + self.last_attempt
    }

    /// Why the last attempt failed. `None` if it succeeded, so that what is in force is what
    /// was last configured.
    pub fn error(&self) -> Option<&ConfigError> {
        self.error.as_ref()
    }
}
