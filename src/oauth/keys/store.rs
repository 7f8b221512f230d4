//! Whether keys may serve, and whether a fetch may start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempts::{Attempts, Need};
use super::sets::KeysInUse;
use super::together::Together;
use super::waiting::{Waited, Waiting};
use super::{KeyHealth, KeySet, Origin, Source, Times};
use crate::clock::{Clock, Moment};
use crate::error::{AuthError, ConfigError, Reason};
use crate::jose::{self, Algorithm, Candidates, VerifyingKey};
use crate::oauth::fetch::Fetch;
use crate::oauth::jwks_options::JwksOptions;
use crate::telemetry::KeysMeter;
use crate::util::Occasionally;
use crate::util::places::{Place, Places};
use crate::util::single_flight::{Calls, SingleFlight, Ticket};

/// The keys of one issuer.
#[derive(Debug)]
pub(in crate::oauth) struct KeyStore {
    pub(in crate::oauth) origin: Origin,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) limits: JwksOptions,
    pub(super) keys: KeysInUse,
    pub(super) meter: KeysMeter,
    pub(super) together: Arc<Together>,
    pub(super) warned: Warned,
    pub(super) flights: SingleFlight<(), (), Attempts>,
    waiting: Arc<Places>,
}

/// The record of the fetches, while it is locked.
pub(super) type Attempting<'a> = Calls<'a, (), (), Attempts>;

/// When there was a warning last of each fault that requests, or short lifetimes, can repeat.
#[derive(Debug, Default)]
pub(super) struct Warned {
    crowded: Occasionally,
    /// No fetch for an unknown key is left.
    spent: Occasionally,
    /// More keys of one id are published than a token is tried with.
    pub(super) ambiguous: Occasionally,
    /// A private key is published.
    pub(super) private: Occasionally,
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

/// The answer to a request that would wait.
enum Entry<'a> {
    Waiting(Waiting),
    /// None is under way, and it is too early for one.
    TooEarly(Attempting<'a>),
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
        let keys = match &origin.source {
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
                KeysInUse::configured(&origin.issuer, KeySet::new(prepared, Times::FOR_EVER))
            }
            Source::Discovery | Source::JwksUri(_) => {
                KeysInUse::fetched(&origin.issuer, &together.sets)
            }
        };
        Ok(Self {
            meter: KeysMeter::new(&origin.label),
            origin,
            fetch,
            clock,
            keys,
            together,
            warned: Warned::default(),
            flights: SingleFlight::new(Attempts::new(&limits)),
            waiting: Places::new(limits.max_waiting_requests),
            limits,
        })
    }

    /// The keys held, whether they may serve or not.
    pub(in crate::oauth) fn held(&self) -> Option<Arc<KeySet>> {
        self.keys.held()
    }

    /// The keys for a token, or what to do about it. The answer is final once a fetch was waited
    /// for that began after the request came. `now` is when the token was looked at.
    pub(in crate::oauth) fn lookup(
        self: &Arc<Self>,
        hint: KeyHint<'_>,
        waited: Waited,
        mut now: Moment,
    ) -> Lookup {
        loop {
            let held = self.keys.held();
            if let Some(answer) = self.judge(held.as_ref(), hint, waited, now) {
                return answer;
            }
            // What was judged is no longer held, because a fetch landed in between.
            now = self.clock.read();
        }
    }

    /// The keys, where they may serve as they are, and a refresh in the background where
    /// one is due. `None`: [`lookup`](Self::lookup) has more to say.
    pub(in crate::oauth) fn serving(self: &Arc<Self>, now: Duration) -> Option<&KeysInUse> {
        if !self.keys.is_quiet(now) {
            let set = self.keys.held().filter(|set| set.may_serve(now))?;
            if now >= set.times.wanted_at {
                self.refresh_in_background(&set, now);
            }
        }
        Some(&self.keys)
    }

    fn judge(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        hint: KeyHint<'_>,
        waited: Waited,
        moment: Moment,
    ) -> Option<Lookup> {
        let now = moment.monotonic;
        let Some(set) = held.filter(|set| set.may_serve(now)) else {
            return self.wait_or(held, Need::Keys(hint.kid), now, waited, |attempts, next| {
                self.no_keys(attempts, next, now)
            });
        };
        if now >= set.times.wanted_at {
            self.refresh_in_background(set, now);
        }
        match set.select(hint.kid, hint.alg) {
            Ok(candidates) => Some(Lookup::Found(Arc::clone(set), candidates)),
            Err(error) if error.as_reason() != Reason::UNKNOWN_KEY || self.is_static() => {
                Some(Lookup::Refused(error))
            }
            Err(error) => {
                let need = Need::UnknownKey(hint.kid);
                self.wait_or(held, need, now, waited, |attempts, next| {
                    // The key may be new.
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
            let Some(unfit) = self.unfit_fetch(begun).filter(|_| !is_last) else {
                break;
            };
            let _ = unfit.answer(self.limits.fetch_timeout).await;
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
    fn unfit_fetch(&self, begun: u64) -> Option<Ticket<()>> {
        let attempts = self.attempts();
        attempts.last_success?;
        let ticket = attempts.join(&())?;
        let fits = attempts.discovers && attempts.begun > begun;
        (!fits).then_some(ticket)
    }

    /// The state of the keys. A probe has them fetched as a request does, because a server that is
    /// not ready gets no requests. Those of a template are for the requests of their tenants.
    pub(in crate::oauth) fn health(self: &Arc<Self>) -> KeyHealth {
        let now = self.clock.monotonic();
        let is_of_template = self.origin.label != self.origin.issuer;
        // Without a runtime nothing can be fetched.
        let may_fetch = !is_of_template && tokio::runtime::Handle::try_current().is_ok();
        if may_fetch && self.serving(now).is_none() {
            self.fetch_in_background(now);
        }
        let attempts = self.attempts();
        let set = self.keys.held();
        KeyHealth {
            keys: set.as_ref().map_or(0, |set| set.keys.len()),
            serving: set.as_ref().is_some_and(|set| set.may_serve(now)),
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
        // Fetches land under this lock, so what is compared here does not change below.
        let current = self.keys.held();
        let unchanged = match (held, &current) {
            (Some(held), Some(current)) => Arc::ptr_eq(held, current),
            (None, None) => true,
            _ => false,
        };
        // Nor may a refresh have failed in between, after which keys serve that did not.
        let needs_keys = matches!(need, Need::Keys(_));
        if !unchanged || needs_keys && held.is_some_and(|set| set.may_serve(now)) {
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
        mut attempts: Attempting<'a>,
        need: Need<'_>,
        now: Duration,
        waited: Waited,
    ) -> Entry<'a> {
        let (ticket, is_own) = match attempts.join(&()) {
            Some(ticket) => (ticket, false),
            None if self.may_start(&mut attempts, need, now) => {
                let (ticket, launch) = self.begin(&mut attempts, need, now);
                drop(attempts);
                launch();
                (ticket, true)
            }
            None => return Entry::TooEarly(attempts),
        };
        let places = match self.places() {
            Ok(places) => places,
            Err(why) => {
                let mut error =
                    AuthError::unavailable(Reason::KEYS_LIMITED, Duration::from_secs(1));
                // Every request can repeat it, and none has to be good.
                if !self.warned.crowded.is_due(now) {
                    error = error.logged();
                }
                return Entry::Full(error.with_detail(why));
            }
        };
        let then = match (is_own, waited) {
            (false, Waited::No) => Waited::ForAnother,
            _ => Waited::ForOwn,
        };
        Entry::Waiting(Waiting {
            ticket,
            limit: self.limits.fetch_timeout,
            then,
            _places: places,
        })
    }

    /// Takes places for a request that waits: one of this server, and one of all together.
    fn places(&self) -> Result<[Place; 2], String> {
        let Some(own) = Place::of(&self.waiting) else {
            return Err(format!(
                "{} requests wait for the keys of {:?} already",
                self.waiting.most, self.origin.issuer
            ));
        };
        let all = self.together.waiting();
        match Place::of(all) {
            Some(all) => Ok([own, all]),
            None => Err(format!(
                "{} requests wait for the keys of all servers together already",
                all.most
            )),
        }
    }

    /// Refreshes keys in the background, once that is due and not held back.
    fn refresh_in_background(self: &Arc<Self>, set: &KeySet, now: Duration) {
        if now < set.times.refresh_at {
            set.held_back.store(true, Ordering::Relaxed);
            return;
        }
        self.fetch_in_background(now);
    }

    /// Fetches keys in the background, unless that is under way or too early.
    fn fetch_in_background(self: &Arc<Self>, now: Duration) {
        // Where the lock is held, a fetch begins or ends.
        let Some(mut attempts) = self.flights.try_lock() else {
            return;
        };
        let is_free = attempts.join(&()).is_none();
        if is_free && self.may_start(&mut attempts, Need::Refresh, now) {
            let (_, launch) = self.begin(&mut attempts, Need::Refresh, now);
            drop(attempts);
            launch();
        }
    }

    /// When the next fetch for this reason may start; in the past, if it may now.
    fn next_attempt(&self, attempts: &mut Attempts, need: Need<'_>, now: Duration) -> Duration {
        attempts.next(need, now, &self.limits, &self.together)
    }

    /// Whether a fetch may start for this reason; then it is taken from what bounds such fetches.
    fn may_start(&self, attempts: &mut Attempts, need: Need<'_>, now: Duration) -> bool {
        now >= self.next_attempt(attempts, need, now) && attempts.take(need, now, &self.together)
    }

    fn no_keys(&self, attempts: &Attempts, next: Duration, now: Duration) -> AuthError {
        let why = attempts
            .failure
            .as_deref()
            .unwrap_or("the fetch has not ended");
        AuthError::unavailable(Reason::KEYS_UNAVAILABLE, next.saturating_sub(now))
            .with_detail(format!("no usable keys of {:?}: {why}", self.origin.issuer))
            .logged()
    }

    /// The answer to a token that may be good, while its key may not be looked for.
    fn no_fetch_left(&self, unknown: &AuthError, next: Duration, now: Duration) -> AuthError {
        let why = unknown.detail().unwrap_or_default();
        let error = AuthError::unavailable(Reason::KEYS_UNAVAILABLE, next.saturating_sub(now))
            .with_detail(format!(
                "{why}; it was issued after the keys of {:?} were fetched, and no fetch for an \
                 unknown key may start now",
                self.origin.issuer
            ));
        // Forged tokens can repeat it.
        if self.warned.spent.is_due(now) {
            error
        } else {
            error.logged()
        }
    }

    fn attempts(&self) -> Attempting<'_> {
        self.flights.lock()
    }
}
