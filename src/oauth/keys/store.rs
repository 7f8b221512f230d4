//! Whether keys may serve, and whether a fetch may start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

use super::{KeyHealth, KeyLimits, KeySet, Origin, Source, Times};
use crate::clock::Clock;
use crate::error::{AuthError, ConfigError};
use crate::jose::{self, Algorithm, Candidates, VerifyingKey};
use crate::oauth::fetch::Fetch;
use crate::telemetry::{KeysMeter, NowAndThen};

/// The keys of one issuer.
#[derive(Debug)]
pub(in crate::oauth) struct KeyStore {
    pub(in crate::oauth) origin: Origin,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) limits: KeyLimits,
    pub(super) current: ArcSwapOption<KeySet>,
    pub(super) meter: KeysMeter,
    attempts: Mutex<Attempts>,
    waiting: AtomicUsize,
    crowded: NowAndThen,
}

/// What is known of the fetches so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) last: Option<Duration>,
    pub(super) last_success: Option<Duration>,
    /// Why the last attempt failed; `None` when it succeeded.
    pub(super) failure: Option<Arc<str>>,
    /// When that attempt began.
    pub(super) failed_at: Option<Duration>,
    pub(super) failures: u32,
    pub(super) not_before: Duration,
    pub(super) in_flight: Option<watch::Receiver<()>>,
    /// Found by discovery, forgotten when a fetch from it fails.
    pub(super) jwks_uri: Option<Box<str>>,
}

impl Attempts {
    /// Whether keys may serve past their lifetime: only where it was tried to refresh them,
    /// and failed. Keys that merely sat idle may have been withdrawn since.
    fn allow(&self, set: &KeySet, now: Duration) -> bool {
        let failed = self.failed_at.is_some_and(|at| at >= set.times.refresh_at);
        failed && now < set.times.stale_until
    }
}

/// Why a fetch is asked for; it decides how soon after the last one it may be.
#[derive(Clone, Copy)]
enum Need {
    /// There are no keys that may serve: as soon as the backoff allows.
    Keys,
    /// A token names a key that is not held: strangers can cause this at will, so once a
    /// cooldown.
    UnknownKey,
    /// The operator asked.
    Now,
}

/// What memory can say about a key.
pub(in crate::oauth) enum Lookup {
    Found(Arc<KeySet>, Candidates),
    /// Ask again when this fetch has ended.
    Wait(Waiting),
    Refused(AuthError),
}

/// Keys that may serve, for the length of one look.
pub(in crate::oauth) struct KeysInUse(Guard<Option<Arc<KeySet>>>);

impl KeysInUse {
    pub(in crate::oauth) fn set(&self) -> &KeySet {
        self.0.as_ref().expect("`serving` makes it of a set alone")
    }
}

/// The answer to a request that would wait.
enum Entry<'a> {
    Waiting(Waiting),
    /// None is under way, and it is too early for one.
    TooEarly(MutexGuard<'a, Attempts>),
    /// Too many wait already.
    Full(AuthError),
}

/// A place among those that wait for a fetch; bounded, because each holds a request.
pub(in crate::oauth) struct Waiting {
    ended: watch::Receiver<()>,
    store: Arc<KeyStore>,
}

impl Waiting {
    /// Resolves when the fetch has ended, however it did.
    pub(in crate::oauth) async fn ended(mut self) {
        // The fetch ends by itself. It runs where it was started, though, and a runtime that
        // nobody drives any more must not hold a request for ever.
        let patience = self
            .store
            .limits
            .deadline
            .saturating_add(Duration::from_secs(1));
        // An error means that the sender is gone: the fetch has ended as well.
        let _ = tokio::time::timeout(patience, self.ended.changed()).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.store.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeyStore {
    /// Fails where a configured key cannot be used: there that is a mistake.
    pub(in crate::oauth) fn new(
        origin: Origin,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        limits: KeyLimits,
    ) -> Result<Self, ConfigError> {
        let current = match &origin.source {
            Source::Static(keys) => {
                let mut prepared = Vec::new();
                for (index, key) in keys.iter().enumerate() {
                    let source = jose::KeySource::Public(key.clone());
                    let key = VerifyingKey::prepare(&source, &origin.algorithms);
                    prepared.push(key.ok_or_else(|| {
                        ConfigError::new(
                            "jwks",
                            format!("keys[{index}] is not valid, or serves none of `algorithms`"),
                        )
                    })?);
                }
                Some(Arc::new(KeySet::new(prepared, Times::FOR_EVER)))
            }
            Source::Discovery | Source::JwksUri(_) => None,
        };
        Ok(Self {
            meter: KeysMeter::new(&origin.label),
            origin,
            fetch,
            clock,
            limits,
            current: ArcSwapOption::new(current),
            attempts: Mutex::default(),
            waiting: AtomicUsize::new(0),
            crowded: NowAndThen::default(),
        })
    }

    /// The keys held, whether they may serve or not.
    pub(in crate::oauth) fn held(&self) -> Guard<Option<Arc<KeySet>>> {
        self.current.load()
    }

    /// The keys for a token, or what to do about it.
    ///
    /// `waited`: a fetch this request waited for has ended, so the answer is final.
    pub(in crate::oauth) fn lookup(
        self: &Arc<Self>,
        kid: Option<&str>,
        alg: Algorithm,
        waited: bool,
    ) -> Lookup {
        loop {
            let held = self.current.load_full();
            // `None`: a fetch landed in between, and what was judged is no longer held.
            if let Some(answer) = self.judge(held.as_ref(), kid, alg, waited) {
                return answer;
            }
        }
    }

    /// The keys, where they may serve as they are, and a refresh in the background where
    /// one is due. `None`: [`lookup`](Self::lookup) has more to say.
    pub(in crate::oauth) fn serving(self: &Arc<Self>, now: Duration) -> Option<KeysInUse> {
        let held = self.current.load();
        let set = held.as_ref().filter(|set| self.may_serve(set, now))?;
        if now >= set.times.refresh_at {
            self.refresh_in_background(now);
        }
        Some(KeysInUse(held))
    }

    fn judge(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        kid: Option<&str>,
        alg: Algorithm,
        waited: bool,
    ) -> Option<Lookup> {
        let now = self.clock.monotonic();
        let Some(set) = held.filter(|set| self.may_serve(set, now)) else {
            return self.wait_or(held, Need::Keys, now, waited, |attempts| {
                self.no_keys(attempts, Need::Keys, now)
            });
        };
        if now >= set.times.refresh_at {
            self.refresh_in_background(now);
        }
        match set.select(kid, alg) {
            Ok(candidates) => Some(Lookup::Found(Arc::clone(set), candidates)),
            Err(error) if error.reason() != jose::UNKNOWN_KEY || self.is_static() => {
                Some(Lookup::Refused(error))
            }
            Err(error) => self.wait_or(held, Need::UnknownKey, now, waited, |attempts| {
                match attempts.failure {
                    // The key may be new, which nobody could tell.
                    Some(_) => self.no_keys(attempts, Need::UnknownKey, now),
                    None => error.clone(),
                }
            }),
        }
    }

    /// Fetches keys now, unless that is under way, and waits for the end.
    pub(in crate::oauth) async fn warm_up(self: &Arc<Self>) -> Result<(), AuthError> {
        if self.is_static() {
            return Ok(());
        }
        let waiting = match self.enter(self.attempts(), Need::Now, self.clock.monotonic()) {
            Entry::Waiting(waiting) => Some(waiting),
            Entry::Full(error) => return Err(error),
            Entry::TooEarly(_) => None,
        };
        if let Some(waiting) = waiting {
            waiting.ended().await;
        }
        let attempts = self.attempts();
        match attempts.failure {
            Some(_) => Err(self.no_keys(&attempts, Need::Keys, self.clock.monotonic())),
            None => Ok(()),
        }
    }

    pub(in crate::oauth) fn health(&self) -> KeyHealth {
        let now = self.clock.monotonic();
        let attempts = self.attempts();
        let set = self.current.load();
        KeyHealth {
            keys: set.as_ref().map_or(0, |set| set.keys.len()),
            serving: set.as_ref().is_some_and(|set| {
                !set.keys.is_empty() && (now < set.times.fresh_until || attempts.allow(set, now))
            }),
            age: attempts.last_success.map(|at| now.saturating_sub(at)),
            last_error: attempts.failure.clone(),
            next_refresh: set
                .as_ref()
                .filter(|set| set.times.refresh_at != Duration::MAX)
                .map(|set| set.times.refresh_at.saturating_sub(now)),
        }
    }

    fn is_static(&self) -> bool {
        matches!(self.origin.source, Source::Static(_))
    }

    /// Whether keys may serve now.
    fn may_serve(&self, set: &KeySet, now: Duration) -> bool {
        if now < set.times.fresh_until {
            return true;
        }
        self.attempts().allow(set, now)
    }

    /// Waits for a fetch, the one under way or a new one; refuses where neither may be.
    /// `None`: the keys are no longer those that were `held`.
    fn wait_or(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        need: Need,
        now: Duration,
        waited: bool,
        refuse: impl Fn(&Attempts) -> AuthError,
    ) -> Option<Lookup> {
        let attempts = self.attempts();
        // Fetches land under this lock, so what is compared here cannot change below.
        let current = self.current.load_full();
        let unchanged = match (held, &current) {
            (Some(held), Some(current)) => Arc::ptr_eq(held, current),
            (None, None) => true,
            _ => false,
        };
        // Nor may a refresh have failed in between, after which keys serve that did not.
        let allowed = |set: &&Arc<KeySet>| attempts.allow(set, now);
        if !unchanged || matches!(need, Need::Keys) && held.filter(allowed).is_some() {
            return None;
        }
        if waited {
            return Some(Lookup::Refused(refuse(&attempts)));
        }
        Some(match self.enter(attempts, need, now) {
            Entry::Waiting(waiting) => Lookup::Wait(waiting),
            Entry::Full(error) => Lookup::Refused(error),
            Entry::TooEarly(attempts) => Lookup::Refused(refuse(&attempts)),
        })
    }

    /// Asks for a place among those that wait for a fetch.
    fn enter<'a>(
        self: &Arc<Self>,
        mut attempts: MutexGuard<'a, Attempts>,
        need: Need,
        now: Duration,
    ) -> Entry<'a> {
        let allowed = now >= self.next_attempt(&attempts, need);
        let ended = match &attempts.in_flight {
            Some(ended) => ended.clone(),
            None if allowed => {
                let (ended, launch) = self.start(&mut attempts, now);
                drop(attempts);
                launch.launch();
                ended
            }
            None => return Entry::TooEarly(attempts),
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.limits.waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let mut error = AuthError::unavailable("too_many_waiting", Duration::from_secs(1));
            // Every request can repeat it, and none has to be good.
            if !self.crowded.is_due(now) {
                error = error.reported();
            }
            return Entry::Full(error.with_detail(format!(
                "{} requests wait for the keys of {:?} already",
                self.limits.waiting, self.origin.issuer
            )));
        }
        Entry::Waiting(Waiting {
            ended,
            store: Arc::clone(self),
        })
    }

    fn refresh_in_background(self: &Arc<Self>, now: Duration) {
        let mut attempts = self.attempts();
        if attempts.in_flight.is_none() && now >= attempts.not_before {
            let (_, launch) = self.start(&mut attempts, now);
            drop(attempts);
            launch.launch();
        }
    }

    /// When the next fetch for this reason may start.
    fn next_attempt(&self, attempts: &Attempts, need: Need) -> Duration {
        let cooled = attempts.last.map_or(Duration::ZERO, |last| {
            last.saturating_add(self.limits.cooldown)
        });
        match need {
            Need::Now => Duration::ZERO,
            Need::Keys => attempts.not_before,
            Need::UnknownKey => attempts.not_before.max(cooled),
        }
    }

    fn no_keys(&self, attempts: &Attempts, need: Need, now: Duration) -> AuthError {
        let retry = self.next_attempt(attempts, need).saturating_sub(now);
        let why = attempts
            .failure
            .as_deref()
            .unwrap_or("no fetch has ended yet");
        AuthError::unavailable("keys_unavailable", retry)
            .with_detail(format!("no usable keys of {:?}: {why}", self.origin.issuer))
            .reported()
    }

    /// Nothing panics while it is held; were that to change, a poisoned lock would still
    /// hold a consistent record.
    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
