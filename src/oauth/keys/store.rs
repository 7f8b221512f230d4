//! Whether keys may serve, and whether a fetch may start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

use super::attempts::Attempts;
use super::together::Together;
use super::waiting::{self, Waited, Waiting};
use super::{KeyHealth, KeySet, Origin, Source, Times};
use crate::clock::Clock;
use crate::error::{AuthError, ConfigError};
use crate::jose::{self, Algorithm, Candidates, VerifyingKey};
use crate::oauth::fetch::Fetch;
use crate::oauth::jwks_options::JwksOptions;
use crate::telemetry::KeysMeter;
use crate::util::NowAndThen;
use crate::util::places::Place;

/// The keys of one issuer.
#[derive(Debug)]
pub(in crate::oauth) struct KeyStore {
    pub(in crate::oauth) origin: Origin,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) limits: JwksOptions,
    pub(super) current: ArcSwapOption<KeySet>,
    pub(super) meter: KeysMeter,
    pub(super) together: Arc<Together>,
    pub(super) waiting: AtomicUsize,
    pub(super) told: Told,
    attempts: Mutex<Attempts>,
}

/// When each thing was told last that requests, or short lifetimes, can repeat.
#[derive(Debug, Default)]
pub(super) struct Told {
    crowded: NowAndThen,
    /// No fetch for an unknown key is left.
    spent: NowAndThen,
    /// More keys of one id are published than a token is tried with.
    pub(super) ambiguous: NowAndThen,
    /// A private key is published.
    pub(super) private: NowAndThen,
}

/// Why a fetch is asked for; it decides how soon after the last one it may be. The key ids are
/// those of the tokens it is for.
#[derive(Clone, Copy)]
pub(super) enum Need<'t> {
    /// There are no keys that may serve: as soon as the backoff allows.
    Keys(Option<&'t str>),
    /// A token names a key that is not held: strangers can cause this at will, so out of a
    /// budget.
    UnknownKey(Option<&'t str>),
    /// Keys are near the end of their lifetime.
    Refresh,
    /// The operator asked.
    Now,
}

/// What a token says of its key, none of it proven.
#[derive(Clone, Copy)]
pub(in crate::oauth) struct KeyHint<'t> {
    pub(in crate::oauth) kid: Option<&'t str>,
    pub(in crate::oauth) alg: Algorithm,
    pub(in crate::oauth) iat: Option<Duration>,
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

impl KeyStore {
    /// Fails where a configured key cannot be used: there that is a mistake.
    pub(in crate::oauth) fn new(
        origin: Origin,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        limits: JwksOptions,
        together: Arc<Together>,
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
            current: ArcSwapOption::new(current),
            together,
            waiting: AtomicUsize::new(0),
            told: Told::default(),
            attempts: Mutex::new(Attempts::new(&limits)),
            limits,
        })
    }

    /// The keys held, whether they may serve or not.
    pub(in crate::oauth) fn held(&self) -> Guard<Option<Arc<KeySet>>> {
        self.current.load()
    }

    /// The keys for a token, or what to do about it. The answer is final once a fetch was waited
    /// for that began after the request came.
    pub(in crate::oauth) fn lookup(self: &Arc<Self>, hint: KeyHint<'_>, waited: Waited) -> Lookup {
        loop {
            let held = self.current.load_full();
            // `None`: a fetch landed in between, and what was judged is no longer held.
            if let Some(answer) = self.judge(held.as_ref(), hint, waited) {
                return answer;
            }
        }
    }

    /// The keys, where they may serve as they are, and a refresh in the background where
    /// one is due. `None`: [`lookup`](Self::lookup) has more to say.
    pub(in crate::oauth) fn serving(self: &Arc<Self>, now: Duration) -> Option<KeysInUse> {
        let held = self.current.load();
        let set = held.as_ref().filter(|set| self.may_serve(set, now))?;
        if now >= set.times.wanted_at {
            self.refresh_in_background(set, now);
        }
        Some(KeysInUse(held))
    }

    fn judge(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        hint: KeyHint<'_>,
        waited: Waited,
    ) -> Option<Lookup> {
        let moment = self.clock.read();
        let now = moment.monotonic;
        let Some(set) = held.filter(|set| self.may_serve(set, now)) else {
            return self.wait_or(held, Need::Keys(hint.kid), now, waited, |attempts, next| {
                self.no_keys(attempts, next, now)
            });
        };
        if now >= set.times.wanted_at {
            self.refresh_in_background(set, now);
        }
        match set.select(hint.kid, hint.alg) {
            Ok(candidates) => Some(Lookup::Found(Arc::clone(set), candidates)),
            Err(error) if error.reason() != jose::UNKNOWN_KEY || self.is_static() => {
                Some(Lookup::Refused(error))
            }
            Err(error) => {
                let need = Need::UnknownKey(hint.kid);
                self.wait_or(held, need, now, waited, |attempts, next| {
                    // The key may be new, which nobody could tell.
                    if attempts.failure.is_some() || waited == Waited::InVain {
                        return self.no_keys(attempts, next, now);
                    }
                    let may_be_new = waited != Waited::ForOwn
                        && hint
                            .iat
                            .is_some_and(|iat| attempts.may_have_missed(iat, moment));
                    if may_be_new {
                        // The next refresh brings new keys as well.
                        let due = Some(set.times.refresh_at).filter(|at| *at > now);
                        let next = due.map_or(next, |due| next.min(due));
                        return self.no_fetch_left(&error, next, now);
                    }
                    error.clone()
                })
            }
        }
    }

    /// Fetches keys now, from where they are now, and waits for the end. A fetch that began
    /// before may have asked before the keys, or their place, changed.
    pub(in crate::oauth) async fn warm_up(self: &Arc<Self>) -> Result<(), AuthError> {
        if self.is_static() {
            return Ok(());
        }
        let begun = self.attempts().begun;
        // One that began before, one that was due in between, and the own one.
        for is_last in [false, false, true] {
            let Some(mut unfit) = self.in_flight_unfit(begun).filter(|_| !is_last) else {
                break;
            };
            waiting::ended(&mut unfit, self.limits.fetch_timeout).await;
        }
        let now = self.clock.monotonic();
        let waiting = match self.enter(self.attempts(), Need::Now, now, Waited::No) {
            Entry::Waiting(waiting) => Some(waiting),
            Entry::Full(error) => return Err(error),
            Entry::TooEarly(_) => None,
        };
        let waited = match waiting {
            Some(waiting) => waiting.ended().await,
            None => Waited::No,
        };
        let attempts = self.attempts();
        if attempts.failure.is_none() && waited != Waited::InVain {
            return Ok(());
        }
        let now = self.clock.monotonic();
        Err(self.no_keys(&attempts, attempts.not_before, now))
    }

    /// The end of a fetch under way that does not do for an operator who asked when `begun`
    /// fetches had begun. While no keys are held, any does.
    fn in_flight_unfit(&self, begun: u64) -> Option<watch::Receiver<()>> {
        let attempts = self.attempts();
        attempts.last_success?;
        let flight = attempts.in_flight.as_ref()?;
        let fits = flight.discovers && flight.number > begun;
        (!fits).then(|| flight.ended.clone())
    }

    pub(in crate::oauth) fn health(&self) -> KeyHealth {
        let now = self.clock.monotonic();
        let attempts = self.attempts();
        let set = self.current.load();
        KeyHealth {
            keys: set.as_ref().map_or(0, |set| set.keys.len()),
            serving: set
                .as_ref()
                .is_some_and(|set| set.is_fresh(now) || attempts.allow(set, now)),
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
        set.is_fresh(now) || self.attempts().allow(set, now)
    }

    /// Drops keys that may not serve any more, to make room for others; whether it did.
    pub(super) fn drop_if_useless(&self, now: Duration) -> bool {
        // Another store's lock may be waited for by whoever holds this one, so it is only tried.
        let Some(attempts) = self.try_attempts() else {
            return false;
        };
        let held = self.current.load();
        let is_useless = |set: &&Arc<KeySet>| !set.is_fresh(now) && !attempts.allow(set, now);
        let is_useless = held.as_ref().filter(is_useless).is_some();
        if is_useless {
            self.current.store(None);
        }
        is_useless
    }

    /// Waits for a fetch, the one under way or a new one; refuses where neither may be.
    /// `None`: the keys are no longer those that were `held`.
    fn wait_or(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        need: Need<'_>,
        now: Duration,
        waited: Waited,
        refuse: impl Fn(&Attempts, Duration) -> AuthError,
    ) -> Option<Lookup> {
        let mut attempts = self.attempts();
        // Fetches land under this lock, so what is compared here cannot change below.
        let current = self.current.load_full();
        let unchanged = match (held, &current) {
            (Some(held), Some(current)) => Arc::ptr_eq(held, current),
            (None, None) => true,
            _ => false,
        };
        // Nor may a refresh have failed in between, after which keys serve that did not.
        let allowed = |set: &&Arc<KeySet>| attempts.allow(set, now);
        let needs_keys = matches!(need, Need::Keys(_));
        if !unchanged || needs_keys && held.filter(allowed).is_some() {
            return None;
        }
        // Whether there are keys, any fetch has found out.
        let is_final = match waited {
            Waited::No => false,
            Waited::ForAnother => needs_keys,
            Waited::ForOwn | Waited::InVain => true,
        };
        if is_final {
            let next = self.next_attempt(&mut attempts, need, now);
            return Some(Lookup::Refused(refuse(&attempts, next)));
        }
        Some(match self.enter(attempts, need, now, waited) {
            Entry::Waiting(waiting) => Lookup::Wait(waiting),
            Entry::Full(error) => Lookup::Refused(error),
            Entry::TooEarly(mut attempts) => {
                let next = self.next_attempt(&mut attempts, need, now);
                Lookup::Refused(refuse(&attempts, next))
            }
        })
    }

    /// Asks for a place among those that wait for a fetch.
    fn enter<'a>(
        self: &Arc<Self>,
        mut attempts: MutexGuard<'a, Attempts>,
        need: Need<'_>,
        now: Duration,
        waited: Waited,
    ) -> Entry<'a> {
        let (ended, is_own) = match attempts
            .in_flight
            .as_ref()
            .map(|flight| flight.ended.clone())
        {
            Some(ended) => (ended, false),
            None if self.may_start(&mut attempts, need, now) => {
                let (ended, launch) = self.start(&mut attempts, need, now);
                drop(attempts);
                launch.launch();
                (ended, true)
            }
            None => return Entry::TooEarly(attempts),
        };
        let place = match self.take_place() {
            Ok(place) => place,
            Err(why) => {
                let mut error = AuthError::unavailable("too_many_waiting", Duration::from_secs(1));
                // Every request can repeat it, and none has to be good.
                if !self.told.crowded.is_due(now) {
                    error = error.logged();
                }
                return Entry::Full(error.with_detail(why));
            }
        };
        let then = match (is_own, waited) {
            (false, Waited::No) => Waited::ForAnother,
            _ => Waited::ForOwn,
        };
        Entry::Waiting(Waiting::new(ended, Arc::clone(self), then, place))
    }

    /// Counts a request that waits, for this server and for all together.
    fn take_place(&self) -> Result<Place, String> {
        let most = self.limits.max_waiting_requests;
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let issuer = &self.origin.issuer;
            return Err(format!(
                "{most} requests wait for the keys of {issuer:?} already"
            ));
        }
        self.together.enter().ok_or_else(|| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            format!(
                "{} requests wait for the keys of all servers together already",
                self.limits.total_waiting
            )
        })
    }

    /// Refreshes keys in the background, once that is due and not held back.
    fn refresh_in_background(self: &Arc<Self>, set: &KeySet, now: Duration) {
        if now < set.times.refresh_at {
            set.held_back.store(true, Ordering::Relaxed);
            return;
        }
        // Whoever holds the lock begins a fetch, or ends one.
        let Some(mut attempts) = self.try_attempts() else {
            return;
        };
        if attempts.in_flight.is_none() && self.may_start(&mut attempts, Need::Refresh, now) {
            let (_, launch) = self.start(&mut attempts, Need::Refresh, now);
            drop(attempts);
            launch.launch();
        }
    }

    /// When the next fetch for this reason may start; in the past, if it may now.
    fn next_attempt(&self, attempts: &mut Attempts, need: Need<'_>, now: Duration) -> Duration {
        match need {
            Need::Now => Duration::ZERO,
            Need::Keys(_) | Need::Refresh => attempts.not_before,
            Need::UnknownKey(kid) => {
                let spent = attempts.budget.next(now);
                let spent = spent.max(self.together.next_fetch(now));
                let cooled = attempts.last.map_or(Duration::ZERO, |last| {
                    last.saturating_add(self.limits.min_refetch_interval)
                });
                // A fetch that failed has not looked for it.
                let sought = attempts.failure.is_none() && attempts.sought.is(kid);
                let sought = if sought { cooled } else { Duration::ZERO };
                attempts.not_before.max(spent).max(sought)
            }
        }
    }

    /// Whether a fetch may start for this reason; then it is taken from what bounds such fetches.
    fn may_start(&self, attempts: &mut Attempts, need: Need<'_>, now: Duration) -> bool {
        if now < self.next_attempt(attempts, need, now) {
            return false;
        }
        match need {
            Need::UnknownKey(_) => self.together.take_fetch(now) && attempts.budget.take(now),
            Need::Keys(_) | Need::Refresh | Need::Now => true,
        }
    }

    fn no_keys(&self, attempts: &Attempts, next: Duration, now: Duration) -> AuthError {
        let why = attempts
            .failure
            .as_deref()
            .unwrap_or("the fetch has not ended");
        AuthError::unavailable("keys_unavailable", next.saturating_sub(now))
            .with_detail(format!("no usable keys of {:?}: {why}", self.origin.issuer))
            .logged()
    }

    /// The answer to a token that may be good, while its key may not be looked for.
    fn no_fetch_left(&self, unknown: &AuthError, next: Duration, now: Duration) -> AuthError {
        let why = unknown.detail().unwrap_or_default();
        let error = AuthError::unavailable("keys_unavailable", next.saturating_sub(now))
            .with_detail(format!(
                "{why}; it was issued after the keys of {:?} were fetched, and no fetch for an                  unknown key may start now",
                self.origin.issuer
            ));
        // Forged tokens can repeat it.
        if self.told.spent.is_due(now) {
            error
        } else {
            error.logged()
        }
    }

    fn try_attempts(&self) -> Option<MutexGuard<'_, Attempts>> {
        match self.attempts.try_lock() {
            Ok(attempts) => Some(attempts),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Nothing panics while it is held; were that to change, a poisoned lock would still
    /// hold a consistent record.
    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
